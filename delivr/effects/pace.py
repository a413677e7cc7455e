"""One call after the other: how often what is alike may be sent through one connection.

A turn is held during the call and for `Pace.every` after it, by the database's clock. However long
a call takes to arrive, the next one begins so much later than it ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction

from delivr.effects import clock
from delivr.effects.handlers import CALL, MARGIN, Pace, Postpone
from delivr.effects.health import locked_health
from delivr.effects.models import IntegrationHealth

PATIENCE = 2.0  # seconds that a worker waits for a turn, since the sweeper looks only now and then
HELD = (CALL + MARGIN).total_seconds()  # at most: its worker may have died


@contextmanager
def in_turn(*, tenant_id: str, integration_id: str, pace: Pace | None) -> Iterator[None]:
    """Around a call, without a transaction: wait for its turn, and hold it until the call ended.

    Raises Postpone if that takes long, with a time of its own: those who wait do not meet again.
    """
    if pace is None:
        yield
        return
    turns = _Turns(tenant_id, integration_id, pace)
    held_until = turns.wait()
    try:
        yield
    finally:
        turns.end(held_until)


class _Turns:
    """The turns of one key. For each key, `IntegrationHealth.turns` holds when the next turn may
    begin, and the latest time that was given to someone else, in seconds since 1970.

    A turn that is held may begin again so late that `every` cannot be the reason.
    """

    def __init__(self, tenant_id: str, integration_id: str, pace: Pace) -> None:
        self.where = (tenant_id, integration_id)
        self.key, self.every = pace.key, pace.every.total_seconds()

    def wait(self) -> float:
        """Until when the turn is held now, unless it is ended before."""
        patience_ends = time.monotonic() + PATIENCE
        while True:
            wait, held_until = self.take()
            if not wait:
                return held_until
            if time.monotonic() + wait > patience_ends:
                raise Postpone(self.postponed())
            time.sleep(wait)

    @transaction.atomic
    def take(self) -> tuple[float, float]:
        """How many seconds to wait at least, and if none: until when the turn is held."""
        health, now = self._locked()
        free_at, given = health.turns.get(self.key, (0.0, 0.0))
        if now < free_at:
            return min(free_at - now, self.every), 0.0  # a call that is not over ends now or later
        self._keep(health, now, now + HELD, given)
        return 0.0, now + HELD

    @transaction.atomic
    def end(self, held_until: float) -> None:
        """The call ended. If it took too long, another call may be under way: that one ends it."""
        health, now = self._locked()
        free_at, given = health.turns.get(self.key, (0.0, 0.0))
        after = now + self.every
        self._keep(health, now, after if free_at == held_until else max(free_at, after), given)

    @transaction.atomic
    def postponed(self) -> timedelta:
        """The wait until a time behind all that were given."""
        health, now = self._locked()
        free_at, given = health.turns.get(self.key, (0.0, 0.0))
        given = max(now, given) + self.every
        self._keep(health, now, free_at, given)
        return timedelta(seconds=given - now)

    def _locked(self) -> tuple[IntegrationHealth, float]:
        health = locked_health(*self.where)
        return health, clock.now().timestamp()  # read under the lock

    def _keep(self, health: IntegrationHealth, now: float, free_at: float, given: float) -> None:
        others = {key: times for key, times in health.turns.items() if max(times) > now}
        health.turns = others | {self.key: [free_at, given]}
        health.save(update_fields=["turns"])
