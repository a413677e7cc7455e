"""The breaker and the fair share: a provider that is slow or down is asked by few, or by nobody."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.failures import Outcome, ProviderError

OPEN_AFTER = 5  # failures in a row
OPEN_FIRST = timedelta(seconds=30)
OPEN_MOST = timedelta(minutes=10)
PROBE = timedelta(seconds=25)  # while one call tries, the others wait
PER_INTEGRATION = 4  # effects at a time
PER_TENANT = 8
FULL = timedelta(seconds=1)


def admit(effect: Effect, now: datetime) -> datetime | None:
    """None if the effect may be sent now, else when to ask again.

    Locks the integration's row: the caller's transaction takes the lease under it, so that no
    more than the shares are ever out. After a pause of the breaker one effect goes ahead alone.
    """
    health = _locked(effect.tenant_id, effect.integration_id)
    blocked = health.blocked_until(now)
    if blocked:
        return blocked
    if _is_full(effect, now):
        return now + FULL
    if health.failures >= OPEN_AFTER:
        health.open_until = now + PROBE
        health.save(update_fields=["open_until"])
    return None


def _is_full(effect: Effect, now: datetime) -> bool:
    out = Effect.objects.for_tenant(effect.tenant_id).filter(
        state=EffectState.LEASED, lease_until__gt=now
    )
    same = Q(integration_id=effect.integration_id)
    return out.filter(same).count() >= PER_INTEGRATION or out.count() >= PER_TENANT


def blocked_until(*, tenant_id: str, integration_id: str) -> datetime | None:
    """When an integration may be called again; None if now."""
    known = IntegrationHealth.objects.for_tenant(tenant_id).filter(integration_id=integration_id)
    health = known.first()
    return health.blocked_until(clock.now()) if health else None


def note_success(*, tenant_id: str, integration_id: str) -> None:
    """A call worked: the breaker closes."""
    IntegrationHealth.objects.for_tenant(tenant_id).filter(integration_id=integration_id).exclude(
        failures=0, open_until=None, rate_limited_until=None
    ).update(failures=0, open_until=None, rate_limited_until=None)


def give_back(*, tenant_id: str, integration_id: str) -> None:
    """What was let go ahead alone made no call: somebody else may try at once."""
    resting = IntegrationHealth.objects.for_tenant(tenant_id).filter(failures__gte=OPEN_AFTER)
    mine = resting.filter(integration_id=integration_id, open_until__lte=clock.now() + PROBE)
    mine.update(open_until=None)


@transaction.atomic
def note_failure(*, tenant_id: str, integration_id: str, error: ProviderError) -> None:
    """A call failed: count it if the provider is to blame, and rest if it failed often."""
    if not error.is_passing:
        give_back(tenant_id=tenant_id, integration_id=integration_id)
        return
    health = _locked(tenant_id, integration_id)
    now = clock.now()
    if error.outcome is Outcome.RATE_LIMITED:
        health.rate_limited_until = now + timedelta(seconds=error.retry_after or 30)
    else:
        health.failures += 1
        if health.failures >= OPEN_AFTER:
            health.open_until = now + _rest(health.failures)
    health.save()


def _locked(tenant_id: str, integration_id: str) -> IntegrationHealth:
    rows = IntegrationHealth.objects.select_for_update()
    health: IntegrationHealth = rows.get_or_create(
        tenant_id=tenant_id, integration_id=integration_id
    )[0]
    return health


def _rest(failures: int) -> timedelta:
    doublings = min(failures - OPEN_AFTER, 10)
    return min(OPEN_MOST, OPEN_FIRST * float(2**doublings))
