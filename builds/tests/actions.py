"""Builds on GitHub Actions for tests, and what the sandbox has of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from builds.models import Build
from builds.tests.polling import polled
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of

TRIGGER = {"provider": "github", "method": "POST", "path": "*/dispatches"}


def started(wired: Wired) -> Build:
    """An iOS build whose run has started."""
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    return polled(build)


def runs(sandbox: Any) -> list[Any]:
    found: list[Any] = sandbox.state.actions.runs
    return found


def dispatched(sandbox: Any) -> int:
    return len(sandbox.state.ledger.of("build.queued"))


def again(build: Build, **changes: Any) -> Effect:
    """Run the trigger once more, as if its lease and its settling time were over."""
    effect = trigger_of(build)
    past = timezone.now() - timedelta(minutes=10)
    rows = Effect.objects.filter(pk=effect.pk)
    rows.update(next_at=past, **changes)
    rows.exclude(dispatched_at=None).update(dispatched_at=past)
    rows.exclude(lease_until=None).update(lease_until=past)
    run_effect(effect.pk)
    found: Effect = fresh(effect)
    return found
