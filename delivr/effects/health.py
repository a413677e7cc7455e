"""The breaker and the fair share: a provider that is slow or down is asked by few, or by nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

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
RATE_LIMIT_DEFAULT = timedelta(seconds=30)
WELL: dict[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "last_error": "",
    "open_until": None,
    "probe_until": None,
}


def admit(effect: Effect, now: datetime) -> datetime | None:
    """None if the effect may be sent now, else when to ask again.

    Locks the integration's row: the caller's transaction takes the lease under it, so that no
    more than the shares are ever out. After a pause of the breaker one effect goes ahead alone.
    While the credentials are refused an effect waits for them, as long as its time lasts.
    """
    health = _locked(effect.tenant_id, effect.integration_id)
    if health.credentials_refused_at and now < effect.expires_at:
        return effect.expires_at
    blocked = health.blocked_until(now)
    if blocked:
        return blocked
    if _is_full(effect, now):
        return now + FULL
    _go_ahead_alone(health, now)
    return None


def _go_ahead_alone(health: IntegrationHealth, now: datetime) -> None:
    """Half open: whoever comes first after the rest tries, the others wait for what it finds."""
    if health.failures >= OPEN_AFTER:
        health.probe_until = now + PROBE
        health.save(update_fields=["probe_until"])


def _is_full(effect: Effect, now: datetime) -> bool:
    out = Effect.objects.for_tenant(effect.tenant_id).filter(
        state=EffectState.LEASED, lease_until__gt=now
    )
    same = Q(integration_id=effect.integration_id)
    return out.filter(same).count() >= PER_INTEGRATION or out.count() >= PER_TENANT


def is_refused(*, tenant_id: str, integration_id: str) -> bool:
    """Nothing goes through the integration until its credentials are verified again."""
    refused = IntegrationHealth.objects.for_tenant(tenant_id).exclude(credentials_refused_at=None)
    return bool(refused.filter(integration_id=integration_id).exists())


def is_well(*, tenant_id: str, integration_id: str) -> bool:
    """Its credentials are taken and it answers: time for what can wait."""
    known = IntegrationHealth.objects.for_tenant(tenant_id).filter(integration_id=integration_id)
    health = known.first()
    if health is None:
        return True
    is_open = health.failures >= OPEN_AFTER or health.blocked_until(clock.now()) is not None
    return health.credentials_refused_at is None and not is_open


@transaction.atomic
def blocked_until(*, tenant_id: str, integration_id: str) -> datetime | None:
    """When an integration may be asked again; None if now, and then the caller has to ask: after
    a rest of the breaker the question is the one that tries."""
    known = IntegrationHealth.objects.for_tenant(tenant_id).filter(integration_id=integration_id)
    health, now = known.first(), clock.now()
    if health is None or (health.failures < OPEN_AFTER and health.blocked_until(now) is None):
        return None
    health = _locked(tenant_id, integration_id)
    blocked = health.blocked_until(now)
    if blocked is None:
        _go_ahead_alone(health, now)
    return blocked


def note_success(*, tenant_id: str, integration_id: str) -> None:
    """A call worked: the breaker closes. A pause that was asked for lasts all the same: the call
    may have begun before."""
    sick = IntegrationHealth.objects.for_tenant(tenant_id).exclude(failures=0, open_until=None)
    sick.filter(integration_id=integration_id).update(**WELL)


def give_back(*, tenant_id: str, integration_id: str) -> None:
    """What was let go ahead alone made no call: somebody else may try at once."""
    trying = IntegrationHealth.objects.for_tenant(tenant_id).exclude(probe_until=None)
    trying.filter(integration_id=integration_id).update(probe_until=None)


@transaction.atomic
def note_failure(*, tenant_id: str, integration_id: str, error: ProviderError) -> None:
    """A call failed: count it if the provider is to blame, and rest if it failed often.

    What fails while the breaker is open had begun before, together with what opened it: it says
    nothing new, and prolongs no rest.
    """
    if not error.is_passing:
        give_back(tenant_id=tenant_id, integration_id=integration_id)
        return
    health = _locked(tenant_id, integration_id)
    now = clock.now()
    if error.outcome is Outcome.RATE_LIMITED:
        asked = now + (timedelta(seconds=error.retry_after or 0) or RATE_LIMIT_DEFAULT)
        health.rate_limited_until = max(asked, health.rate_limited_until or asked)
        health.probe_until = None
    elif health.open_until is None or health.open_until <= now:
        health.failures += 1
        health.failing_since = health.failing_since or now
        health.last_error = error.message[:500]
        if health.failures >= OPEN_AFTER:
            health.open_until, health.probe_until = now + _rest(health.failures), None
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
