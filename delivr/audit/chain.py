"""The hash chain of a tenant's audit log: how a link's hash is computed, how a chain is checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from delivr.audit.models import AuditEvent, AuditSeal

GENESIS = "0" * 64
FORMAT = 1  # of the canonical form; a new form gets a new number, old links keep theirs
CHUNK = 2000
SEALED_WITHIN = timedelta(minutes=15)  # later, the sweeper is not running or the row was missed


def digest(event: AuditEvent, *, seq: int, previous: str, sealed_at: datetime) -> str:
    """The hash of the link that puts this event at `seq`: SHA-256 over all its columns, as JSON
    with sorted keys and no blanks, times in UTC to the microsecond."""
    content = [
        FORMAT,
        event.tenant_id,
        seq,
        previous,
        _exact(sealed_at),
        event.pk,
        _exact(event.at),
        event.actor_id,
        event.actor_label,
        event.action,
        event.subject_id,
        event.subject_label,
        event.changes,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _exact(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


# --- Checking -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """The newest link of a chain. Stored outside of the database, it proves that nothing before it
    was changed or cut off since."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Finding:
    """A difference from what was written. `seq` is the place in the chain, 0 for none."""

    tenant: str
    seq: int
    code: str  # changed, removed, gap, broken, unsealed, truncated or rewritten
    detail: str


@dataclass
class ChainReport:
    """The result of checking one tenant's chain."""

    tenant: str
    rows: int = 0
    head: Head = field(default_factory=Head)
    findings: list[Finding] = field(default_factory=list)


def check_all(
    known_heads: Mapping[str, Head] | None = None, *, tenant_id: str | None = None
) -> Iterator[ChainReport]:
    """Check the chain of each tenant, or of one; `known_heads` are those of an earlier check.

    Covers all tenants that the log names, whether they still exist or not.
    """
    heads = known_heads or {}
    if tenant_id is not None:
        yield check(tenant_id, heads.get(tenant_id))
        return
    sealed = AuditSeal.objects.order_by().values_list("tenant_id", flat=True).distinct()
    written = AuditEvent.objects.order_by().values_list("tenant_id", flat=True).distinct()
    for one in sorted({*sealed, *written, *heads}):
        yield check(one, heads.get(one))


def check(tenant_id: str, known: Head | None = None) -> ChainReport:
    """Check one chain from its first link, in chunks: memory does not grow with its length."""
    checked = ChainReport(tenant_id)
    seen_known = known is None or known.seq == 0
    for seal, event in _links(tenant_id):
        checked.findings += _check_link(checked, seal, event)
        checked.head = Head(seal.seq, seal.hash)
        checked.rows += 1
        if known is not None and seal.seq == known.seq:
            seen_known = True
            if seal.hash != known.hash:
                detail = "The hash differs from the saved one: the chain was rebuilt."
                checked.findings.append(Finding(tenant_id, seal.seq, "rewritten", detail))
    if known is not None and not seen_known:
        detail = f"The chain used to end at {known.seq}: its end was cut off."
        checked.findings.append(Finding(tenant_id, known.seq, "truncated", detail))
    checked.findings += _unsealed(tenant_id)
    return checked


def _check_link(
    checked: ChainReport, seal: AuditSeal, event: AuditEvent | None
) -> Iterator[Finding]:
    """Findings about one link, given the link before it (`checked.head`)."""
    before, tenant = checked.head, checked.tenant
    if seal.seq != before.seq + 1:
        detail = f"The links {before.seq + 1} to {seal.seq - 1} are missing."
        yield Finding(tenant, seal.seq, "gap", detail)
    elif seal.previous != before.hash:
        yield Finding(tenant, seal.seq, "broken", "It does not follow from the previous link.")
    if event is None:
        yield Finding(tenant, seal.seq, "removed", f"The row {seal.event_id} is gone.")
        return
    wanted = digest(event, seq=seal.seq, previous=seal.previous, sealed_at=seal.sealed_at)
    if wanted != seal.hash:
        yield Finding(
            tenant, seal.seq, "changed", f"The row {event.pk} was changed after it was sealed."
        )


def _links(tenant_id: str) -> Iterator[tuple[AuditSeal, AuditEvent | None]]:
    last = 0
    while chunk := list(
        AuditSeal.objects.for_tenant(tenant_id).filter(seq__gt=last).order_by("seq")[:CHUNK]
    ):
        last = chunk[-1].seq
        events = AuditEvent.objects.for_tenant(tenant_id).in_bulk([s.event_id for s in chunk])
        for seal in chunk:
            yield seal, events.get(seal.event_id)


def _unsealed(tenant_id: str) -> Iterator[Finding]:
    old = timezone.now() - SEALED_WITHIN
    rows = AuditEvent.objects.for_tenant(tenant_id).filter(seal=None, at__lt=old)
    for pk in rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]:
        yield Finding(tenant_id, 0, "unsealed", f"The row {pk} was never sealed.")


def as_heads(stored: Mapping[str, Any]) -> dict[str, Head]:
    """The heads that `audit_verify --json` printed. Raises KeyError or TypeError for other data."""
    return {
        tenant: Head(int(head["seq"]), str(head["hash"]))
        for tenant, head in stored["heads"].items()
    }
