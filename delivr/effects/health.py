"""Circuit breaker and concurrency limits: a slow or failing provider gets few calls or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.failures import Outcome, ProviderError

OPEN_AFTER = 5  # failures in a row
OPEN_FIRST = timedelta(seconds=30)
OPEN_MAX = timedelta(minutes=10)
PROBE = timedelta(seconds=25)  # while one call probes, the others wait
PER_INTEGRATION = 4  # effects at a time
PER_TENANT = 8
URGENT_PLACES = 2  # more than those two, for what is urgent
RETRY_WHEN_FULL = timedelta(seconds=1)
RATE_LIMIT_DEFAULT = timedelta(seconds=30)
HEALTHY: dict[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "last_error": "",
    "open_until": None,
    "probe_until": None,
}


def admit(effect: Effect, now: datetime, *, is_urgent: bool = False) -> datetime | None:
    """None if the effect may be sent now, or the time to try again.

    Locks the integration's health row. The caller takes the lease in the same transaction, so the
    concurrency limits are never exceeded. After the breaker was open, a single effect probes the
    provider. While the credentials are refused, effects wait until they expire.

    What is urgent passes an open breaker, and has places of its own besides the others. Only a wait
    that the provider asked for holds it up.
    """
    health = locked_health(effect.tenant_id, effect.integration_id)
    if health.credentials_refused_at and now < effect.expires_at:
        return effect.expires_at
    blocked = health.asked_to_wait_until(now) if is_urgent else health.blocked_until(now)
    if blocked:
        return blocked
    if _is_full(effect, now, more=URGENT_PLACES if is_urgent else 0):
        return now + RETRY_WHEN_FULL
    if health.blocked_until(now) is None:
        _start_probe(health, now)
    return None


def _start_probe(health: IntegrationHealth, now: datetime) -> None:
    """Half open: the first caller after the pause probes, the others wait for its result."""
    if health.failures >= OPEN_AFTER:
        health.probe_until = now + PROBE
        health.save(update_fields=["probe_until"])


def _is_full(effect: Effect, now: datetime, *, more: int) -> bool:
    out = Effect.objects.for_tenant(effect.tenant_id).filter(
        state=EffectState.LEASED, lease_until__gt=now
    )
    same = Q(integration_id=effect.integration_id)
    return out.filter(same).count() >= PER_INTEGRATION + more or out.count() >= PER_TENANT + more


def is_refused(*, tenant_id: str, integration_id: str) -> bool:
    """True while nothing may be sent, until the integration's credentials are verified again."""
    refused = IntegrationHealth.objects.for_tenant(tenant_id).exclude(credentials_refused_at=None)
    return bool(refused.filter(integration_id=integration_id).exists())


def is_healthy(*, tenant_id: str, integration_id: str) -> bool:
    """True if its credentials are accepted and it responds, so less urgent work may use it."""
    known = IntegrationHealth.objects.for_tenant(tenant_id).filter(integration_id=integration_id)
    health = known.first()
    if health is None:
        return True
    is_open = health.failures >= OPEN_AFTER or health.blocked_until(clock.now()) is not None
    return health.credentials_refused_at is None and not is_open


@transaction.atomic
def blocked_until(*, tenant_id: str, integration_id: str) -> datetime | None:
    """When an integration may be called again; None if now. The caller must then make the call:
    after the breaker was open, that call is the probe."""
    known = IntegrationHealth.objects.for_tenant(tenant_id).filter(integration_id=integration_id)
    health, now = known.first(), clock.now()
    if health is None or (health.failures < OPEN_AFTER and health.blocked_until(now) is None):
        return None
    health = locked_health(tenant_id, integration_id)
    blocked = health.blocked_until(now)
    if blocked is None:
        _start_probe(health, now)
    return blocked


@contextmanager
def one_call(*, tenant_id: str, integration_id: str) -> Iterator[None]:
    """Around a call that is no effect's: raises ProviderError while the integration is not to be
    called, and notes how the call ended."""
    where = {"tenant_id": tenant_id, "integration_id": integration_id}
    until = blocked_until(**where)
    if until is not None:
        raise ProviderError(
            "calls_paused",
            _("Calls are paused after failures, or because the provider asked for it."),
            outcome=Outcome.RATE_LIMITED,
            retry_after=(until - clock.now()).total_seconds(),
        )
    try:
        yield
    except ProviderError as error:
        note_failure(**where, error=error)
        raise
    note_success(**where)


def note_success(*, tenant_id: str, integration_id: str) -> None:
    """A call worked: close the breaker. A rate limit stays: the call may have begun before it."""
    failing = IntegrationHealth.objects.for_tenant(tenant_id).exclude(failures=0, open_until=None)
    failing.filter(integration_id=integration_id).update(**HEALTHY)


def forget_pause(*, tenant_id: str, integration_ids: Iterable[str]) -> None:
    """End the pauses after failed calls: the next call probes at once. A pause that the provider
    asked for stays."""
    rows = IntegrationHealth.objects.for_tenant(tenant_id).exclude(open_until=None)
    rows.filter(integration_id__in=integration_ids).update(open_until=None)


def release_probe(*, tenant_id: str, integration_id: str) -> None:
    """The probe made no call: another call may probe at once."""
    probing = IntegrationHealth.objects.for_tenant(tenant_id).exclude(probe_until=None)
    probing.filter(integration_id=integration_id).update(probe_until=None)


@transaction.atomic
def note_failure(*, tenant_id: str, integration_id: str, error: ProviderError) -> None:
    """A call failed: count it if the provider is to blame; several in a row open the breaker.

    A failure while the breaker is already open belongs to a call that began before: it is not
    counted and does not prolong the pause.
    """
    if not error.is_temporary:
        release_probe(tenant_id=tenant_id, integration_id=integration_id)
        return
    health = locked_health(tenant_id, integration_id)
    now = clock.now()
    if error.outcome is Outcome.RATE_LIMITED or error.retry_after:  # also of a 503
        asked = now + (timedelta(seconds=error.retry_after or 0) or RATE_LIMIT_DEFAULT)
        health.rate_limited_until = max(asked, health.rate_limited_until or asked)
    if error.outcome is Outcome.RATE_LIMITED:
        health.probe_until = None
    elif health.open_until is None or health.open_until <= now:
        health.failures += 1
        health.failing_since = health.failing_since or now
        health.last_error = error.message[:500]
        if health.failures >= OPEN_AFTER:
            health.open_until, health.probe_until = now + _open_duration(health.failures), None
    health.save()


def locked_health(tenant_id: str, integration_id: str) -> IntegrationHealth:
    rows = IntegrationHealth.objects.select_for_update()
    health: IntegrationHealth = rows.get_or_create(
        tenant_id=tenant_id, integration_id=integration_id
    )[0]
    return health


def _open_duration(failures: int) -> timedelta:
    doublings = min(failures - OPEN_AFTER, 10)
    return min(OPEN_MAX, OPEN_FIRST * float(2**doublings))
