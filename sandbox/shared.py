"""What every stand-in knows of its world: one lock, one clock, one ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sandbox.ledger import Ledger, RequestLog


class Shared:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.base_url = "http://127.0.0.1"
        self.offset = 0.0  # seconds that this world is ahead
        self.ledger = Ledger()
        self.requests = RequestLog()
        self._clock = clock
        self._dirty = threading.Event()

    def clock(self) -> float:
        """Seconds since the epoch, as this world sees them."""
        return self._clock() + self.offset

    def record(self, kind: str, provider: str, **facts: Any) -> None:
        """Write a side effect into the ledger; also says that there is something to save."""
        self.ledger.add(kind, provider=provider, at=self.clock(), **facts)
        self.touch()

    def touch(self) -> None:
        """There is something to save."""
        self._dirty.set()
