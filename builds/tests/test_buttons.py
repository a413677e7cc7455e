"""Buttons below messages: pressed in the chat, they do what the page does, once, for who may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from builds.buttons import linking, presses
from builds.buttons.linking import link_for, read
from builds.buttons.listening import Listener, apps
from builds.buttons.models import LINK, ButtonPress, ChatAccount
from builds.models import Build, Source
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from delivr.tenants.models import Membership, Role
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wire
from integrations.models import CommunicationIntegration
from integrations.providers.chat import Press
from integrations.providers.ci import BuildStatus
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

OWNER_EMAIL = "demo@example.com"  # of U0OWNER in the sandbox's chat


@pytest.fixture
def owner(wired: Wired) -> Any:
    return member(wired, OWNER_EMAIL, Role.OWNER)


def member(wired: Wired, email: str, role: Role, *, verified: bool = True) -> Any:
    user = factories.UserFactory(email=email)
    Membership.objects.create(tenant=wired.tenant, user=user, role=role)
    EmailAddress.objects.create(user=user, email=email, verified=verified, primary=True)
    return user


@pytest.fixture
def failed(wired: Wired) -> Build:
    wired.slack.app_token = accounts.SLACK_APP_TOKEN
    wired.slack.save()
    build = wired.build("ios", slack=True)
    apply_update(build.pk, BuildUpdate(status=BuildStatus.RUNNING, source=Source.POLL, number=7))
    apply_update(build.pk, BuildUpdate(status=BuildStatus.FAILURE, source=Source.POLL))
    return fresh(build)


def linked(tenant: Any, user: Any) -> None:
    ChatAccount.objects.create(tenant=tenant, team="T0SANDBOX1", chat_user="U0STRANGER", user=user)


def press_of(build: Build, **changes: Any) -> Press:
    press = Press(
        envelope="e1",
        team="T0SANDBOX1",
        user="U0OWNER",
        user_name="owner",
        channel="C123",
        thread="1.1",
        action="trigger_again",
        value=build.pk,
    )
    return replace(press, **changes)


def take(wired: Wired, press: Press) -> ButtonPress | None:
    """Store and apply it."""
    row = presses.store(press, [fresh(wired.slack)])
    if row is not None:
        presses.apply(row.pk)
        row.refresh_from_db()
    return row


def test_pressing_triggers_the_build_again_as_the_member(
    wired: Wired, failed: Build, owner: Any, sandbox: Any
) -> None:
    row = take(wired, press_of(failed))
    assert row is not None
    assert (row.state, row.answer, row.actor) == ("DONE", "1 build was triggered.", owner)
    newest = Build.objects.order_by("-attempt").first()
    assert newest is not None
    assert (newest.attempt, newest.started_by) == (failed.attempt + 1, owner)
    audited = AuditEvent.objects.filter(action="build.triggered", actor_id=owner.pk)
    assert [event.subject_id for event in audited] == [newest.pk]
    run_effect(Effect.objects.get(kind="message.answer").pk)
    [shown] = sandbox.state.slack.shown
    assert (shown.only_for, shown.text) == ("U0OWNER", "1 build was triggered.")


def test_pressing_twice_does_nothing_twice(wired: Wired, failed: Build, owner: Any) -> None:
    take(wired, press_of(failed))
    take(wired, press_of(failed))  # the same report again
    second = take(wired, press_of(failed, envelope="e2"))
    assert second is not None
    assert second.state == "REFUSED"
    assert (Build.objects.count(), ButtonPress.objects.count()) == (2, 2)
    newest = Build.objects.order_by("-attempt")[0]
    apply_update(newest.pk, BuildUpdate(status=BuildStatus.RUNNING, source=Source.POLL, number=8))
    apply_update(newest.pk, BuildUpdate(status=BuildStatus.FAILURE, source=Source.POLL))
    late = take(wired, press_of(failed, envelope="e3"))  # below the message about the first build
    assert late is not None
    assert late.state == "REFUSED"
    assert Build.objects.count() == 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a viewer": ({"role": Role.VIEWER}, "Your role does not allow this."),
    "an unverified address": ({"verified": False}, "does not know who you are"),
    "a stranger": ({"user": "U0STRANGER"}, "does not know who you are"),
    "a guest with a member's address": ({"user": "U0GUEST"}, "does not know who you are"),
    "someone of another organization": ({"user": "U0PARTNER"}, "does not know who you are"),
    "an address the chat did not confirm": ({"user": "U0NEW"}, "does not know who you are"),
}


@pytest.mark.parametrize("who", REFUSED)
def test_who_may_not_is_told_so(wired: Wired, failed: Build, who: str) -> None:
    given, words = REFUSED[who]
    verified = given.get("verified", True)
    member(wired, OWNER_EMAIL, given.get("role", Role.OWNER), verified=verified)
    row = take(wired, press_of(failed, user=given.get("user", "U0OWNER")))
    assert row is not None
    assert row.state == "REFUSED"
    assert words in row.answer
    assert Build.objects.count() == 1


def test_a_required_second_factor_is_required_here_too(
    wired: Wired, failed: Build, owner: Any
) -> None:
    type(wired.tenant).objects.update(requires_second_factor=True)
    row = take(wired, press_of(failed))
    assert row is not None
    assert "second factor" in row.answer
    assert Build.objects.count() == 1


def test_an_account_is_linked_by_a_page_that_only_it_was_shown(
    wired: Wired, failed: Build, client_for: Any, sandbox: Any
) -> None:
    someone = member(wired, "priya@example.com", Role.MEMBER)
    row = take(wired, press_of(failed, user="U0STRANGER", user_name="priya"))
    assert row is not None
    run_effect(Effect.objects.get(kind="message.answer").pk)
    [shown] = sandbox.state.slack.shown
    path = "/settings/chat-accounts?token=" + link_in(shown.text)
    web = client_for(someone)
    page = web.get(path).content.decode()
    for told in ("priya", "U0STRANGER", "T0SANDBOX1", "Slack C123", someone.email):
        assert told in page
    assert not ChatAccount.objects.exists()
    token = path.partition("=")[2]
    web.post("/settings/chat-accounts", {"token": token})
    again = take(wired, press_of(failed, user="U0STRANGER", envelope="e2"))
    assert again is not None
    assert (again.state, again.actor) == ("DONE", someone)
    account = ChatAccount.objects.get()
    other = client_for(member(wired, "else@example.com", Role.OWNER))
    unlinking = {"unlink": account.pk}
    assert other.post("/settings/chat-accounts", unlinking).status_code == 404
    web.post("/settings/chat-accounts", unlinking)
    assert not ChatAccount.objects.exists()
    actions = AuditEvent.objects.filter(action__startswith="chat_account.")
    assert sorted(actions.values_list("action", flat=True)) == [
        "chat_account.linked",
        "chat_account.unlinked",
    ]


def link_in(text: str) -> str:
    """The token of the link below an answer."""
    return text.partition("?token=")[2].partition("|")[0]


def test_a_link_works_once(wired: Wired, failed: Build, client_for: Any) -> None:
    row = take(wired, press_of(failed, user="U0STRANGER"))
    assert row is not None
    link = {"token": link_for(row).partition("=")[2]}
    first = member(wired, "first@example.com", Role.MEMBER)
    second = client_for(member(wired, "second@example.com", Role.OWNER))
    client_for(first).post("/settings/chat-accounts", link)
    page = second.post("/settings/chat-accounts", link)
    assert "was used already" in page.content.decode()
    assert "Link this account" not in second.get("/settings/chat-accounts", link).content.decode()
    assert ChatAccount.objects.get().user == first
    with pytest.raises(Conflict):
        linking.link(row, user=first)


def test_an_answer_is_shown_as_it_was_written(wired: Wired, failed: Build, sandbox: Any) -> None:
    row = take(wired, press_of(failed, user="U0STRANGER"))
    assert row is not None
    ButtonPress.objects.update(answer="A <!channel> & {link}")
    run_effect(Effect.objects.get(kind="message.answer").pk)
    [shown] = sandbox.state.slack.shown
    assert shown.text.startswith("A &lt;!channel&gt; &amp; <http")
    assert shown.text.endswith("|Link your account>")


def test_a_link_is_for_its_workspace_and_for_an_hour(
    wired: Wired, failed: Build, client_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = take(wired, press_of(failed, user="U0STRANGER"))
    assert row is not None
    token = link_for(row).partition("=")[2]
    elsewhere = factories.TenantFactory()
    stranger = factories.UserFactory()
    Membership.objects.create(tenant=elsewhere, user=stranger, role=Role.OWNER)
    client_for(stranger).post("/settings/chat-accounts", {"token": token})
    assert not ChatAccount.objects.exists()
    assert read(token[:-2]) is None
    monkeypatch.setattr("builds.buttons.linking.VALID", -1)
    assert read(token) is None


def test_a_press_belongs_to_the_workspace_of_its_build(
    wired: Wired, failed: Build, owner: Any
) -> None:
    """Two workspaces may share an app; the chat reports a press to any of its connections."""
    other = wire(factories.TenantFactory(), "http://127.0.0.1:1")
    assert presses.store(press_of(failed), [other.slack]) is None
    assert presses.store(press_of(failed, channel="C000"), [fresh(wired.slack)]) is None
    row = presses.store(press_of(failed), [other.slack, fresh(wired.slack)])
    assert row is not None
    assert (row.tenant, row.communication) == (wired.tenant, wired.slack)


def test_a_linked_account_of_another_workspace_counts_for_nothing(
    wired: Wired, failed: Build
) -> None:
    elsewhere = factories.TenantFactory()
    user = member(wired, "m@example.com", Role.OWNER)
    linked(elsewhere, user)
    row = take(wired, press_of(failed, user="U0STRANGER"))
    assert row is not None
    assert row.state == "REFUSED"


def test_an_address_that_only_looks_alike_is_not_the_members() -> None:
    assert presses._is_same("Demo@Example.com", "demo@example.com")
    assert not presses._is_same("\u017fam@example.com", "SAM@example.com")  # a long s


def test_an_account_of_who_left_can_be_linked_again(wired: Wired, failed: Build) -> None:
    gone = member(wired, "gone@example.com", Role.MEMBER)
    linked(wired.tenant, gone)
    Membership.objects.filter(user=gone).delete()
    row = take(wired, press_of(failed, user="U0STRANGER"))
    assert row is not None
    assert LINK in row.answer


def test_a_press_that_meets_a_fault_of_ours_is_not_tried_at_each_tick_nor_for_ever(
    wired: Wired, failed: Build, owner: Any
) -> None:
    row = presses.store(press_of(failed), [fresh(wired.slack)])
    assert row is not None
    ButtonPress.objects.update(value="bld_gone")
    presses.apply(row.pk)
    assert (fresh(row).state, presses.due()) == ("NEW", [])
    ButtonPress.objects.update(pressed_at=timezone.now() - presses.KEEP_TRYING)
    presses.apply(row.pk)
    assert fresh(row).state == "REFUSED"
    assert "internal error" in fresh(row).answer


def test_the_person_is_looked_up_later_if_the_chat_does_not_answer(
    wired: Wired, failed: Build, owner: Any, sandbox: Any
) -> None:
    sandbox.state.faults.add("status", provider="slack", path="*/users.info", status=503, count=1)
    row = take(wired, press_of(failed))
    assert row is not None
    assert (row.state, presses.due()) == ("NEW", [])
    ButtonPress.objects.update(next_at=timezone.now())
    assert presses.due() == [row.pk]
    presses.apply(row.pk)
    assert fresh(row).state == "DONE"


def test_only_failures_have_buttons_and_only_with_an_app_token(
    wired: Wired, failed: Build, sandbox: Any
) -> None:
    for effect in Effect.objects.filter(kind="message.post").order_by("created_at"):
        run_effect(effect.pk)
    posted = sandbox.state.slack.in_channel("C123")
    with_buttons = [m for m in posted if any(b["type"] == "actions" for b in m.blocks)]
    # The message about the build, and the one that the whole channel sees.
    assert [m.text for m in with_buttons] == ["❌ iOS build #7 failed"] * 2
    again, opening = with_buttons[0].blocks[-1]["elements"]
    assert (again["value"], "confirm" in again) == (failed.pk, True)
    assert opening["url"].endswith(f"/releases/{failed.release_pipeline.release_id}")


def test_connections_of_one_app_share_a_listener(wired: Wired, failed: Build) -> None:
    tokens = [accounts.SLACK_APP_TOKEN, "xapp-another", None]
    same, other, _without = (factories.SlackFactory(app_token=token) for token in tokens)
    gone = factories.SlackFactory(app_token="xapp-gone", disconnected_at=timezone.now())
    found = [[one.pk for one in connections] for connections in apps().values()]
    assert found == [[wired.slack.pk, same.pk], [other.pk]]
    assert gone.pk not in str(found)


def test_a_press_is_for_the_connections_that_are_left(wired: Wired, failed: Build) -> None:
    listener = Listener()
    [key] = listener._apps = apps()
    CommunicationIntegration.objects.update(disconnected_at=timezone.now())
    listener.take(key, press_of(failed))
    assert not ButtonPress.objects.exists()
    CommunicationIntegration.objects.update(disconnected_at=None)
    listener.take(key, press_of(failed))
    assert ButtonPress.objects.get().communication == wired.slack


# --- The connection that presses come through -----------------------------------------------------


@pytest.fixture
def heard(
    wired: Wired, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[list[Press], threading.Event]]:
    """What a listener is told; the database is not open to its threads, so it is not read there."""
    wired.slack.app_token = accounts.SLACK_APP_TOKEN
    wired.slack.save()
    connection = CommunicationIntegration.objects.get(pk=wired.slack.pk)
    found: list[Press] = []
    arrived = threading.Event()

    def take(_self: Listener, _key: str, press: Press) -> None:
        found.append(press)
        arrived.set()

    monkeypatch.setattr("builds.buttons.listening.apps", lambda: {connection.pk: [connection]})
    monkeypatch.setattr(Listener, "take", take)
    listener = Listener()
    thread = threading.Thread(target=listener.run)
    thread.start()
    yield found, arrived
    listener.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()


def wait_for_connection(sandbox: Any, count: int = 1) -> None:
    ready = threading.Event()
    for _n in range(200):
        if sandbox.state.sockets.count == count:
            return
        ready.wait(0.05)
    raise AssertionError("no connection was opened")


def message_with_button(sandbox: Any) -> Any:
    from sandbox.chat import Message

    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Trigger again"},
        "action_id": "trigger_again",
        "value": "bld_1",
    }
    blocks = [{"type": "actions", "elements": [button]}]
    return sandbox.state.slack.post(Message("C123", "", "❌ failed", blocks=blocks))


def test_presses_come_through_a_connection_that_is_opened_again(
    heard: tuple[list[Press], threading.Event], sandbox: Any, api_of_sandbox: Any
) -> None:
    found, arrived = heard
    wait_for_connection(sandbox)
    message = message_with_button(sandbox)
    body = {"channel": "C123", "ts": message.ts, "user": "U0OWNER"}
    assert api_of_sandbox("slack/press", body) == {"acknowledged": True}
    assert arrived.wait(5)
    press = found[0]
    assert (press.user, press.channel, press.thread) == ("U0OWNER", "C123", message.ts)
    assert (press.action, press.value) == ("trigger_again", "bld_1")
    sandbox.state.sockets.renew()  # as every few hours
    wait_for_connection(sandbox, 0)
    wait_for_connection(sandbox)
    arrived.clear()
    assert api_of_sandbox("slack/press", body) == {"acknowledged": True}
    assert arrived.wait(5)


def test_without_a_listener_the_press_is_not_taken(sandbox: Any, api_of_sandbox: Any) -> None:
    message = message_with_button(sandbox)
    body = {"channel": "C123", "ts": message.ts, "user": "U0OWNER"}
    assert api_of_sandbox("slack/press", body) == {"acknowledged": False}


@pytest.fixture
def api_of_sandbox(sandbox: Any) -> Any:
    import requests

    def post(path: str, body: dict[str, Any]) -> Any:
        return requests.post(f"{sandbox.url}/sandbox/api/{path}", json=body, timeout=10).json()

    return post
