"""Mentions and test messages, as Slack's stand-in receives them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build
from builds.tests.rerunning import rerun_when_settled
from builds.triggering import trigger_builds
from delivr.audit.models import AuditEvent
from delivr.effects.handlers import Pace
from delivr.effects.models import Effect, EffectState
from delivr.effects.pace import in_turn
from delivr.effects.runner import run_effect
from delivr.tenants.models import Role, User
from delivr.tests.wired import Wired, fresh, wired_to
from integrations.models import CommunicationIntegration
from integrations.providers.slack.provider import Slack
from releases.messages.events import Notice
from releases.messages.notices import notify
from releases.messages.operations import change_rules, send_test
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


def posted(effect: Effect, sandbox: Any) -> str:
    """What its message says in the sandbox's channel."""
    run_effect(effect.pk)
    effect.refresh_from_db()
    assert effect.state == EffectState.DONE, effect.last_error
    found = sandbox.state.slack.message(effect.payload["channel"], effect.result["ts"])
    text: str = found.text
    return text


def failed_build(wired: Wired, actor: User) -> tuple[Build, Effect]:
    """A build that the actor triggered and that failed, with its message."""
    release = wired.release("ios", slack=True)
    build = trigger_builds(release=release, actor=actor)[0]
    Effect.objects.open().filter(kind__startswith="message").update(state=EffectState.CANCELLED)
    words = {"platform": "iOS", "number": 7}
    notify(release, Notice.BUILD_FAILED, build_id=build.pk, words=words)
    messages = Effect.objects.filter(payload__notice="build_failed", payload__channel="C123")
    return build, messages.filter(state=EffectState.PENDING).latest("created_at")


@pytest.mark.parametrize(
    ("email", "mentions", "said"),
    [
        ("ada@example.com", {"whom": "triggered"}, "<@U"),
        ("stranger@example.com", {"whom": "triggered"}, "Ada &lt;!channel&gt;"),
        ("ada@example.com", {"whom": "group", "group": "S0DEVS"}, "<!subteam^S0DEVS>"),
        ("ada@example.com", {"whom": "nobody"}, None),
    ],
)
def test_a_failure_mentions_whom_the_connection_says(
    wired: Wired, sandbox: Any, owner: User, email: str, mentions: Any, said: str | None
) -> None:
    owner.email, owner.name = email, "Ada <!channel>"
    owner.save()
    change_rules(wired.slack, actor=owner, mentions=mentions)
    _build, message = failed_build(wired, owner)
    text = posted(message, sandbox)
    assert text.startswith("❌ iOS build #7 failed")
    if said is None:
        assert "·" not in text
    else:
        assert text.partition(" · ")[2].startswith(said)


def test_a_lookup_that_fails_keeps_no_message_back(wired: Wired, sandbox: Any, owner: User) -> None:
    wired.slack.token = accounts.SLACK_NO_HISTORY_TOKEN  # which lacks users:read.email, too
    wired.slack.save()
    change_rules(wired.slack, actor=owner, mentions={"whom": "triggered"})
    _build, message = failed_build(wired, owner)
    assert posted(message, sandbox).endswith(f" · {owner.called}")


def test_a_test_is_sent_once_and_its_result_shown(
    wired: Wired, sandbox: Any, member_of: Any, client_for: Any, api_for: Any
) -> None:
    admin = client_for(member_of(wired.tenant, Role.ADMIN))
    page = f"/settings/messages/{wired.slack.pk}"
    for _press in range(2):
        answer = admin.post(f"{page}/test", {"channel": "C123"}, follow=True)
        assert "Being sent" in answer.content.decode()
    test = Effect.objects.get(kind="message.test")
    assert "test message from delivr" in posted(test, sandbox)
    shown = admin.get(f"{page}/test").content.decode()
    assert "Accepted" in shown
    assert "by Slack" in shown
    refused = admin.post(f"{page}/test", {"channel": "C9"}, follow=True).content.decode()
    assert "Choose one of this connection" in refused
    assert AuditEvent.objects.filter(action="message.tested").count() == 1
    api = api_for(wired.tenant, Role.ADMIN)
    url = f"/api/v1/integrations/communication/{wired.slack.pk}/test-messages"
    sent = api.post(url, {"channel": "C123"})
    assert (sent.status_code, sent.json()["kind"]) == (201, "message.test")
    assert api.post(url, {}).json()["errors"].keys() == {"channel"}


def test_a_test_takes_its_turn_in_the_channel(
    wired: Wired, sandbox: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slack, "pace", timedelta(minutes=1))
    test = send_test(wired.slack, actor=owner, channel="C123")
    where = {"tenant_id": wired.tenant.pk, "integration_id": wired.slack.pk}
    with in_turn(**where, pace=Pace("C123", Slack.pace)):
        run_effect(test.pk)
    waiting = fresh(test)
    assert (waiting.state, waiting.dispatched_at) == (EffectState.PENDING, None)
    assert waiting.next_at > timezone.now() + timedelta(seconds=50)
    assert not sandbox.state.slack.messages


def test_a_test_that_cannot_be_looked_up_is_sent_once_more(
    wired: Wired, sandbox: Any, owner: User
) -> None:
    wired.slack.token = accounts.SLACK_NO_HISTORY_TOKEN
    wired.slack.save()
    test = send_test(wired.slack, actor=owner, channel="C123")
    sandbox.state.faults.add("drop_after", provider="slack", path="*/chat.postMessage", count=1)
    run_effect(test.pk)
    assert fresh(test).state == EffectState.PENDING
    assert rerun_when_settled(test).state == EffectState.DONE
    assert len(sandbox.state.slack.messages) == 2


def test_a_test_that_is_refused_says_why_and_what_to_do(
    wired: Wired, member_of: Any, client_for: Any
) -> None:
    CommunicationIntegration.objects.filter(pk=wired.slack.pk).update(recipients=["C0GONE"])
    admin = client_for(member_of(wired.tenant, Role.ADMIN))
    page = f"/settings/messages/{wired.slack.pk}"
    admin.post(f"{page}/test", {"channel": "C0GONE"})
    run_effect(Effect.objects.get(kind="message.test").pk)
    shown = admin.get(f"{page}/preview").content.decode()
    assert "Not sent" in shown
    assert "Slack does not know this channel" in shown
    assert "Enter the channel&#x27;s ID" in shown
