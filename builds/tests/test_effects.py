"""Lost answers of Jenkins, Slack and Jira: found again, never doubled, or shown to a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.hearing import News, hear
from builds.models import Build, Source
from builds.poller import poll_build
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to
from integrations import operations as integrations
from integrations.providers.base import BuildStatus
from integrations.verification import verify
from releases.models import Release, ReleaseTarget
from sandbox import accounts

pytestmark = pytest.mark.django_db

TRIGGER = {"provider": "jenkins", "method": "POST", "path": "*/buildWithParameters"}
POST_MESSAGE = {"provider": "slack", "path": "*/chat.postMessage"}
CREATE_EPIC = {"provider": "jira", "method": "POST", "path": "*/issue"}


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


def again(effect: Effect, **changes: Any) -> Effect:
    """Run the effect as if its time had come, and nothing had made its integration rest."""
    IntegrationHealth.objects.all().delete()
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now(), **changes)
    run_effect(effect.pk)
    found: Effect = fresh(effect)
    return found


def settled(effect: Effect) -> Effect:
    """Run it after whatever was sent has had all the time to appear."""
    return again(effect, dispatched_at=timezone.now() - timedelta(minutes=5))


def queued(sandbox: Any, job: str = "ios-prod") -> int:
    """How many builds Jenkins was made to queue."""
    return len(sandbox.world.ledger.of("build.queued", job=job))


# --- Jenkins -------------------------------------------------------------------------------------


def test_a_trigger_sends_version_branch_our_id_and_the_declared_own_parameters(
    wired: Wired, sandbox: Any
) -> None:
    release = wired.release("ios")
    release.pipelines.update(parameters={"TRACK": "x"})  # this job does not declare it
    (build,) = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    (entry,) = sandbox.world.ledger.of("build.queued")
    assert entry["parameters"] == {
        "VERSION": release.version,
        "BRANCH": release.branch,
        "DELIVR_BUILD_ID": build.pk,
    }
    assert fresh(build).status == "QUEUED"


LOSSES = [
    {"kind": "drop_after"},
    {"kind": "no_location"},
]


@pytest.mark.parametrize("fault", LOSSES, ids=str)
def test_a_triggers_lost_answer_is_found_by_our_id(
    wired: Wired, sandbox: Any, fault: dict[str, Any]
) -> None:
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, **fault, count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING
    assert fresh(effect).dispatched_at is not None
    assert fresh(build).status == "TRIGGERING"
    assert again(effect).state == EffectState.DONE
    assert queued(sandbox) == 1
    assert fresh(build).status == "RUNNING"
    assert fresh(build).number == 245


def test_a_lost_answer_is_found_in_the_queue_too(wired: Wired, sandbox: Any) -> None:
    sandbox.world.jenkins.job("ios-prod").executors = 0
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    assert again(effect).state == EffectState.DONE
    assert (fresh(build).status, fresh(build).queue_id) == ("QUEUED", 1001)
    assert queued(sandbox) == 1


def test_a_lost_answer_is_found_after_the_build_ended(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    sandbox.world.jenkins.finish("ios-prod", 245, "FAILURE")
    assert again(effect).state == EffectState.DONE
    assert fresh(build).status == "FAILURE"
    assert queued(sandbox) == 1


def test_a_lost_answer_needs_no_search_where_a_webhook_named_the_build(
    wired: Wired, sandbox: Any
) -> None:
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    hear(build.pk, News(status=BuildStatus.RUNNING, source=Source.WEBHOOK, number=245))
    job = sandbox.world.jenkins.job("ios-prod")
    job.executors = 1_000
    for n in range(300):  # more than a search looks through
        sandbox.world.jenkins.enqueue(job, {"n": str(n)}, user="someone", delay=0)
    assert again(effect).state == EffectState.DONE
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 245)


def test_what_was_never_done_is_sent_again_once_that_is_sure(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, kind="drop_before", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    waiting = again(effect)
    assert (waiting.state, waiting.reconciles) == (EffectState.PENDING, 1)
    assert queued(sandbox) == 0
    assert settled(effect).state == EffectState.DONE
    assert queued(sandbox) == 1
    assert fresh(build).status == "QUEUED"


def test_a_job_that_cannot_carry_our_id_goes_to_a_person(tenant: Any, sandbox: Any) -> None:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    dead = again(effect)
    assert (dead.state, dead.last_error_code) == (EffectState.DEAD, "cannot_correlate")
    assert "DELIVR_BUILD_ID" in dead.last_error
    assert dead.last_error_hint
    assert fresh(build).status == "TRIGGER_FAILED"
    assert Release.objects.get().status == "BUILD_FAILED"
    run_effect(effect.pk)
    sweep_until_idle(limit=3)
    assert queued(sandbox, "ios-no-build-id") == 1


def test_a_person_may_send_it_again(tenant: Any, sandbox: Any, owner: Any) -> None:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    build = wired.build("ios")
    sandbox.world.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    retry_effect(effect=again(effect), actor=owner)
    assert fresh(build).status == "TRIGGERING"
    assert again(effect).state == EffectState.DONE
    assert fresh(build).status == "QUEUED"


def test_such_a_job_works_while_no_answer_is_lost(tenant: Any, sandbox: Any) -> None:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 88)


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ("/job/ios-disabled", "disabled"),
        ("/job/gone", "not_found"),
        ("/job/ios-misnamed", ""),
        ("/job/mobile", ""),
    ],
)
def test_a_refused_trigger_fails_at_once_with_words(
    tenant: Any, sandbox: Any, job: str, code: str
) -> None:
    build = wired_to(tenant, sandbox, jobs={"ios": job}).build("ios", slack=True)
    effect = trigger_of(build)
    run_effect(effect.pk)
    dead = fresh(effect)
    assert dead.state == EffectState.DEAD
    assert code in dead.last_error_code
    assert dead.last_error
    assert dead.last_error_hint
    assert fresh(build).status == "TRIGGER_FAILED"
    assert build.events.get().detail == dead.last_error
    told = {e.payload["notice"] for e in Effect.objects.filter(kind="message.post")}
    assert told == {"release_created", "build_not_started", "release_failed"}
    assert len(sandbox.world.ledger.of("build.queued")) == 0


def test_a_trigger_of_a_past_hour_is_not_sent(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    effect = again(trigger_of(build), expires_at=timezone.now() - timedelta(seconds=1))
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "expired")
    assert fresh(build).status == "TRIGGER_FAILED"
    assert queued(sandbox) == 0


def test_refused_credentials_wait_for_the_connection_to_be_mended(
    wired: Wired, sandbox: Any
) -> None:
    pipeline = wired.pipelines["ios"]
    pipeline.jenkins_api_token = "revoked"
    pipeline.save()
    build = wired.build("ios")
    effect = trigger_of(build)
    run_effect(effect.pk)
    assert (fresh(effect).state, fresh(build).status) == (EffectState.PENDING, "TRIGGERING")
    assert fresh(pipeline).verification_status == "INVALID"
    integrations.edit(
        pipeline, actor=None, values={"jenkins_api_token": accounts.JENKINS_API_TOKEN}
    )
    verify(fresh(pipeline))
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DONE
    assert queued(sandbox) == 1


def test_a_connection_that_is_gone_fails_the_trigger_in_words(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    Release.objects.update(status="CANCELLED")
    integrations.disconnect(wired.pipelines["ios"], actor=None)
    Release.objects.update(status="BUILDING")
    effect = again(trigger_of(build))
    assert effect.last_error
    assert queued(sandbox) == 0


# --- Slack ---------------------------------------------------------------------------------------


def messages(*, notice: str = "") -> list[Effect]:
    rows = Effect.objects.filter(kind="message.post").order_by("created_at")
    return [e for e in rows if e.payload["notice"] == (notice or e.payload["notice"])]


def texts(sandbox: Any, channel: str = "C123") -> list[str]:
    return [m.text for m in sandbox.world.slack.in_channel(channel)]


def test_a_messages_lost_answer_is_found_and_not_said_twice(wired: Wired, sandbox: Any) -> None:
    wired.release("ios", slack=True)
    sandbox.world.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    effect = messages()[0]
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING
    assert again(effect).state == EffectState.DONE
    assert texts(sandbox, effect.payload["channel"]) == ["📦 Release 1.5.1 created"]


def test_a_reply_whose_answer_was_lost_is_found_in_its_thread(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios", slack=True)
    for effect in messages():
        run_effect(effect.pk)
    run_effect(trigger_of(build).pk)
    Build.objects.update(poll_at=timezone.now())
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    started = messages(notice="build_started")[0]
    sandbox.world.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    run_effect(started.pk)
    assert again(started).state == EffectState.DONE
    said = texts(sandbox, started.payload["channel"])
    assert said == ["📦 Release 1.5.1 created", "🚀 iOS build #245 started"]


def test_where_history_is_closed_a_message_is_said_at_least_once(
    wired: Wired, sandbox: Any
) -> None:
    wired.slack.slack_bot_token = accounts.SLACK_NO_HISTORY_TOKEN
    wired.slack.save()
    wired.release("ios", slack=True)
    sandbox.world.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    effect = messages()[0]
    run_effect(effect.pk)
    assert settled(effect).state == EffectState.DONE
    assert len(texts(sandbox, effect.payload["channel"])) == 2


def test_messages_go_out_in_order_into_the_releases_thread(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    sandbox.world.jenkins.finish("ios-prod", 245, "FAILURE")
    Build.objects.update(poll_at=timezone.now())
    poll_build(build.pk)
    for effect in messages()[::-1]:  # the worst order
        run_effect(effect.pk)
    assert [e.state for e in messages() if e.payload["notice"] != "release_created"] == (
        ["PENDING"] * 6
    )
    for _n in range(6):
        for effect in messages():
            again(effect)
    for channel in accounts.SLACK_CHANNELS:
        said = sandbox.world.slack.in_channel(channel)
        assert [m.text for m in said] == [
            "📦 Release 1.5.1 created",
            "🚀 iOS build #245 started",
            "❌ iOS build #245 failed",
            "⚠️ Release 1.5.1: the builds are done, not all of them succeeded",
        ]
        assert [m.thread_ts for m in said[1:]] == [said[0].ts] * 3
        assert [m.broadcast for m in said] == [False, False, True, True]


def test_a_message_lets_the_next_one_go_at_once(wired: Wired, sandbox: Any) -> None:
    wired.build("ios", slack=True)
    first = messages()[0]
    channel = first.payload["channel"]
    later = Effect.objects.create(
        tenant=wired.tenant,
        kind="message.post",
        integration_id=wired.slack.pk,
        release_id=first.release_id,
        dedupe_key="next",
        payload={"channel": channel, "notice": "release_complete", "words": {}},
        next_at=timezone.now(),
        expires_at=first.expires_at,
    )
    run_effect(later.pk)
    assert fresh(later).next_at > timezone.now()
    run_effect(first.pk)
    assert fresh(later).next_at <= timezone.now()


SLACK_TROUBLE = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "retry_after": 30},
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "html_200"},
    {"kind": "garbage"},
]


@pytest.mark.parametrize("fault", SLACK_TROUBLE, ids=str)
def test_slacks_trouble_never_harms_the_release(
    wired: Wired, sandbox: Any, fault: dict[str, Any]
) -> None:
    sandbox.world.faults.add(provider="slack", **fault)
    build = wired.build("ios", slack=True)
    sweep_until_idle(limit=4)
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    sandbox.world.jenkins.finish("ios-prod", 245)
    Build.objects.update(poll_at=timezone.now())
    poll_build(build.pk)
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert {e.state for e in messages()} == {EffectState.PENDING}
    sandbox.world.faults.clear()
    for _n in range(8):
        for effect in messages():
            if effect.state == EffectState.PENDING:
                settled(effect) if effect.dispatched_at else again(effect)
    assert {e.state for e in messages()} == {EffectState.DONE}
    assert len(texts(sandbox)) == len(set(texts(sandbox))) == 4


def test_a_channel_that_refuses_does_not_silence_the_other(wired: Wired, sandbox: Any) -> None:
    wired.slack.slack_channels = ["C999", "C123"]  # the first one is archived
    wired.slack.save()
    build = wired.build("ios", slack=True)
    sweep_until_idle(limit=6)
    states = {e.payload["channel"]: e.state for e in messages(notice="release_created")}
    assert states == {"C999": EffectState.DEAD, "C123": EffectState.DONE}
    assert texts(sandbox)[0] == "📦 Release 1.5.1 created"
    assert fresh(build).status != "TRIGGER_FAILED"


def test_names_cannot_speak_to_everybody(wired: Wired, sandbox: Any) -> None:
    release = wired.release("ios", slack=True)
    Release.objects.filter(pk=release.pk).update(branch="<!channel>&<@U1>")
    run_effect(messages()[0].pk)
    (message,) = sandbox.world.slack.messages
    assert "<!channel>" not in str(message.blocks) + message.text
    assert "&lt;!channel&gt;&amp;&lt;@U1&gt;" in str(message.blocks)


# --- Jira ----------------------------------------------------------------------------------------


def epics() -> list[Effect]:
    return list(Effect.objects.filter(kind="ticket.create_epic").order_by("created_at"))


def test_each_target_gets_its_epic(wired: Wired, sandbox: Any) -> None:
    wired.release(jira=True)
    for effect in epics():
        run_effect(effect.pk)
    issues = sandbox.world.jira.issues
    assert [i.summary for i in issues] == ["Release 1.5.1: iOS", "Release 1.5.1: Android"]
    assert [t.epic_key for t in ReleaseTarget.objects.all()] == [i.key for i in issues]
    assert all(t.epic_url.endswith(t.epic_key) for t in ReleaseTarget.objects.all())


def test_an_epics_lost_answer_is_found_although_search_lags(wired: Wired, sandbox: Any) -> None:
    wired.release("ios", jira=True)
    (effect,) = epics()
    sandbox.world.faults.add(**CREATE_EPIC, kind="drop_after", count=1)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING
    assert again(effect).state == EffectState.PENDING  # not in the index yet
    assert len(sandbox.world.jira.issues) == 1
    sandbox.world.advance(10)
    assert again(effect).state == EffectState.DONE
    assert len(sandbox.world.jira.issues) == 1
    assert ReleaseTarget.objects.get().epic_key == sandbox.world.jira.issues[0].key


def test_an_epic_that_never_came_to_be_is_created_once(wired: Wired, sandbox: Any) -> None:
    wired.release("ios", jira=True)
    (effect,) = epics()
    sandbox.world.faults.add(**CREATE_EPIC, kind="drop_before", count=1)
    run_effect(effect.pk)
    once = settled(effect)
    assert (once.state, sandbox.world.jira.issues) == (EffectState.PENDING, [])
    assert once.next_at > timezone.now() + timedelta(seconds=50)  # it is looked for a second time
    again(effect, absent_at=timezone.now() - timedelta(seconds=61))
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.world.jira.issues) == 1


def test_an_epic_that_search_shows_only_at_the_second_look_is_not_made_again(
    wired: Wired, sandbox: Any
) -> None:
    sandbox.world.jira.search_lag = 200.0  # longer than is waited before the first sure look
    wired.release("ios", jira=True)
    (effect,) = epics()
    sandbox.world.faults.add(**CREATE_EPIC, kind="drop_after", count=1)
    run_effect(effect.pk)
    assert settled(effect).state == EffectState.PENDING
    sandbox.world.advance(240)
    again(effect, absent_at=timezone.now() - timedelta(seconds=61))
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.world.jira.issues) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_jiras_trouble_never_harms_the_release(wired: Wired, sandbox: Any, status: int) -> None:
    sandbox.world.faults.add(kind="status", provider="jira", status=status)
    release = wired.release("ios", jira=True)
    run_effect(epics()[0].pk)
    assert epics()[0].state == EffectState.PENDING
    (build,) = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "QUEUED"
