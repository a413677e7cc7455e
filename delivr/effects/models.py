"""The ledger of everything that must happen outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from delivr.effects import clock
from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, TenantQuerySet, unique_per_tenant


class EffectState(models.TextChoices):
    PENDING = "PENDING", _("Waiting")
    LEASED = "LEASED", _("Being sent")
    DONE = "DONE", _("Done")
    DEAD = "DEAD", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")


OPEN_STATES = [EffectState.PENDING, EffectState.LEASED]
GIVEN_UP = [EffectState.DEAD, EffectState.CANCELLED]


class EffectQuerySet(TenantQuerySet):
    def open(self) -> Self:
        return self.filter(state__in=OPEN_STATES)

    def due(self, now: datetime) -> Self:
        """What may be claimed: pending and due, or leased with a lease that has expired."""
        waiting = Q(state=EffectState.PENDING, next_at__lte=now)
        abandoned = Q(state=EffectState.LEASED, lease_until__lt=now)
        return self.filter(waiting | abandoned)


class Effect(TenantOwned):
    """One thing that must happen outside, once. The row is the source of truth, not the queue.

    `payload` holds ids and words, never a secret. `dispatched_at` is written before the call: if it
    is set, the other side may already have done it.
    """

    id = PrefixedIdField(prefix="eff")
    kind = models.CharField(max_length=40)
    integration_id = models.CharField(max_length=40)
    release_id = models.CharField(max_length=40, blank=True)
    build_id = models.CharField(max_length=40, blank=True)
    dedupe_key = models.CharField(max_length=200)
    payload = models.JSONField(default=dict, blank=True)
    schema = models.PositiveSmallIntegerField(default=1)

    state = models.CharField(
        max_length=10, choices=EffectState.choices, default=EffectState.PENDING
    )
    next_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.PositiveIntegerField(default=0)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    absent_at = models.DateTimeField(null=True, blank=True)  # first not found after `settle`
    enqueued_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    reconciles = models.PositiveSmallIntegerField(default=0)

    last_error_code = models.CharField(max_length=60, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    last_error_hint = models.CharField(max_length=500, blank=True)
    result = models.JSONField(default=dict, blank=True)
    # The span in which it was created; "" where traces are off (`delivr.monitoring.traces`).
    traceparent = models.CharField(
        max_length=55, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    done_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = EffectQuerySet.as_manager()

    class Meta:
        db_table = "effects"
        ordering = ["-created_at", "-id"]
        constraints = [
            unique_per_tenant("effect"),
            models.UniqueConstraint(fields=["tenant", "dedupe_key"], name="effect_once"),
            models.CheckConstraint(
                condition=Q(state__in=EffectState.values), name="effect_state_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at", "id"], name="effect_due", condition=Q(state__in=OPEN_STATES)
            ),
            # Counted at each claim.
            models.Index(
                fields=["tenant"], name="effect_leased", condition=Q(state=EffectState.LEASED)
            ),
            models.Index(fields=["tenant", "-created_at"], name="effect_by_time"),
            models.Index(fields=["tenant", "release_id"], name="effect_by_release"),
            models.Index(fields=["tenant", "build_id"], name="effect_by_build"),
            # The filters of the ledger. Open effects are few, and nearly all others are done:
            # `effect_due` and `effect_by_time` find these.
            models.Index(fields=["tenant", "kind", "-created_at"], name="effect_by_kind"),
            models.Index(
                fields=["tenant", "integration_id", "-created_at"], name="effect_by_connection"
            ),
            models.Index(
                fields=["tenant", "state", "-created_at"],
                name="effect_by_state",
                condition=Q(state__in=GIVEN_UP),
            ),
            models.Index(fields=["-created_at", "-id"], name="effect_newest"),
            # For the metrics: what ended lately, and what is dead.
            models.Index(
                fields=["state", "done_at"],
                name="effect_ended",
                condition=Q(done_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def may_retry(self) -> bool:
        return self.state == EffectState.DEAD

    @property
    def may_cancel(self) -> bool:
        return self.state == EffectState.DEAD or (
            self.state == EffectState.PENDING and self.dispatched_at is None
        )


class IntegrationHealth(TenantOwned):
    """The results of recent calls to one integration; they decide whether it may be called.

    The breaker is closed below `OPEN_AFTER` failures in a row, open until `open_until`, and half
    open afterwards: one call probes, the others wait until `probe_until`.
    """

    integration_id = models.CharField(max_length=40)
    failures = models.PositiveIntegerField(default=0)  # in a row
    failing_since = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    open_until = models.DateTimeField(null=True, blank=True)
    probe_until = models.DateTimeField(null=True, blank=True)
    rate_limited_until = models.DateTimeField(null=True, blank=True)
    credentials_refused_at = models.DateTimeField(null=True, blank=True)
    # See `effects.pace`.
    turns = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True, editable=False
    )

    class Meta:
        db_table = "integration_health"
        verbose_name = verbose_name_plural = "connection health"
        constraints = [
            unique_per_tenant("integration_health"),
            models.UniqueConstraint(fields=["tenant", "integration_id"], name="health_once"),
        ]

    def __str__(self) -> str:
        return self.integration_id

    def blocked_until(self, now: datetime) -> datetime | None:
        """When the next call may be made; None if now."""
        bounds = (self.open_until, self.probe_until, self.asked_to_wait_until(now))
        return max((t for t in bounds if t and t > now), default=None)

    def asked_to_wait_until(self, now: datetime) -> datetime | None:
        """Until when the provider wants no calls; None if it did not ask for a wait."""
        until = self.rate_limited_until
        return until if until and until > now else None


class Heartbeat(models.Model):
    """When a kind of process was last alive, for the whole installation."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()
    broker_down_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "heartbeats"

    def __str__(self) -> str:
        return self.name
