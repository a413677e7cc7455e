"""The sealing job: gives each audit row its place in its tenant's chain.

Rows are written without a seal, so that two changes of one tenant never wait for each other
(docs/adr/0008). A row is sealed after its transaction is committed, in the order of the row ids.
"""

from __future__ import annotations

import contextlib
from itertools import groupby
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from delivr.audit.chain import Head, digest
from delivr.audit.models import AuditEvent, AuditSeal

ALL = "all"
BATCH = 1000
# Rows get their id before their commit, so a row may appear up to this far behind the newest sealed
# id: a transaction would have to stay open while others write this many rows.
LOOK_BACK = 10_000


def due() -> list[str]:
    """`["all"]` if rows wait to be sealed."""
    return [ALL] if unsealed().exists() else []


def seal(what: str = ALL) -> None:
    """Seal committed rows, batch by batch. If another process is sealing, leave the rest to it."""
    try:
        while seal_batch(unsealed()) == BATCH:
            pass
    except IntegrityError:
        return  # another process took the same place or row: UNIQUE keeps the chain consistent


def seal_everything() -> int:
    """Seal all rows that have no seal, however old; returns how many."""
    found = 0
    while (waiting := AuditEvent.objects.filter(seal=None)).exists():
        with contextlib.suppress(IntegrityError):  # the sweeper was faster: look for what is left
            found += seal_batch(waiting)
    return found


def unsealed() -> QuerySet[AuditEvent]:
    last = AuditSeal.objects.aggregate(last=Max("event_id"))["last"] or 0
    since = last - LOOK_BACK
    rows: Any = AuditEvent.objects.filter(pk__gt=since)
    # With the same bound on the seals, the query reads the newest of them, not all.
    sealed = AuditSeal.objects.order_by().filter(event_id__gt=since)
    return rows.exclude(pk__in=sealed.values("event_id"))  # type: ignore[no-any-return]


@transaction.atomic
def seal_batch(waiting: QuerySet[AuditEvent]) -> int:
    """Seal the oldest of them; returns how many. Raises IntegrityError if another was faster."""
    events = sorted(waiting.order_by("pk")[:BATCH], key=lambda event: (event.tenant_id, event.pk))
    seals: list[AuditSeal] = []
    for tenant_id, rows in groupby(events, key=lambda event: event.tenant_id):
        seals += _chained(head_of(tenant_id), list(rows))
    AuditSeal.objects.bulk_create(seals)
    return len(seals)


def head_of(tenant_id: str) -> Head:
    newest = AuditSeal.objects.for_tenant(tenant_id).order_by("-seq").first()
    return Head(newest.seq, newest.hash) if newest else Head()


def _chained(head: Head, events: list[AuditEvent]) -> list[AuditSeal]:
    now, seals = timezone.now(), []
    for event in events:
        seq = head.seq + 1
        link = digest(event, seq=seq, previous=head.hash, sealed_at=now)
        seals.append(
            AuditSeal(
                tenant_id=event.tenant_id,
                seq=seq,
                event=event,
                sealed_at=now,
                previous=head.hash,
                hash=link,
            )
        )
        head = Head(seq, link)
    return seals
