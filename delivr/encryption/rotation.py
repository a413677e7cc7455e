"""Re-encrypts every stored secret with the first of FERNET_KEYS.

Skips secrets that are already encrypted with it, so an interrupted run can simply be repeated.
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
    unreadable: list[str] = field(default_factory=list)  # ids of rows, without duplicates
    table: str = ""  # the table that is being rotated
    seen: int = 0  # rows of all tables so far
    rows: int = 0  # all rows, counted at the start


def rotate_secrets(on_batch: Callable[[Rotation], None] = lambda _: None) -> Rotation:
    """Rotate everything, batch by batch; `on_batch` is called with the progress.

    Rows are locked while their batch is written, so a concurrent edit happens before or after it
    and is never undone. A secret that no key opens is left unchanged and listed.
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
    """One batch in order of the primary key; returns the last primary key, or None at the end."""
    # no_key: other rows may meanwhile refer to these (a pipeline to its repository).
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
        # `update` leaves the other columns unchanged, including the time of the last change.
        result.rotated += sum(key != 0 for key in store.keys(row))
        store.model._base_manager.filter(pk=row.pk).update(**fresh)
