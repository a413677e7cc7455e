from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db import models

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Tenant, User

SYSTEM = "delivr"
CHANGED, REMOVED = "changed", "removed"  # all that is told of a secret


def record(
    *,
    actor: User | None,
    action: str,
    subject: Any = None,
    changes: Mapping[str, Any] | None = None,
    tenant: Tenant | None = None,
) -> AuditEvent:
    """Write one audit row in the caller's transaction, in the log of `tenant` or else of the tenant
    that the subject belongs to. `changes` contains no secret (`changed`)."""
    event = _event(tenant.pk if tenant else subject.tenant_id, actor, action, subject, changes)
    event.save(force_insert=True)
    return event


def record_each(
    *, tenant: Tenant, actor: User | None, action: str, subjects: Iterable[models.Model]
) -> None:
    """`record` for several subjects of one action, in one query."""
    AuditEvent.objects.bulk_create(
        _event(tenant.pk, actor, action, subject, None) for subject in subjects
    )


def record_in_each(
    *,
    tenants: Iterable[Tenant],
    actor: User | None,
    action: str,
    subject: models.Model,
    changes: Mapping[str, Any],
) -> None:
    """`record` of one event for several tenants, in one query."""
    AuditEvent.objects.bulk_create(
        _event(tenant.pk, actor, action, subject, changes) for tenant in tenants
    )


def _event(
    tenant_id: str,
    actor: User | None,
    action: str,
    subject: models.Model | None,
    changes: Mapping[str, Any] | None,
) -> AuditEvent:
    label = getattr(subject, "audit_label", "") or str(subject or "")
    return AuditEvent(
        tenant_id=tenant_id,
        actor_id=actor.pk if actor else None,
        actor_label=actor.email if actor else SYSTEM,
        action=action,
        subject_id=str(subject.pk) if subject else "",
        subject_label=label[:200],
        changes=dict(changes or {}),
    )


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any], secrets: Collection[str] = ()
) -> dict[str, Any]:
    """`{name: [old, new]}` of what `after` changes in `before`; a secret is only "changed", or
    "removed"."""
    changes: dict[str, Any] = {}
    for name, value in after.items():
        if name in secrets:
            if value:
                changes[name] = CHANGED
            elif before[name]:
                changes[name] = REMOVED
        elif (old := _plain(before[name])) != (new := _plain(value)):
            changes[name] = [old, new]
    return changes


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model):
        return value.pk
    return value if isinstance(value, str | int | bool | list | dict | None) else str(value)
