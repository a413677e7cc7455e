"""One call after the other: how often what is alike may be sent through one connection.

A turn is taken just before the call, so what still waits for something else takes none. Whoever
comes too early is given a time of its own behind all who wait already: they do not meet again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction

from delivr.effects import clock
from delivr.effects.handlers import Pace
from delivr.effects.health import locked_health

SPARE = timedelta(milliseconds=100)  # between two times given: whoever comes late delays nobody


@transaction.atomic
def take_turn(*, tenant_id: str, integration_id: str, pace: Pace) -> datetime | None:
    """None if the caller may send now, or else when it should come again.

    Locks the integration's health row, where `turns` holds for each key when the next one may be
    sent, and the latest time that was given away, in seconds since 1970.
    """
    health = locked_health(tenant_id, integration_id)
    now = clock.now().timestamp()  # read under the lock
    every = pace.every.total_seconds()
    free_at, given = health.turns.get(pace.key, (0.0, 0.0))
    later = None
    if now >= free_at:
        free_at = now + every
    elif free_at - now <= SPARE.total_seconds():
        later = free_at
    else:
        later = given = max(free_at, given + every + SPARE.total_seconds())
    others = {key: times for key, times in health.turns.items() if max(times) > now}
    health.turns = others | {pace.key: [free_at, given]}
    health.save(update_fields=["turns"])
    return None if later is None else datetime.fromtimestamp(later, UTC)
