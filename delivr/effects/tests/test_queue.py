"""Enqueueing costs a request next to nothing, whatever the broker does."""

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
    """A broker that accepts connections and never responds."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.server.getsockname()[1]}/0"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.connections.append(self.server.accept()[0])

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    broker = Frozen()
    try:
        yield broker
    finally:
        broker.close()


def test_a_change_with_many_effects_waits_for_a_frozen_broker_once(frozen: Frozen) -> None:
    with broker_at(frozen.url):
        enqueued = [queue.enqueue("effect", f"eff_{number}") for number in range(20)]
        assert enqueued == [False] * 20
        first = len(frozen.connections)
        assert first >= 1
        queue.pause.end()  # its time is over
        assert not queue.enqueue("effect", "eff_again")
        assert len(frozen.connections) == 2 * first
