"""One call after the other: how often what is alike may be sent through one connection.

A turn is taken just before the call, so what still waits for something else takes none. Whoever
comes much too early is given a time of its own, behind all who wait already: they do not meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from delivr.effects import clock
from delivr.effects.handlers import Pace
from delivr.effects.health import locked_health

PATIENCE = 1.0  # seconds that a worker waits for a turn, since the sweeper looks only now and then


@dataclass(frozen=True)
class Turn:
    """A turn that is taken begins after `wait`; one that is not: come again after `wait`."""

    wait: timedelta
    is_taken: bool


@transaction.atomic
def take_turn(*, tenant_id: str, integration_id: str, pace: Pace) -> Turn:
    """Take the next turn if it is soon.

    Locks the integration's health row, where `turns` holds for each key when the next turn begins,
    and the latest time that was given to someone else, in seconds since 1970.
    """
    health = locked_health(tenant_id, integration_id)
    now = clock.now().timestamp()  # read under the lock
    every = pace.every.total_seconds()
    free_at, given = health.turns.get(pace.key, (0.0, 0.0))
    at = max(now, free_at)
    is_taken = at - now <= PATIENCE
    if is_taken:
        free_at = at + every
    else:
        at = given = max(free_at, given + every)
    others = {key: times for key, times in health.turns.items() if max(times) > now}
    health.turns = others | {pace.key: [free_at, given]}
    health.save(update_fields=["turns"])
    return Turn(timedelta(seconds=at - now), is_taken)
