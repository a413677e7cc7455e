"""A small load generator: prepared requests over keep-alive connections, one process each."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context

Requests = Sequence[bytes]


@dataclass(frozen=True)
class Result:
    """One round: requests per second, latencies in ms, number of unexpected statuses."""

    rate: float
    p50: float
    p99: float
    errors: int


def measure(port: int, shares: Sequence[Requests], expected: int, seconds: float) -> Result:
    """Send each share over its own connection until it is used up or `seconds` are over."""
    with get_context("spawn").Pool(len(shares)) as pool:
        tasks = [(port, share, expected, seconds) for share in shares]
        answers = pool.starmap(_one_connection, tasks, chunksize=1)
    latencies = sorted(latency for some, _, _ in answers for latency in some)
    return Result(
        rate=sum(len(some) / spent for some, spent, _ in answers),
        p50=statistics.median(latencies) * 1000,
        p99=latencies[int(len(latencies) * 0.99)] * 1000,
        errors=sum(errors for _, _, errors in answers),
    )


def _one_connection(
    port: int, requests: Requests, expected: int, seconds: float
) -> tuple[list[float], float, int]:
    latencies, errors = [], 0
    wanted = f" {expected} ".encode()
    start = now = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for request in requests:
            connection.sendall(request)
            answer = _read(connection)
            before, now = now, time.perf_counter()
            latencies.append(now - before)
            errors += wanted not in answer[:16]
            if now - start > seconds:
                break
    return latencies, now - start, errors


def _read(connection: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return answer
