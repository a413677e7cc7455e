"""A release that was muted: what its chats hear once it is unmuted."""

from __future__ import annotations

import pytest

from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect
from integrations.providers.ci import BuildStatus
from releases.messages.muting import mute, unmute
from releases.models import Release
from releases.tests.test_messages_in_place import (
    BUILDING,
    COMPLETE,
    READY,
    STARTED,
    Board,
    move,
    queued,
    rows,
    send_all,
    texts,
)
from releases.tests.test_messages_in_place import release as release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


def test_messages_that_muting_kept_back_are_posted_at_the_next_change(release: Release) -> None:
    """Else neither the release nor the build would ever have a message, nor the rest a thread."""
    build = trigger_builds(release=release, actor=None)[0]
    queued(build)
    mute(release=release, actor=None)
    send_all()
    assert {row.state for row in rows()} == {EffectState.CANCELLED}
    unmute(release=release, actor=None)
    send_all()
    assert texts() == []
    move(build, BuildStatus.RUNNING)
    send_all()
    assert texts() == [BUILDING, STARTED]
    move(build, BuildStatus.SUCCESS)
    send_all()
    assert texts() == [READY, COMPLETE, READY]
    parent, *others = Board.now
    assert {Board.now[key].thread for key in others} == {parent}


def test_what_a_person_cancelled_stays_cancelled(release: Release) -> None:
    [parent] = rows()
    cancel_effect(effect=parent, actor=None)
    mute(release=release, actor=None)
    unmute(release=release, actor=None)
    move(trigger_builds(release=release, actor=None)[0], BuildStatus.RUNNING)
    send_all()
    assert texts() == [STARTED]
    assert Effect.objects.get(pk=parent.pk).state == EffectState.CANCELLED
