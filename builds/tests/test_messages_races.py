"""A change and a worker at the same moment: the last state of a message is never lost."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from builds.tests.test_locks import closing, wait_for_a_lock
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from integrations.providers.chat import PostedMessage
from integrations.providers.ci import BuildStatus
from releases.models import Release
from releases.tests.test_messages_in_place import COMPLETE, Board, move, queued, rows, send_all
from releases.tests.test_messages_in_place import release as release

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def test_whoever_claims_a_changed_edit_sees_the_change(release: Release) -> None:
    build = trigger_builds(release=release, actor=None)[0]
    queued(build)
    send_all()
    move(build, BuildStatus.RUNNING)
    [edit] = rows("message.edit", build_id=build.pk, state=EffectState.PENDING)
    worker = threading.Thread(target=closing(lambda: run_effect(edit.pk)))
    with transaction.atomic():
        move(build, BuildStatus.SUCCESS)  # goes along with the edit that waits
        worker.start()
        wait_for_a_lock(worker)
    worker.join()
    assert COMPLETE in [message.text for message in Board.now.values()]
    assert len(rows("message.edit", build_id=build.pk)) == 1


def test_an_edit_that_is_being_claimed_is_left_alone(release: Release) -> None:
    """Nobody waits for the other, and what may have been read already is followed by an edit."""
    build = trigger_builds(release=release, actor=None)[0]
    queued(build)
    send_all()
    move(build, BuildStatus.RUNNING)
    [edit] = rows("message.edit", build_id=build.pk, state=EffectState.PENDING)
    change = threading.Thread(target=closing(lambda: move(build, BuildStatus.SUCCESS)))
    with transaction.atomic():
        Effect.objects.select_for_update().get(pk=edit.pk)
        change.start()
        change.join(20)
        assert not change.is_alive()
    assert len(rows("message.edit", build_id=build.pk)) == 2
    send_all()
    assert COMPLETE in [message.text for message in Board.now.values()]


def test_a_message_that_is_found_again_says_what_changed_meanwhile(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its response was lost. A build that ends while it is looked for is not called queued."""
    build = trigger_builds(release=release, actor=None)[0]
    queued(build)
    run_effect(rows()[0].pk)
    [post] = rows("message.post", build_id=build.pk)
    run_effect(post.pk)  # it arrives, and the process dies before it knows
    long_ago = timezone.now() - timedelta(minutes=5)
    lost = {"state": EffectState.LEASED, "lease_until": long_ago, "result": {}, "done_at": None}
    Effect.objects.filter(pk=post.pk).update(**lost, dispatched_at=long_ago)
    searching, changed = threading.Event(), threading.Event()

    def find(self: Board, *, channel: str, correlation: str, **_more: Any) -> PostedMessage:
        searching.set()
        changed.wait(20)
        return PostedMessage(channel=channel, id=correlation)

    monkeypatch.setattr(Board, "find", find)
    worker = threading.Thread(target=closing(lambda: run_effect(post.pk)))
    worker.start()
    searching.wait(20)
    with transaction.atomic():
        move(build, BuildStatus.SUCCESS)
        changed.set()
        wait_for_a_lock(worker)
    worker.join()
    send_all()
    assert Board.now[post.pk].text == COMPLETE


def test_changes_and_workers_at_once_lose_nothing(release: Release, tenant: Any) -> None:
    """Four workers send whatever is open while a build moves to its end."""
    send_all()
    builds = trigger_builds(release=Release.objects.get(), actor=None)
    ending, trouble = threading.Event(), []

    def work() -> None:
        try:
            while not ending.is_set():
                now = timezone.now()
                waiting = Effect.objects.filter(kind__startswith="message.", state="PENDING")
                waiting.update(next_at=now)
                for pk in list(waiting.values_list("pk", flat=True)):
                    run_effect(pk)
        except Exception as error:
            trouble.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _n in range(4)]
    for worker in workers:
        worker.start()
    try:
        for build in builds:
            queued(build)
            move(build, BuildStatus.WAITING)
            move(build, BuildStatus.RUNNING)
            move(build, BuildStatus.SUCCESS)
    finally:
        ending.set()
        for worker in workers:
            worker.join()
    assert trouble == []
    send_all()
    ready = "🏁 Release 1.5.0: all builds complete, ready for submission"
    waiting = "✋ iOS build #245 is waiting for approval"
    texts = Counter(message.text for message in Board.now.values())
    assert texts == {ready: 2, COMPLETE: 1, waiting: 1}
