"""Lost responses of Jira: the epic is found, and never created twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.tests.rerunning import rerun, rerun_when_settled
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.models import ReleaseTarget

pytestmark = pytest.mark.django_db

CREATE_EPIC = {"provider": "jira", "method": "POST", "path": "*/issue"}


def epics() -> list[Effect]:
    return list(Effect.objects.filter(kind="ticket.create_epic").order_by("created_at"))


def test_each_target_gets_its_epic(wired: Wired, sandbox: Any) -> None:
    wired.release(jira=True)
    for effect in epics():
        run_effect(effect.pk)
    issues = sandbox.state.jira.issues
    assert [i.summary for i in issues] == ["Release 1.5.1: iOS", "Release 1.5.1: Android"]
    assert [t.epic_key for t in ReleaseTarget.objects.all()] == [i.key for i in issues]
    assert all(t.epic_url.endswith(t.epic_key) for t in ReleaseTarget.objects.all())


def test_an_epics_lost_response_is_found_although_search_lags(wired: Wired, sandbox: Any) -> None:
    wired.release("ios", jira=True)
    (effect,) = epics()
    sandbox.state.faults.add(**CREATE_EPIC, kind="drop_after", count=1)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING
    assert rerun(effect).state == EffectState.PENDING  # not in the index yet
    assert len(sandbox.state.jira.issues) == 1
    sandbox.state.advance(10)
    assert rerun(effect).state == EffectState.DONE
    assert len(sandbox.state.jira.issues) == 1
    assert ReleaseTarget.objects.get().epic_key == sandbox.state.jira.issues[0].key


def test_an_epic_that_was_not_created_is_created_once(wired: Wired, sandbox: Any) -> None:
    wired.release("ios", jira=True)
    (effect,) = epics()
    sandbox.state.faults.add(**CREATE_EPIC, kind="drop_before", count=1)
    run_effect(effect.pk)
    once = rerun_when_settled(effect)
    assert (once.state, sandbox.state.jira.issues) == (EffectState.PENDING, [])
    assert once.next_at > timezone.now() + timedelta(seconds=50)  # there will be a second search
    rerun(effect, absent_at=timezone.now() - timedelta(seconds=61))
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.state.jira.issues) == 1


def test_an_epic_found_only_by_the_second_search_is_not_created_again(
    wired: Wired, sandbox: Any
) -> None:
    sandbox.state.jira.search_lag = 200.0  # longer than the wait before the first search
    wired.release("ios", jira=True)
    (effect,) = epics()
    sandbox.state.faults.add(**CREATE_EPIC, kind="drop_after", count=1)
    run_effect(effect.pk)
    assert rerun_when_settled(effect).state == EffectState.PENDING
    sandbox.state.advance(240)
    rerun(effect, absent_at=timezone.now() - timedelta(seconds=61))
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.state.jira.issues) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_failures_of_jira_never_block_the_release(wired: Wired, sandbox: Any, status: int) -> None:
    sandbox.state.faults.add(kind="status", provider="jira", status=status)
    release = wired.release("ios", jira=True)
    run_effect(epics()[0].pk)
    assert epics()[0].state == EffectState.PENDING
    (build,) = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "QUEUED"
