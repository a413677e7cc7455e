"""Lost responses of Slack: the message is found, posted once (or at least once without access to
the history), and never blocks the release."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.models import Build
from builds.polling.poller import poll_build
from builds.tests.polling import running
from builds.tests.rerunning import rerun, rerun_when_settled
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.messages.in_place import change_messages
from releases.models import Release
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

POST_MESSAGE = {"provider": "slack", "path": "*/chat.postMessage"}


BUILDING = "🏗️ Release 1.5.1: 0 of 1 builds complete"


def messages(*, notice: str = "", kind: str = "message.post") -> list[Effect]:
    rows = Effect.objects.filter(kind__startswith=kind).order_by("created_at")
    return [e for e in rows if e.payload["notice"] == (notice or e.payload["notice"])]


def texts(sandbox: Any, channel: str = "C123") -> list[str]:
    return [m.text for m in sandbox.state.slack.in_channel(channel)]


def test_a_lost_response_is_found_and_the_message_not_posted_twice(
    wired: Wired, sandbox: Any
) -> None:
    wired.release("ios", slack=True)
    sandbox.state.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    effect = messages()[0]
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING
    assert rerun(effect).state == EffectState.DONE
    assert texts(sandbox, effect.payload["channel"]) == ["📦 Release 1.5.1 created"]


def test_a_reply_whose_response_was_lost_is_found_in_its_thread(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios", slack=True)
    for effect in messages():
        run_effect(effect.pk)
    run_effect(trigger_of(build).pk)
    Build.objects.update(poll_at=timezone.now())
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    started = messages(notice="build_started")[0]
    sandbox.state.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    run_effect(started.pk)
    assert rerun(started).state == EffectState.DONE
    posted = texts(sandbox, started.payload["channel"])
    assert posted == [BUILDING, "🚀 iOS build #245 started"]


def gone_parent(wired: Wired, sandbox: Any) -> Effect:
    """A message about a build; the first message of its thread was deleted."""
    build = wired.build("ios", slack=True)
    for effect in messages():
        run_effect(effect.pk)
    run_effect(trigger_of(build).pk)
    running(build)
    started = next(e for e in messages(notice="build_started") if e.payload["channel"] == "C123")
    chat = sandbox.state.slack
    chat.delete(chat.in_channel("C123")[0])
    return started


def test_a_reply_whose_parent_was_deleted_is_posted_to_the_channel(
    wired: Wired, sandbox: Any
) -> None:
    """Slack does not report this: it accepts the message and answers ok."""
    started = gone_parent(wired, sandbox)
    run_effect(started.pk)
    assert fresh(started).state == EffectState.DONE
    [posted] = sandbox.state.slack.in_channel("C123")
    assert (posted.text, posted.is_reply) == ("🚀 iOS build #245 started", False)


def test_a_lost_response_is_found_in_the_channel_if_the_parent_was_deleted(
    wired: Wired, sandbox: Any
) -> None:
    started = gone_parent(wired, sandbox)
    sandbox.state.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    run_effect(started.pk)
    assert fresh(started).state == EffectState.PENDING
    assert rerun(started).state == EffectState.DONE
    assert texts(sandbox) == ["🚀 iOS build #245 started"]


def test_without_access_to_history_a_message_is_posted_at_least_once(
    wired: Wired, sandbox: Any
) -> None:
    wired.slack.token = accounts.SLACK_NO_HISTORY_TOKEN
    wired.slack.save()
    wired.release("ios", slack=True)
    sandbox.state.faults.add(**POST_MESSAGE, kind="drop_after", count=1)
    effect = messages()[0]
    run_effect(effect.pk)
    assert rerun_when_settled(effect).state == EffectState.DONE
    assert len(texts(sandbox, effect.payload["channel"])) == 2


def test_messages_go_out_in_order_into_the_releases_thread(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    Build.objects.update(poll_at=timezone.now())
    poll_build(build.pk)
    for effect in messages()[::-1]:  # the last message first
        run_effect(effect.pk)
    assert [e.state for e in messages()] == ["DONE"] * 2 + ["PENDING"] * 6
    for _n in range(6):
        for effect in messages():
            rerun(effect)
    for channel in accounts.SLACK_CHANNELS:
        posted = sandbox.state.slack.in_channel(channel)
        failed = "⚠️ Release 1.5.1: builds finished, but not all succeeded"
        mine = "❌ iOS build #245 failed"
        assert [m.text for m in posted] == [failed, mine, mine, failed]
        assert [m.thread_ts for m in posted[1:]] == [posted[0].ts] * 3
        assert [m.broadcast for m in posted] == [False, False, True, True]


@pytest.mark.parametrize("refusal", ["edit_window_closed", "deleted"])
def test_a_message_that_slack_does_not_let_edit_is_followed_by_a_reply(
    wired: Wired, sandbox: Any, refusal: str
) -> None:
    in_channels(wired, "C123")
    build = wired.build("ios", slack=True)
    run_effect(messages()[0].pk)
    run_effect(trigger_of(build).pk)
    chat = sandbox.state.slack
    run_effect(messages()[1].pk)
    parent, queued = chat.in_channel("C123")
    assert queued.text == "⏳ iOS build queued"
    if refusal == "deleted":
        chat.delete(queued)
    else:
        queued.refuses_edits = refusal
    running(build)
    for _n in range(3):
        for effect in messages(kind="message."):
            if effect.state == EffectState.PENDING:
                rerun(effect)
    last = chat.in_channel("C123")[-1]
    assert (last.text, last.thread_ts) == ("🚀 iOS build #245 started", parent.ts)
    assert parent.edited_ts
    assert "🚀 iOS build #245 started" in str(parent.blocks)


def test_a_message_wakes_the_next_one(wired: Wired, sandbox: Any) -> None:
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
def test_failures_of_slack_never_block_the_release(
    wired: Wired, sandbox: Any, fault: dict[str, Any]
) -> None:
    sandbox.state.faults.add(provider="slack", **fault)
    build = wired.build("ios", slack=True)
    sweep_until_idle(limit=4)
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    sandbox.state.jenkins.finish("ios-prod", 245)
    Build.objects.update(poll_at=timezone.now())
    poll_build(build.pk)
    assert Release.objects.get().status == "BUILD_COMPLETE"
    every = "message."
    assert {e.state for e in messages(kind=every)} == {EffectState.PENDING}
    sandbox.state.faults.clear()
    for _n in range(8):
        for effect in messages(kind=every):
            if effect.state == EffectState.PENDING:
                rerun_when_settled(effect) if effect.dispatched_at else rerun(effect)
    assert {e.state for e in messages(kind=every)} == {EffectState.DONE}
    ready = "🏁 Release 1.5.1: all builds complete, ready for submission"
    assert texts(sandbox) == [ready, "✅ iOS build #245 complete", ready]


def test_a_failing_channel_does_not_block_the_other(wired: Wired, sandbox: Any) -> None:
    wired.slack.recipients = ["C999", "C123"]  # the first one is archived
    wired.slack.save()
    build = wired.build("ios", slack=True)
    sweep_until_idle(limit=6)
    states = {e.payload["channel"]: e.state for e in messages(notice="release_created")}
    assert states == {"C999": EffectState.DEAD, "C123": EffectState.DONE}
    assert texts(sandbox)[0] == BUILDING
    assert fresh(build).status != "TRIGGER_FAILED"


def in_channels(wired: Wired, *channels: str) -> None:
    wired.slack.recipients = list(channels)
    wired.slack.save()


def test_a_retried_message_goes_to_a_channel_that_is_chosen_now(wired: Wired, sandbox: Any) -> None:
    in_channels(wired, "C999")  # archived
    wired.release("ios", slack=True)
    run_effect(messages()[0].pk)
    dead = messages()[0]
    assert dead.state == EffectState.DEAD
    in_channels(wired, "C123")
    retry_effect(effect=dead, actor=None)
    run_effect(dead.pk)
    sent = fresh(dead)
    assert (sent.state, sent.payload["channel"]) == (EffectState.DONE, "C123")
    assert f":message:{sent.integration_id}:C123:" in sent.dedupe_key
    assert texts(sandbox) == ["📦 Release 1.5.1 created"]


def test_a_retried_edit_ends_if_its_channel_is_no_longer_chosen(wired: Wired, sandbox: Any) -> None:
    in_channels(wired, "C123")
    wired.build("ios", slack=True)
    post = messages()[0]
    run_effect(post.pk)
    change_messages(
        Release.objects.get(), [fresh(post)], {"notice": "release_created", "words": {}}
    )
    [edit] = messages(kind="message.edit")
    sandbox.state.slack.archived.add("C123")
    run_effect(edit.pk)
    assert fresh(edit).state == EffectState.DEAD
    retry_effect(effect=fresh(edit), actor=None)
    run_effect(edit.pk)
    assert fresh(edit).state == EffectState.DEAD, "it is still the chosen channel"
    in_channels(wired, "C456")
    retry_effect(effect=fresh(edit), actor=None)
    run_effect(edit.pk)
    assert fresh(edit).state == EffectState.CANCELLED
    assert "no longer selected" in fresh(edit).last_error


def test_a_retried_message_is_not_posted_twice_in_a_channel(wired: Wired, sandbox: Any) -> None:
    in_channels(wired, "C999", "C123")
    wired.release("ios", slack=True)
    for effect in messages():
        run_effect(effect.pk)
    [dead] = [e for e in messages() if e.state == EffectState.DEAD]
    in_channels(wired, "C123")
    with pytest.raises(ValidationError) as caught:
        retry_effect(effect=dead, actor=None)
    assert "no longer selected" in str(caught.value)
    assert fresh(dead).state == EffectState.DEAD
    in_channels(wired, "C999", "C123")
    retry_effect(effect=dead, actor=None)  # its own channel is tried again
    assert fresh(dead).payload["channel"] == "C999"


def test_names_cannot_mention_everybody(wired: Wired, sandbox: Any) -> None:
    release = wired.release("ios", slack=True)
    Release.objects.filter(pk=release.pk).update(branch="<!channel>&<@U1>")
    run_effect(messages()[0].pk)
    (message,) = sandbox.state.slack.messages
    assert "<!channel>" not in str(message.blocks) + message.text
    assert "&lt;!channel&gt;&amp;&lt;@U1&gt;" in str(message.blocks)
