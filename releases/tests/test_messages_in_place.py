"""Messages that are edited: which rows a change creates, what is sent, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Self

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.cancelling import cancel_release
from builds.models import Build, Source
from builds.triggering import trigger_builds
from builds.updates.apply import BuildUpdate, apply_update, revive_build, trigger_failed
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import claim, run_effect
from delivr.failures import Outcome, ProviderError
from delivr.tests import factories
from integrations.models import CommunicationIntegration
from integrations.providers import registry
from integrations.providers.base import Check
from integrations.providers.chat import (
    CANNOT_EDIT,
    MESSAGE_LOST,
    ChatProvider,
    Message,
    PostedMessage,
)
from integrations.providers.ci import BuildStatus
from releases.marks import set_mark
from releases.messages.notices import refresh
from releases.messages.sent import messages
from releases.models import Mark, Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


class Board(ChatProvider):
    """A chat in memory: messages by id, as they are now, and every call in order."""

    label = "Board"
    threads = edits_in_place = True
    now: ClassVar[dict[str, Message]] = {}
    calls: ClassVar[list[tuple[str, str]]] = []
    failure: ClassVar[ProviderError | None] = None

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls()

    def checks(self) -> Iterator[Check]:
        return iter(())

    @staticmethod
    def escape(text: str) -> str:
        return text

    @staticmethod
    def link(url: str, label: str) -> str:
        return f"[{label}]"

    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        self.calls.append(("post", message.text))
        self.now[correlation] = message
        return PostedMessage(channel=channel, id=correlation)

    def edit(self, *, channel: str, id: str, message: Message) -> None:
        self.calls.append(("edit", message.text))
        if self.failure is not None:
            raise self.failure
        old = self.now[id]
        self.now[id] = replace(message, thread=old.thread, broadcast=old.broadcast)


@pytest.fixture
def release(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> Release:
    """One iOS pipeline, and a connection to a board with one channel."""
    monkeypatch.setitem(registry.PROVIDERS, ("communication", "BOARD"), f"{__name__}.Board")
    monkeypatch.setattr(Board, "failure", None)
    Board.now.clear()
    Board.calls.clear()
    board = factories.SlackFactory(tenant=tenant, recipients=["all"])
    CommunicationIntegration.objects.update(communication_type="BOARD")
    found: Release = factories.ReleaseFactory(tenant=tenant, version="1.5.0", communication=board)
    factories.ReleasePipelineFactory(release=found)
    refresh(found)
    return found


@pytest.fixture
def build(release: Release) -> Build:
    """Its build, just triggered; nothing was sent yet."""
    return trigger_builds(release=release, actor=None)[0]


def rows(kind: str = "message", **wanted: Any) -> list[Effect]:
    found = Effect.objects.filter(kind__startswith=kind, **wanted)
    return list(found.order_by("created_at", "pk"))


def send_all() -> None:
    """Send what is open, until nothing is; each when it is due."""
    for _n in range(20):
        for effect in rows(state__in=(EffectState.PENDING, EffectState.LEASED)):
            run_effect(effect.pk)
        if not rows(state=EffectState.PENDING):
            return
        Effect.objects.filter(state=EffectState.PENDING).update(next_at=timezone.now())
    raise AssertionError(rows(state=EffectState.PENDING))


def move(build: Build, status: BuildStatus, **more: Any) -> None:
    apply_update(build.pk, BuildUpdate(status=status, source=Source.POLL, number=245, **more))


def queued(build: Build) -> None:
    update = BuildUpdate(status=BuildStatus.QUEUED, source=Source.TRIGGER, queue_id=7)
    apply_update(build.pk, update)


def texts() -> list[str]:
    return [message.text for message in Board.now.values()]


STARTED, COMPLETE = "🚀 iOS build #245 started", "✅ iOS build #245 complete"
READY = "🏁 Release 1.5.0: all builds complete, ready for submission"
BUILDING = "🏗️ Release 1.5.0: 0 of 1 builds complete"


def test_a_build_has_one_message_that_follows_it_to_its_end(release: Release) -> None:
    send_all()
    assert texts() == ["📦 Release 1.5.0 created"]
    build = trigger_builds(release=release, actor=None)[0]
    seen = []
    for status in (None, BuildStatus.RUNNING, BuildStatus.SUCCESS):
        move(build, status) if status else queued(build)
        send_all()
        seen.append(texts())
    assert seen == [
        [BUILDING, "⏳ iOS build queued"],
        [BUILDING, STARTED],
        [READY, COMPLETE, READY],  # what matters is also a message of its own
    ]
    parent, mine, loud = Board.now
    assert (Board.now[mine].thread, Board.now[loud].thread) == (parent, parent)
    assert [Board.now[key].broadcast for key in (mine, loud)] == [False, True]
    assert Board.now[parent].lines == (f"{COMPLETE}",)
    set_mark(release=Release.objects.get(), mark=Mark.SUBMITTED, actor=None)
    send_all()
    assert Board.now[parent].text == "📮 Release 1.5.0 submitted to the stores"


def test_what_was_not_sent_yet_is_sent_once_with_the_newest_words(build: Build) -> None:
    queued(build)
    move(build, BuildStatus.RUNNING)
    assert [row.kind for row in rows()] == ["message.post"] * 2
    send_all()
    assert Board.calls == [("post", BUILDING), ("post", STARTED)]
    move(build, BuildStatus.SUCCESS)  # "started" again, and then "complete"
    assert len(rows("message.edit", build_id=build.pk)) == 1


@pytest.mark.parametrize("claimed", ["post", "edit"])
def test_what_may_be_on_its_way_is_followed_by_an_edit(build: Build, claimed: str) -> None:
    """A worker that has claimed it has perhaps read the old words."""
    queued(build)
    if claimed == "edit":
        send_all()
        move(build, BuildStatus.RUNNING)
    else:
        run_effect(rows()[0].pk)
    [effect] = rows(f"message.{claimed}", build_id=build.pk, state=EffectState.PENDING)
    assert claim(effect.pk) is not None
    move(build, BuildStatus.SUCCESS)
    later = rows("message.edit", build_id=build.pk)[-1]
    assert later.pk != effect.pk
    run_effect(later.pk)
    assert rows(pk=later.pk, state=EffectState.PENDING)  # it waits for the one on its way
    Effect.objects.filter(pk=effect.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    send_all()
    assert COMPLETE in texts()
    assert len(texts()) == 3


def test_an_edit_whose_response_was_lost_is_sent_again_at_once(build: Build) -> None:
    queued(build)
    send_all()
    move(build, BuildStatus.RUNNING)
    [edit] = rows("message.edit", build_id=build.pk, state=EffectState.PENDING)
    Board.failure = ProviderError("timeout", "No answer.", outcome=Outcome.UNCERTAIN)
    run_effect(edit.pk)
    [edit] = rows(pk=edit.pk)
    assert (edit.state, edit.last_error_code) == (EffectState.PENDING, "timeout")
    move(build, BuildStatus.SUCCESS)  # goes along with it
    Board.failure = None
    send_all()
    assert rows(pk=edit.pk)[0].state == EffectState.DONE
    assert texts() == [READY, COMPLETE, READY]
    assert len(rows("message.edit", build_id=build.pk)) == 1


@pytest.mark.parametrize("code", [CANNOT_EDIT, MESSAGE_LOST])
def test_a_build_whose_message_cannot_be_edited_gets_a_reply(build: Build, code: str) -> None:
    queued(build)
    send_all()
    parent, first = Board.now
    move(build, BuildStatus.RUNNING)
    Board.failure = ProviderError.refused(code, "It cannot be edited.")
    [edit] = rows("message.edit", build_id=build.pk, state=EffectState.PENDING)
    run_effect(edit.pk)
    Board.failure = None
    send_all()
    reply = list(Board.now)[2]
    assert (Board.now[reply].text, Board.now[reply].thread) == (STARTED, parent)
    move(build, BuildStatus.SUCCESS)  # the reply is the message now
    send_all()
    assert Board.now[reply].text == COMPLETE
    assert Board.now[first].text == "⏳ iOS build queued"


def test_a_lost_message_about_the_release_is_begun_anew(build: Build) -> None:
    send_all()
    [old] = Board.now
    queued(build)
    Board.failure = ProviderError.refused(MESSAGE_LOST, "The message was deleted.")
    for edit in rows("message.edit", build_id=""):
        run_effect(edit.pk)
    Board.failure = None
    send_all()
    new = next(key for key, message in Board.now.items() if key != old and message.lines)
    move(build, BuildStatus.SUCCESS)
    send_all()
    assert Board.now[new].text == READY
    assert not Board.now[new].thread
    assert Board.now[list(Board.now)[-1]].thread == new


def test_a_message_about_the_release_that_cannot_be_edited_keeps_its_thread(build: Build) -> None:
    send_all()
    [parent] = Board.now
    Board.failure = ProviderError.refused(CANNOT_EDIT, "Too late.")
    queued(build)
    send_all()
    move(build, BuildStatus.SUCCESS)
    send_all()
    replies = [message for key, message in Board.now.items() if key != parent]
    assert {message.thread for message in replies} == {parent}
    assert COMPLETE in [message.text for message in replies]


def test_a_new_edit_takes_the_place_of_one_that_failed(build: Build) -> None:
    queued(build)
    send_all()
    move(build, BuildStatus.RUNNING)
    Board.failure = ProviderError.refused("is_archived", "The channel is archived.")
    [edit] = rows("message.edit", build_id=build.pk, state=EffectState.PENDING)
    run_effect(edit.pk)
    assert rows(pk=edit.pk)[0].state == EffectState.DEAD
    Board.failure = None
    move(build, BuildStatus.SUCCESS)
    assert rows(pk=edit.pk)[0].state == EffectState.CANCELLED
    send_all()
    assert texts() == [READY, COMPLETE, READY]


def test_a_message_that_was_not_posted_says_what_is_so_when_it_is_retried(build: Build) -> None:
    queued(build)
    run_effect(rows()[0].pk)
    [post] = rows(build_id=build.pk, kind="message.post")
    Effect.objects.filter(pk=post.pk).update(state=EffectState.DEAD)
    move(build, BuildStatus.RUNNING)
    assert not rows("message.edit", build_id=build.pk)
    retry_effect(effect=Effect.objects.get(pk=post.pk), actor=None)
    send_all()
    assert STARTED in texts()


@pytest.mark.parametrize(
    ("preset", "posted"),
    [
        ("quiet", [BUILDING, "❌ iOS build #245 failed"]),
        ("normal", [BUILDING, "⏳ iOS build queued", "❌ iOS build #245 failed"]),
    ],
)
def test_the_rules_say_what_is_posted(build: Build, preset: str, posted: list[str]) -> None:
    """`on` is a message of its own, `thread` only the edit, `off` neither."""
    CommunicationIntegration.objects.update(preset=preset)
    send_all()
    queued(build)
    send_all()
    move(build, BuildStatus.RUNNING)
    send_all()
    move(build, BuildStatus.FAILURE)
    send_all()
    said = [text for how, text in Board.calls if how == "post"]
    assert said == [*posted, "⚠️ Release 1.5.0: builds finished, but not all succeeded"]
    failed = [m for m in Board.now.values() if m.text == "❌ iOS build #245 failed"]
    assert failed[-1].broadcast


def test_a_channel_that_is_chosen_later_gets_a_message_about_the_release(build: Build) -> None:
    send_all()
    CommunicationIntegration.objects.update(recipients=["all", "late"])
    queued(build)
    send_all()
    assert [text for how, text in Board.calls if how == "post"].count(BUILDING) == 2


def test_waiting_for_a_person_is_told_and_over_when_it_goes_on(build: Build) -> None:
    queued(build)
    move(build, BuildStatus.WAITING)
    send_all()
    waiting = "✋ iOS build #245 is waiting for approval"
    assert texts() == [BUILDING, waiting, waiting]
    move(build, BuildStatus.RUNNING)
    send_all()
    assert texts() == [BUILDING, STARTED, waiting]


def test_pipelines_of_one_platform_are_told_apart(release: Release) -> None:
    nightly = factories.PipelineFactory(tenant=release.tenant, display_name="ios-nightly")
    factories.ReleasePipelineFactory(release=release, pipeline=nightly)
    builds = trigger_builds(release=Release.objects.get(), actor=None)
    for build in builds:
        move(build, BuildStatus.RUNNING)
    send_all()
    assert "🚀 iOS build #245 started (ios-nightly)" in texts()
    assert len(set(texts())) == 3


def test_a_change_takes_as_many_queries_however_many_messages_there_are(build: Build) -> None:
    queued(build)
    send_all()
    counts = []
    for status, channels in ((BuildStatus.RUNNING, ["all"]), (BuildStatus.SUCCESS, ["all"])):
        CommunicationIntegration.objects.update(recipients=channels)
        with CaptureQueriesContext(connection) as asked:
            move(build, status)
        counts.append(len(asked))
        send_all()
    release = Release.objects.get()
    CommunicationIntegration.objects.update(recipients=["all", *"abcdefgh"])
    refresh(release)
    release = Release.objects.get()
    with CaptureQueriesContext(connection) as asked:
        refresh(release)
    many = len(asked)
    CommunicationIntegration.objects.update(recipients=["all"])
    release = Release.objects.get()
    with CaptureQueriesContext(connection) as asked:
        refresh(release)
    assert many <= len(asked) + 1


def test_the_page_shows_an_edited_message_as_one_line(build: Build) -> None:
    queued(build)
    send_all()
    move(build, BuildStatus.RUNNING)
    release = Release.objects.with_everything().get()
    shown = messages(release, rows(), timezone.now())
    assert [(one.text, one.state) for one in shown] == [
        ("iOS build #245 started", "PENDING"),
        ("Status of the release: 0 of 1 builds complete", "PENDING"),
    ]
    Board.failure = ProviderError.refused(
        "is_archived", "The channel is archived.", "Unarchive it."
    )
    [edit] = rows("message.edit", build_id=build.pk)
    run_effect(edit.pk)
    [[trouble]] = messages(release, rows(), timezone.now())[0].troubles
    assert (trouble.id, trouble.error, trouble.may_retry) == (
        edit.pk,
        "The channel is archived.",
        True,
    )
    Board.failure = None
    retry_effect(effect=rows(pk=edit.pk)[0], actor=None)
    send_all()
    assert [one.state for one in messages(release, rows(), timezone.now())] == ["DONE", "DONE"]
    assert STARTED in texts()


def test_no_two_messages_on_the_page_read_alike(build: Build) -> None:
    move(build, BuildStatus.SUCCESS)
    send_all()
    release = Release.objects.with_everything().get()
    shown = [one.text for one in messages(release, rows(), timezone.now())]
    assert "All builds complete" in shown
    assert "Status of the release: All builds complete" in shown
    assert len(set(shown)) == len(shown)


def test_a_cancelled_release_is_told_once_and_its_builds_say_so(build: Build) -> None:
    queued(build)
    send_all()
    cancel_release(release=Release.objects.get(), actor=None)
    send_all()
    cancelled = "🛑 Release 1.5.0 cancelled"
    assert texts() == [cancelled, "🛑 iOS build cancelled", cancelled]


def test_a_cancelled_build_that_shows_up_has_its_number_in_its_message(build: Build) -> None:
    queued(build)
    send_all()
    cancel_release(release=Release.objects.get(), actor=None)
    send_all()
    before = len(Board.now)
    move(build, BuildStatus.RUNNING)  # its trigger had arrived; it is to be stopped
    send_all()
    assert "🛑 iOS build #245 cancelled" in texts()
    assert len(Board.now) == before


def test_a_retried_trigger_is_queued_again(build: Build) -> None:
    trigger_failed(build.pk, message="Refused.")
    send_all()
    failed = "❌ iOS build could not be started"
    assert texts()[1:] == [failed, "⚠️ Release 1.5.0: builds finished, but not all succeeded"]
    assert list(Board.now.values())[1].broadcast  # all that the channel hears of it
    revive_build(Build.objects.get())
    send_all()
    assert texts()[:2] == [BUILDING, "⏳ iOS build queued"]
