"""Who hears what: rules, presets, mentions, mute, previews and tests of messages."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.messages.events import BY_EVENT, Notice
from releases.messages.muting import MUTED, mute, unmute
from releases.messages.notices import notify
from releases.messages.operations import change_rules
from releases.messages.rules import Rule, different, rule_for
from releases.models import Release
from releases.tests.pages import text_of
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def slack(setup: Any) -> Any:
    setup.slack.recipients = ["C1", "C2"]
    setup.slack.save()
    return setup.slack


def rules(slack: Any, channel: str = "C1") -> dict[str, str]:
    slack.refresh_from_db()
    return {event: rule_for(slack, channel, notice).value for event, notice in BY_EVENT.items()}


STEPS = {"build.queued", "build.started", "build.complete"}


def test_presets_fill_the_rules_and_replace_what_differed(slack: Any, owner: Any) -> None:
    normal = rules(slack)
    assert {event for event, rule in normal.items() if rule == "thread"} == STEPS
    assert {rule for event, rule in normal.items() if event not in STEPS} == {"on"}
    change_rules(slack, actor=owner, rules={"C1": {"build.started": "off", "build.failed": "on"}})
    assert different(slack) == {}, "the row that was passed is not touched"
    slack.refresh_from_db()
    assert slack.rules == {"C1": {"build.started": "off"}}, "only what differs is stored"
    assert (rules(slack)["build.started"], rules(slack, "C2")["build.started"]) == ("off", "thread")
    change_rules(slack, actor=owner, preset="everything")
    assert set(rules(slack).values()) == {"on"}
    change_rules(slack, actor=owner, preset="quiet", rules={"C2": {"build.started": "thread"}})
    assert rules(slack)["release.submitted"] == "off"
    assert rules(slack, "C2")["build.started"] == "thread"
    rows = AuditEvent.objects.filter(action="integration.rules_changed").order_by("pk")
    assert [row.changes for row in rows] == [
        {"C1": [{}, {"build.started": "off"}]},
        {"preset": ["normal", "everything"], "C1": [{"build.started": "off"}, {}]},
        {"preset": ["everything", "quiet"], "C2": [{}, {"build.started": "thread"}]},
    ]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"preset": "loud"}, "preset", "Choose one of: quiet, normal, everything."),
        ({"rules": {"C9": {}}}, "rules", "“C9” is not a channel of this connection."),
        ({"rules": {"C1": {"build.exploded": "on"}}}, "rules", "no event “build.exploded”"),
        ({"rules": {"C1": {"build.failed": "x"}}}, "rules", "build.failed: Choose one of: on, off"),
        ({"mentions": {"whom": "all"}}, "whom", "Choose one of: nobody"),
        ({"mentions": {"whom": "group"}}, "group", "Name the group"),
        ({"mentions": {"whom": "group", "group": "@devs"}}, "group", "not its name"),
    ],
)
def test_what_is_not_known_is_refused_with_words(
    slack: Any, owner: Any, changes: Any, field: str, words: str
) -> None:
    with pytest.raises(ValidationError) as error:
        change_rules(slack, actor=owner, **changes)
    assert words in " ".join(error.value.message_dict[field])
    assert rules(slack) == rules(slack, "C2")
    assert not AuditEvent.objects.filter(action="integration.rules_changed").exists()


def test_thousands_of_unknown_channels_cost_no_more_than_some(slack: Any, owner: Any) -> None:
    """Each complaint names all channels: a request of 1 MB would have become gigabytes."""
    wrong: Any = {f"C{n}": {} for n in range(10, 5000)}
    with pytest.raises(ValidationError) as error:
        change_rules(slack, actor=owner, rules=wrong)
    assert len(error.value.message_dict["rules"]) == 20


def test_messages_are_created_as_the_rules_say(slack: Any, setup: Any, owner: Any) -> None:
    change_rules(slack, actor=owner, rules={"C1": {"release.created": "off"}})
    release = setup.release()
    notify(release, Notice.BUILD_STARTED, words={"platform": "iOS"})
    told = Effect.objects.filter(release_id=release.pk, kind="message.post")
    places = {(e.payload["notice"], e.payload["channel"]) for e in told}
    assert places == {
        ("release_created", "C2"),
        ("build_started", "C1"),
        ("build_started", "C2"),
    }
    assert rule_for(slack, "C1", Notice.BUILD_STARTED) == Rule.THREAD


def test_a_muted_release_sends_nothing_then_nor_later(setup: Any, owner: Any) -> None:
    release = setup.release()
    created = Effect.objects.get(release_id=release.pk, payload__notice="release_created")
    muted = mute(release=release, actor=owner)
    created.refresh_from_db()
    assert (created.state, created.last_error) == (EffectState.CANCELLED, MUTED)
    assert muted.muted_by == owner
    assert mute(release=release, actor=None).muted_by == owner
    notify(Release.objects.get(pk=release.pk), Notice.RELEASE_CANCELLED)
    unmute(release=release, actor=owner)
    unmute(release=release, actor=owner)
    notify(Release.objects.get(pk=release.pk), Notice.RELEASE_COMPLETE)
    told = Effect.objects.filter(release_id=release.pk, kind="message.post").order_by("created_at")
    assert [e.payload["notice"] for e in told] == ["release_created", "release_complete"]
    rows = AuditEvent.objects.filter(action__endswith="muted").order_by("pk")
    assert [(row.action, "cancelled_messages" in row.changes) for row in rows] == [
        ("release.muted", True),
        ("release.unmuted", False),
    ]


def test_a_connection_that_is_gone_is_told_nothing(setup: Any) -> None:
    """A release that is over may still be marked, and its chat disconnected meanwhile."""
    release = setup.release()
    type(setup.slack).objects.filter(pk=setup.slack.pk).update(disconnected_at=timezone.now())
    before = Effect.objects.count()
    notify(Release.objects.get(pk=release.pk), Notice.RELEASE_RELEASED)
    assert Effect.objects.count() == before


# --- Pages ----------------------------------------------------------------------------------------


def test_pages_change_the_rules_of_one_channel_or_of_all(
    slack: Any, admin: Any, member: Any
) -> None:
    page = f"/settings/messages/{slack.pk}"
    sent = {"channel": "C1", "build.started": "off"}
    answer = admin.post(f"{page}/rules", sent, follow=True)
    assert "1 changed" in text_of(answer)
    assert rules(slack, "C2")["build.started"] == "thread"
    admin.post(f"{page}/rules", {**sent, "everywhere": "1"})
    assert rules(slack, "C2")["build.started"] == "off"
    admin.post(f"{page}/rules", {"channel": "C1", "reset": "1"})
    assert (rules(slack)["build.started"], rules(slack, "C2")["build.started"]) == ("thread", "off")
    admin.post(page, {"reset": "1"})
    assert slack.rules != {}
    slack.refresh_from_db()
    assert slack.rules == {}
    wrong = admin.post(page, {"preset": "quiet", "whom": "group", "group": "devs"})
    assert "Enter the ID of a user group" in text_of(wrong)
    admin.post(page, {"preset": "quiet", "whom": "group", "group": "S0123"})
    slack.refresh_from_db()
    assert (slack.preset, slack.options["mentions"]) == (
        "quiet",
        {"whom": "group", "group": "S0123"},
    )
    shown = text_of(member.get("/settings/messages"))
    assert "Preset: Quiet" in shown
    assert "Save" not in shown
    assert member.post(page, {"preset": "normal"}).status_code == 403


def test_the_page_of_rules_takes_a_constant_number_of_queries(
    setup: Any, admin: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        factories.SlackFactory(tenant=setup.tenant, recipients=[f"C{n}" for n in range(20)])
    with django_assert_max_num_queries(12):
        page = admin.get("/settings/messages")
    assert page.content.count(b"<select") == 4 + 61 * len(BY_EVENT)
    with django_assert_max_num_queries(30):
        admin.get(f"/settings/messages/{setup.slack.pk}/preview")


def test_a_preview_shows_every_message_with_a_real_release_and_escapes_it(
    setup: Any, member: Any
) -> None:
    empty = text_of(member.get(f"/settings/messages/{setup.slack.pk}/preview"))
    assert "this preview uses sample data" in empty
    assert "Release 1.5.0 created" in empty
    release = setup.release("2.0.0")
    Release.objects.filter(pk=release.pk).update(branch="<b>&`main")
    page = member.get(f"/settings/messages/{setup.slack.pk}/preview")
    shown = text_of(page)
    assert "Release 2.0.0 created" in shown
    assert shown.count("2.0.0") > len(BY_EVENT)
    assert "Branch <code>&lt;b&gt;&amp;&#96;main</code>" in page.content.decode()
    assert f'href="http://testserver/releases/{release.pk}"' in page.content.decode() or (
        f"/releases/{release.pk}" in page.content.decode()
    )


def test_mute_is_a_state_of_the_page_with_its_undo(setup: Any, member: Any, viewer: Any) -> None:
    release = setup.release()
    muted = text_of(member.post(f"/releases/{release.pk}/mute", follow=True))
    assert "Muted: no messages about this release" in muted
    assert "Unmute" not in text_of(viewer.get(f"/releases/{release.pk}"))
    assert viewer.post(f"/releases/{release.pk}/mute", {"undo": "1"}).status_code == 403
    shown = text_of(member.post(f"/releases/{release.pk}/mute", {"undo": "1"}, follow=True))
    assert "Muted:" not in shown


def test_mute_and_its_end_are_in_the_timeline(setup: Any, owner: Any, api_for: Any) -> None:
    release = setup.release()
    api = api_for(setup.tenant, Role.VIEWER)

    def told() -> list[tuple[str, str]]:
        items = api.get(f"/api/v1/releases/{release.pk}").json()["timeline"]
        return [(one["title"], one["detail"]) for one in items if "muted" in one["title"]]

    by = f"by {owner.called}"
    mute(release=release, actor=owner)
    assert told() == [("Messages muted", by)]
    unmute(release=release, actor=None)
    mute(release=release, actor=owner)
    again = [("Messages muted", by), ("Messages unmuted", ""), ("Messages muted", by)]
    assert told() == again


def test_groups_are_loaded_from_the_chat(setup: Any, admin: Any, member: Any, sandbox: Any) -> None:
    url = f"/settings/messages/{setup.slack.pk}/groups"
    assert f'data-picker-url="{url}"' in admin.get("/settings/messages").content.decode()
    assert member.post(url).status_code == 403
    setup.slack.token = accounts.SLACK_BOT_TOKEN
    setup.slack.save()
    assert {"value": "S0MOBILE", "label": "@mobile · Mobile team"} in admin.post(url).json()[
        "options"
    ]
    setup.slack.token = accounts.SLACK_NO_HISTORY_TOKEN
    setup.slack.save()
    refused = admin.post(url)
    assert refused.status_code == 422
    assert "usergroups:read" in refused.json()["detail"]


def test_an_endpoint_has_rules_and_is_tested_on_its_own_page(setup: Any, admin: Any) -> None:
    endpoint = factories.EndpointFactory(tenant=setup.tenant)
    page = f"/integrations/communication/{endpoint.pk}"
    assert f'href="{page}"' in admin.get("/settings/messages").content.decode()
    preview = admin.get(f"/settings/messages/{endpoint.pk}/preview")
    assert (preview.status_code, preview["Location"]) == (302, page)
    admin.post(f"/settings/messages/{endpoint.pk}/test", {"channel": "x"})
    assert Effect.objects.get(integration_id=endpoint.pk).kind == "event.send"


def test_a_thousand_messages_are_cut(setup: Any, viewer: Any) -> None:
    release = setup.release()
    first = Effect.objects.filter(release_id=release.pk, kind="message.post").first()
    for number in range(105):
        words = {"platform": "iOS", "number": number}
        payload = {"channel": "C1", "notice": "build_failed", "words": words}
        factories.EffectFactory(
            tenant=setup.tenant,
            kind="message.post",
            release_id=release.pk,
            integration_id=first.integration_id,
            payload=payload,
        )
    shown = viewer.get(f"/releases/{release.pk}").content.decode()
    assert shown.count("iOS build #") == 100
    assert f"/activity?q={release.pk}" in shown


def test_mute_says_whom_it_concerns(setup: Any, member: Any) -> None:
    release = setup.release()
    endpoint = factories.EndpointFactory(tenant=setup.tenant)
    release.communication_rows.create(tenant=setup.tenant, communication=endpoint)
    shown = text_of(member.get(f"/releases/{release.pk}"))
    assert "No messages about it go to Slack until it is unmuted." in shown
    assert "Events are still sent to Outgoing webhook." in shown


# --- API ------------------------------------------------------------------------------------------


def test_the_api_reads_and_changes_rules(slack: Any, setup: Any, api_for: Any) -> None:
    api = api_for(setup.tenant, Role.ADMIN)
    url = f"/api/v1/integrations/communication/{slack.pk}/rules"
    before = api.get(url).json()
    assert before["preset"] == "normal"
    assert before["rules"]["C1"]["build.started"] == "thread"
    assert (before["different"], before["mention"]) == ({}, "nobody")
    body = {"rules": {"C1": {"build.started": "off"}}, "mention": "triggered"}
    after = api.patch(url, body).json()
    assert after["different"] == {"C1": {"build.started": "off"}}
    assert after["mention"] == "triggered"
    assert api.patch(url, {"rules": {"C1": None}}).json()["different"] == {}
    wrong = api.patch(url, {"rules": {"C9": {"x": "on"}}, "preset": "loud", "mention": "me"})
    assert wrong.status_code == 400
    assert set(wrong.json()["errors"]) == {"rules", "preset", "mention"}
    assert api.patch(url, {"rules": []}).status_code == 400
    assert api_for(setup.tenant, Role.MEMBER).patch(url, {}).status_code == 403


def test_the_api_previews_and_mutes(setup: Any, api_for: Any) -> None:
    api = api_for(setup.tenant, Role.MEMBER)
    url = f"/api/v1/integrations/communication/{setup.slack.pk}/samples"
    assert api.get(url).json()["releaseId"] is None
    release = setup.release()
    found = api.get(url, {"releaseId": release.pk}).json()
    assert (found["releaseId"], len(found["messages"])) == (release.pk, len(BY_EVENT))
    assert found["messages"][0]["text"] == "📦 Release 1.5.0 created"
    assert "|Open the release>" in found["messages"][0]["detail"]
    assert api.get(url, {"releaseId": "rel_x"}).status_code == 404
    assert api.post(f"/api/v1/releases/{release.pk}/mute").json()["mutedAt"]
    assert api.delete(f"/api/v1/releases/{release.pk}/mute").json()["mutedAt"] is None


def test_both_fields_for_communications_have_to_agree(setup: Any, api_for: Any) -> None:
    api = api_for(setup.tenant, Role.MEMBER)
    other = factories.SlackFactory(tenant=setup.tenant)
    body = {
        "version": "1.5.0",
        "scmIntegrationId": setup.scm.pk,
        "targets": [setup.ios.pk],
        "pipelines": [setup.ios_job.pk],
        "communicationIds": [other.pk, setup.slack.pk],
    }
    refused = api.post("/api/v1/releases", {**body, "communicationId": setup.slack.pk})
    assert refused.status_code == 400
    assert set(refused.json()["errors"]) == {"communicationId"}
    made = api.post("/api/v1/releases", {**body, "communicationId": other.pk})
    assert made.json()["communicationIds"] == [other.pk, setup.slack.pk]
