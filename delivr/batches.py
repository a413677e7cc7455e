"""Changes many rows a few at a time, so that nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

BATCH = 500  # rows in one transaction: some ten milliseconds
PAUSE = 0.02  # seconds between two


def in_batches(rows: Any, change: Callable[[Any], object]) -> None:
    """Apply `change` to the rows of a queryset, each batch in a transaction of its own. After it,
    they must not be among `rows` any more. Rows that others hold locked are left for next time."""
    free = rows.order_by()
    if connection.features.has_select_for_update_skip_locked:
        # Django cannot name a table whose key has several columns.
        own = ("self",) if len(rows.model._meta.pk_fields) == 1 else ()
        free = free.select_for_update(skip_locked=True, of=own)
    while True:
        with transaction.atomic():
            found = list(free.values_list("pk", flat=True)[:BATCH])
            if found:
                change(rows.model._default_manager.filter(pk__in=found))
        if len(found) < BATCH:
            return
        time.sleep(PAUSE)
