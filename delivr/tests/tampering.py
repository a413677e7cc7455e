"""What somebody with direct access to the database could do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import connection

TABLES = ("audit_events", "audit_seals")


@contextlib.contextmanager
def tampering(*, foreign_keys: bool = True) -> Iterator[None]:
    """Switch off the protection of the audit log; without `foreign_keys` those, too."""
    with connection.cursor() as cursor:
        _switch(cursor, "DISABLE", foreign_keys=foreign_keys)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            _switch(cursor, "ENABLE", foreign_keys=foreign_keys)


def _switch(cursor: Any, word: str, *, foreign_keys: bool) -> None:
    if connection.vendor == "postgresql":
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in TABLES:
            for trigger in ("append_only", "no_truncate") if foreign_keys else ("ALL",):
                word_for = "ENABLE ALWAYS" if word == "ENABLE" and foreign_keys else word
                cursor.execute(f"ALTER TABLE {table} {word_for} TRIGGER {trigger}")
            if not foreign_keys and word == "ENABLE":
                for trigger in ("append_only", "no_truncate"):
                    cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
    elif not foreign_keys:
        cursor.execute(f"PRAGMA defer_foreign_keys = {int(word == 'DISABLE')}")
