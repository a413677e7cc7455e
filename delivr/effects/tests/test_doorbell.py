"""The doorbell costs a request next to nothing, whatever the broker does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from delivr.effects import queue
from delivr.tests.processes import broker_at

pytestmark = pytest.mark.services


class Frozen:
    """A broker that takes connections and never says a word."""

    def __init__(self) -> None:
        self.taken: list[socket.socket] = []
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.door.getsockname()[1]}/0"
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.door.accept()[0])

    def close(self) -> None:
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.thread.join()
        for taken in self.taken:
            taken.close()


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    broker = Frozen()
    try:
        yield broker
    finally:
        broker.close()


def test_a_change_with_many_promises_waits_for_a_frozen_broker_once(frozen: Frozen) -> None:
    with broker_at(frozen.url):
        rung = [queue.enqueue("effect", f"eff_{number}") for number in range(20)]
        assert rung == [False] * 20
        first = len(frozen.taken)
        assert first >= 1
        queue.pause.end()  # its time is over
        assert not queue.enqueue("effect", "eff_again")
        assert len(frozen.taken) == 2 * first
