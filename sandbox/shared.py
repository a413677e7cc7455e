"""What all stand-ins share: one lock, one clock, one ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sandbox.ledger import Ledger, RequestLog


class Shared:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.base_url = "http://127.0.0.1"
        self.offset = 0.0  # seconds by which the sandbox's clock is ahead
        self.ledger = Ledger()
        self.requests = RequestLog()
        self._clock = clock
        self._dirty = threading.Event()

    def clock(self) -> float:
        """Seconds since the epoch by the sandbox's clock."""
        return self._clock() + self.offset

    def record(self, kind: str, provider: str, **facts: Any) -> None:
        """Add a side effect to the ledger, and mark the state as changed."""
        self.ledger.add(kind, provider=provider, at=self.clock(), **facts)
        self.touch()

    def touch(self) -> None:
        """Mark the state as changed, so that it is saved."""
        self._dirty.set()
