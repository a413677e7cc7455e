"""The audit log as a file, row by row, so that memory does not grow with its length."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from operator import attrgetter

from delivr.audit.models import AuditEvent
from delivr.audit.wording import sentence
from delivr.pages.spreadsheet import Columns, csv_lines

# `seq` and `hash` are set once the event is sealed into the chain.
COLUMNS: Columns = {
    "id": attrgetter("pk"),
    "at": lambda event: event.at.isoformat(),
    "actorId": attrgetter("actor_id"),
    "actor": attrgetter("actor_label"),
    "action": attrgetter("action"),
    "words": sentence,
    "subjectId": attrgetter("subject_id"),
    "subject": attrgetter("subject_label"),
    "changes": attrgetter("changes"),
    "seq": lambda event: event.seal.seq if hasattr(event, "seal") else None,
    "hash": lambda event: event.seal.hash if hasattr(event, "seal") else None,
}


def as_json(events: Iterable[AuditEvent]) -> Iterator[str]:
    """One JSON array with one event per line."""
    before = "[\n"
    for event in events:
        yield before + json.dumps({name: read(event) for name, read in COLUMNS.items()})
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def as_csv(events: Iterable[AuditEvent]) -> Iterator[str]:
    return csv_lines(COLUMNS, events)
