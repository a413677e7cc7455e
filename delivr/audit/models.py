"""Who did what: append-only rows, sealed into one hash chain per tenant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models import Value
from django.db.models.functions import Coalesce, Upper

from delivr.tenants.models import Tenant, TenantOwned, TenantQuerySet, unique_per_tenant

FIRST = datetime.fromtimestamp(0, UTC)  # earlier than any row


def _is_address(text: str) -> bool:
    with contextlib.suppress(ValidationError):
        validate_email(text)
        return True
    return False


class AuditRow(TenantOwned):
    """A row that is written once. It outlives its workspace: the last row says who deleted it."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, editable=False, related_name="+"
    )

    class Meta:
        abstract = True


class AuditEventQuerySet(TenantQuerySet):
    def matching(
        self,
        *,
        who: str = "",
        action: str = "",
        subject: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        within: int | None = None,
    ) -> Self:
        """The rows that match all arguments.

        `who` is a whole email address, and `subject` an id; or else a part of a name, which is
        looked for in the newest `within` rows that match the rest (default: in all).
        """
        tests: dict[str, Any] = {"action": action, "at__gte": since, "at__lt": until}
        rows = self.filter(**{name: value for name, value in tests.items() if value})
        newest = rows.newest(within)
        if _is_address(who):
            rows = rows.filter(actor_label__iexact=who)
        elif who:
            rows = rows.filter(newest, actor_label__icontains=who)
        if subject:
            named = newest & models.Q(subject_label__icontains=subject)
            rows = rows.filter(named | models.Q(subject_id=subject))
        return rows

    def newest(self, count: int | None) -> models.Q:
        """The condition that a row is one of the newest; None: no condition."""
        if count is None:
            return models.Q()
        times = self.order_by("-at").values("at")[count : count + 1]
        return models.Q(at__gt=Coalesce(models.Subquery(times), Value(FIRST)))

    def in_chunks(self, size: int = 250) -> Iterator[AuditEvent]:
        """All rows, newest first, with their seals; at most `size` of them in memory."""
        rows = self.select_related("seal").order_by("-pk")
        chunk = list(rows[:size])
        while chunk:
            yield from chunk
            chunk = list(rows.filter(pk__lt=chunk[-1].pk)[:size])


class AuditEvent(AuditRow):
    """One change, written in the same transaction.

    `actor_id` is null for automatic changes. It is not a foreign key: a deleted user stays in the
    log without any row being changed.
    """

    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64, blank=True)
    subject_label = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Any] = AuditEventQuerySet.as_manager()

    class Meta:
        db_table = "audit_events"
        ordering = ["-at", "-id"]
        constraints = [unique_per_tenant("audit_event")]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="audit_by_time"),
            models.Index(fields=["tenant", "subject_id"], name="audit_by_subject"),
            models.Index(fields=["tenant", "action", "-at"], name="audit_by_action"),
            models.Index(
                "tenant", Upper("actor_label"), models.F("at").desc(), name="audit_by_actor"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.action} {self.subject_label}"


class AuditSeal(AuditRow):
    """A link of the tenant's chain: the place of one event in it, and a hash over both.

    Written after the event (`delivr/audit/sealing.py`), so that changes never wait for each other.
    """

    seq = models.BigIntegerField()  # 1, 2, 3 … without gaps
    event = models.OneToOneField(AuditEvent, on_delete=models.DO_NOTHING, related_name="seal")
    sealed_at = models.DateTimeField()
    previous = models.CharField(max_length=64)  # the hash of the previous link; zeros for the first
    hash = models.CharField(max_length=64)  # hexadecimal SHA-256, see `delivr/audit/chain.py`

    class Meta:
        db_table = "audit_seals"
        ordering = ["tenant_id", "seq"]
        constraints = [
            unique_per_tenant("audit_seal"),
            models.UniqueConstraint(fields=["tenant", "seq"], name="audit_seal_place_once"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.hash[:12]}"
