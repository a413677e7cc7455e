"""Effects, run again as if their time had come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import fresh


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
