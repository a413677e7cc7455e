"""Run effects again without waiting until they are due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import fresh


def rerun(effect: Effect, **changes: Any) -> Effect:
    """Run the effect as if it were due, with its integration healthy."""
    IntegrationHealth.objects.all().delete()
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now(), **changes)
    run_effect(effect.pk)
    found: Effect = fresh(effect)
    return found


def rerun_when_settled(effect: Effect) -> Effect:
    """Run it as if enough time had passed for what was sent to appear."""
    return rerun(effect, dispatched_at=timezone.now() - timedelta(minutes=5))
