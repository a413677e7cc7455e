"""Re-encrypt every stored secret with the first of FERNET_KEYS.

What is already encrypted with it is passed over, so an interrupted run is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from delivr.encryption.fields import SecretUnreadable
from delivr.encryption.tables import SecretStore, name_of, stores

BATCH = 100  # rows locked at a time, for some milliseconds


@dataclass
class Rotation:
    rotated: int = 0  # secrets
    unreadable: list[str] = field(default_factory=list)  # ids of rows, each once
    table: str = ""  # where it is
    seen: int = 0  # rows of all tables
    rows: int = 0  # that there are, counted in the beginning


def rotate_secrets(on_batch: Callable[[Rotation], None] = lambda _: None) -> Rotation:
    """Rotate everything, batch by batch; `on_batch` is told how far it is.

    Rows are locked while their batch is written, so an edit at the same time comes before or after
    it and is never undone. A secret that no key opens is left as it is and named.
    """
    all_stores = list(stores())
    result = Rotation(rows=sum(store.rows().count() for store in all_stores))
    for store in all_stores:
        result.table, last = store.name, None
        while (last := _rotate_batch(store, last, result)) is not None:
            on_batch(result)
    return result


@transaction.atomic
def _rotate_batch(store: SecretStore, after: Any, result: Rotation) -> Any:
    """One batch in order of the primary key; the last key seen, or None at the end."""
    # no_key: rows that refer to these (a pipeline's repository) can be written meanwhile.
    rows = store.rows().select_for_update(no_key=True, of=("self",))
    if after is not None:
        rows = rows.filter(pk__gt=after)
    batch = list(rows[:BATCH])
    for row in batch:
        _rotate_row(store, row, result)
    result.seen += len(batch)
    return batch[-1].pk if batch else None


def _rotate_row(store: SecretStore, row: Any, result: Rotation) -> None:
    try:
        fresh = store.resealed(row)
    except SecretUnreadable:
        result.unreadable.append(name_of(row))
        return
    if fresh:
        # `update` leaves the row's other columns alone, the time of its last change among them.
        result.rotated += sum(key != 0 for key in store.keys(row))
        store.model._base_manager.filter(pk=row.pk).update(**fresh)
