"""The audit log as a file, row by row, so that memory does not grow with its length."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from delivr.audit.models import AuditEvent
from delivr.audit.wording import sentence
from delivr.pages.spreadsheet import safe_cell

COLUMNS = (
    "id",
    "at",
    "actorId",
    "actor",
    "action",
    "words",
    "subjectId",
    "subject",
    "changes",
    "seq",
    "hash",
)


def plain(event: AuditEvent) -> dict[str, Any]:
    """One event as plain JSON values; `seq` and `hash` once it is sealed into the chain."""
    seal = getattr(event, "seal", None)
    return {
        "id": event.pk,
        "at": event.at.isoformat(),
        "actorId": event.actor_id,
        "actor": event.actor_label,
        "action": event.action,
        "words": sentence(event),
        "subjectId": event.subject_id,
        "subject": event.subject_label,
        "changes": event.changes,
        "seq": seal.seq if seal else None,
        "hash": seal.hash if seal else None,
    }


def as_json(events: Iterable[AuditEvent]) -> Iterator[str]:
    """One JSON array with one event per line."""
    before = "[\n"
    for event in events:
        yield before + json.dumps(plain(event))
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def as_csv(events: Iterable[AuditEvent]) -> Iterator[str]:
    line = csv.writer(_Echo())
    yield line.writerow(COLUMNS)
    for event in events:
        yield line.writerow([cell(value) for value in plain(event).values()])


def cell(value: Any) -> Any:
    """A value that no spreadsheet runs as a formula; lists and objects as JSON."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return safe_cell(value)


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text
