"""The breaker of each integration: a provider that is down is asked rarely, not by every row."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from delivr.effects import clock
from delivr.effects.models import Effect, IntegrationHealth
from delivr.failures import Outcome, ProviderError

OPEN_AFTER = 5  # failures in a row
OPEN_FIRST = timedelta(seconds=30)
OPEN_MOST = timedelta(minutes=10)


def read_health(effect: Effect) -> IntegrationHealth:
    """What is known of the effect's integration (nothing is, before its first failure)."""
    known = IntegrationHealth.objects.for_tenant(effect.tenant_id).filter(
        integration_id=effect.integration_id
    )
    return known.first() or IntegrationHealth(integration_id=effect.integration_id)


def note_success(effect: Effect) -> None:
    """A call worked: the breaker closes."""
    IntegrationHealth.objects.for_tenant(effect.tenant_id).filter(
        integration_id=effect.integration_id
    ).exclude(failures=0, open_until=None, rate_limited_until=None).update(
        failures=0, open_until=None, rate_limited_until=None
    )


@transaction.atomic
def note_failure(effect: Effect, error: ProviderError) -> None:
    """A call failed: count it if the provider is to blame, and rest if it failed often."""
    if not error.is_passing:
        return
    health, _created = IntegrationHealth.objects.select_for_update().get_or_create(
        tenant_id=effect.tenant_id, integration_id=effect.integration_id
    )
    now = clock.now()
    if error.outcome is Outcome.RATE_LIMITED:
        health.rate_limited_until = now + timedelta(seconds=error.retry_after or 30)
    else:
        health.failures += 1
        if health.failures >= OPEN_AFTER:
            health.open_until = now + _rest(health.failures)
    health.save()


def _rest(failures: int) -> timedelta:
    doublings = min(failures - OPEN_AFTER, 10)
    return min(OPEN_MOST, OPEN_FIRST * float(2**doublings))
