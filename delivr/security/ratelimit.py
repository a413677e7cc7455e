"""Rate limits: one counter row per key, shared by all processes."""

from __future__ import annotations

import hashlib
import math
import time

from django.db import connection

from delivr.models import RateCounter

# One statement, so two simultaneous requests cannot both get the last turn. A refused request
# changes nothing: it neither counts nor prolongs the wait.
_COUNT = """
SET hits = CASE WHEN counter.ends_at <= %(now)s THEN 1 ELSE counter.hits + 1 END,
    ends_at = CASE WHEN counter.ends_at <= %(now)s THEN %(end)s ELSE counter.ends_at END
WHERE (counter.ends_at <= %(now)s OR counter.hits < %(limit)s)
"""
_TAKE_A_TURN = f"""
INSERT INTO rate_counters AS counter (key, hits, ends_at) VALUES (%(key)s, 1, %(end)s)
ON CONFLICT (key) DO UPDATE {_COUNT} RETURNING hits
"""  # noqa: S608 # values are parameters
# For a key that was counted before, as part of another statement: faster than the upsert where many
# wait for one row.
TAKE_ANOTHER_TURN = f"UPDATE rate_counters AS counter {_COUNT} AND key = %(key)s"


def turn(key: str, *, limit: int, window: int) -> dict[str, str | int | float | None]:
    """The values of these statements."""
    now = time.time()
    return {"key": _hashed(key), "now": now, "end": now + window, "limit": limit}


def hit(key: str, *, limit: int, window: int) -> int | None:
    """Count one more of `key`; None if it is among the first `limit` of its window.

    Otherwise the seconds (at least 1) until the window ends. A window lasts `window` seconds from
    its first hit, so up to twice the limit may pass within one length across its edge. Call it
    outside of a transaction: a rollback would undo the count, and all others with the same key
    would wait for the commit.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_A_TURN, turn(key, limit=limit, window=window))
        if cursor.fetchone():
            return None
    return wait(key, limit=limit) or 1


def wait(key: str, *, limit: int) -> int | None:
    """The seconds until `key` has a turn again; None if it has one now. Counts nothing."""
    now = time.time()
    row = RateCounter.objects.filter(pk=_hashed(key), hits__gte=limit, ends_at__gt=now).first()
    return math.ceil(row.ends_at - now) if row else None


def forget(key: str) -> None:
    """Reset the counter of `key`."""
    RateCounter.objects.filter(pk=_hashed(key)).delete()


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
