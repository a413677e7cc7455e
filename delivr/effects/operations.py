"""Create, retry and cancel effects; pause and resume an integration's effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.handlers import handler_for, is_known
from delivr.effects.health import HEALTHY, PER_INTEGRATION
from delivr.effects.models import Effect, EffectQuerySet, EffectState, IntegrationHealth
from delivr.effects.queue import enqueue_on_commit
from delivr.monitoring import traces
from delivr.tenants.models import Tenant, User


def create_effect(
    *,
    tenant: Tenant,
    kind: str,
    integration_id: str,
    dedupe_key: str,
    release_id: str = "",
    build_id: str = "",
    payload: dict[str, Any] | None = None,
) -> Effect:
    """Record an effect in the caller's transaction, unless its `dedupe_key` exists already."""
    effect, created = Effect.objects.get_or_create(
        tenant=tenant,
        dedupe_key=dedupe_key,
        defaults={
            "kind": kind,
            "integration_id": integration_id,
            "release_id": release_id,
            "build_id": build_id,
            "payload": payload or {},
            **_due_now(kind),
        },
    )
    if created:
        enqueue_effect(effect.pk, kind)
    return effect


def create_effects(*, tenant: Tenant, kind: str, effects: Iterable[Mapping[str, Any]]) -> None:
    """`create_effect` for several of one kind, in one query; each mapping holds what differs, which
    may be when it is due."""
    due = _due_now(kind)
    rows = [Effect(tenant=tenant, kind=kind, **{**due, **differing}) for differing in effects]
    Effect.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        enqueue_effect(row.pk, kind)


def enqueue_effect(effect_id: str, kind: str) -> None:
    """Have a worker look at the effect once the current transaction is committed."""
    traces.event("effect created", effect=effect_id, kind=kind)
    enqueue_on_commit("effect", effect_id, is_awaited=handler_for(kind).is_awaited)


def _due_now(kind: str) -> dict[str, Any]:
    now = clock.now()
    return {
        "created_at": now,
        "next_at": now,
        "expires_at": now + handler_for(kind).expires_after,
        "enqueued_at": now if settings.CELERY_BROKER_URL else None,
        "traceparent": traces.here(),
    }


def reopen(cancelled: EffectQuerySet, *, kind: str) -> None:
    """Have cancelled effects of one kind sent after all, in the caller's transaction. They keep
    their place in the order of creation."""
    ids = list(cancelled.values_list("pk", flat=True))
    due = {name: value for name, value in _due_now(kind).items() if name != "created_at"}
    cancelled.update(
        state=EffectState.PENDING,
        done_at=None,
        attempts=0,
        reconciles=0,
        absent_at=None,
        last_error="",
        **due,
    )
    for effect_id in ids:
        enqueue_effect(effect_id, kind)


@transaction.atomic
def retry_effect(*, effect: Effect, actor: User | None) -> Effect:
    """Let a dead effect try again, with the same correlation id. Raises ValidationError."""
    if not is_known(effect.kind):
        raise ValidationError({"state": [_("This version of delivr does not support this kind.")]})
    handler = handler_for(effect.kind)
    handler.lock(effect)
    effect = Effect.objects.select_for_update().get(pk=effect.pk)
    if not effect.may_retry:
        raise ValidationError({"state": [_("Only a failed effect can be retried.")]})
    handler.revive(effect)
    now, before = clock.now(), effect.state
    effect.state, effect.next_at = EffectState.PENDING, now
    effect.attempts = effect.reconciles = 0
    effect.absent_at = None
    if effect.last_error_code == "cannot_correlate":
        effect.dispatched_at = None  # it cannot be looked up: the person decided to send it again
    effect.expires_at = now + handler.expires_after
    effect.enqueued_at = now if settings.CELERY_BROKER_URL else None
    effect.traceparent = traces.here() or effect.traceparent
    effect.save()
    changes = {"state": [before, effect.state]}
    record(actor=actor, action="effect.retried", subject=effect, changes=changes)
    enqueue_effect(effect.pk, effect.kind)
    return effect


@transaction.atomic
def cancel_effect(*, effect: Effect, actor: User | None) -> Effect:
    """Cancel an effect for good. Raises ValidationError while it may be in progress.

    An effect whose kind this version does not know is cancelled too, without a handler's `gave_up`.
    """
    handler = handler_for(effect.kind) if is_known(effect.kind) else None
    if handler is not None:
        handler.lock(effect)
    effect = Effect.objects.select_for_update().get(pk=effect.pk)
    if not effect.may_cancel:
        raise ValidationError({"state": [_("This effect is in progress or already finished.")]})
    effect.last_error = effect.last_error or _("Cancelled by a user.")
    if handler is not None:
        handler.gave_up(effect)
    before, effect.state, effect.done_at = effect.state, EffectState.CANCELLED, clock.now()
    effect.save()
    changes = {"state": [before, effect.state]}
    record(actor=actor, action="effect.cancelled", subject=effect, changes=changes)
    return effect


def wake(waiting: EffectQuerySet) -> None:
    """What these pending effects waited for has happened: make them due now. Enqueues the first
    few; the sweeper finds the others at its next tick."""
    waiting = waiting.filter(state=EffectState.PENDING)
    first = list(waiting.order_by("created_at").values_list("pk", flat=True)[:PER_INTEGRATION])
    if first:
        waiting.update(next_at=clock.now(), enqueued_at=None)
    for effect_id in first:
        enqueue_on_commit("effect", effect_id)


@transaction.atomic
def resume_integration(*, tenant: Tenant, integration_id: str) -> None:
    """The integration works again: make the effects that waited for it due now."""
    IntegrationHealth.objects.for_tenant(tenant).filter(integration_id=integration_id).update(
        **HEALTHY, rate_limited_until=None, credentials_refused_at=None
    )
    wake(Effect.objects.for_tenant(tenant).filter(integration_id=integration_id))


@transaction.atomic
def pause_integration(*, tenant: Tenant, integration_id: str) -> None:
    """The credentials are refused: effects of the integration wait until it is resumed."""
    rows = IntegrationHealth.objects.select_for_update()
    health, _is_new = rows.get_or_create(tenant=tenant, integration_id=integration_id)
    health.credentials_refused_at = health.credentials_refused_at or clock.now()
    health.probe_until = None
    health.save(update_fields=["credentials_refused_at", "probe_until"])


def mark_all_in_doubt() -> int:
    """After a restore, effects that the backup shows as not sent may have been sent since. Mark all
    open effects, so that each is looked for before it is sent. Returns how many were marked."""
    unsent = Effect.objects.open().filter(dispatched_at=None)
    return int(unsent.update(dispatched_at=clock.now()))
