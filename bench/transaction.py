"""What a webhook costs the database at least, without a web server or a proof: the classic
transaction BEGIN, SELECT … FOR UPDATE of a counter, UPDATE, INSERT, COMMIT."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any

import psycopg

from bench.load import Result

CONNECTIONS = 4
_LOCK = "SELECT hits FROM rate_counters WHERE key = %(pipeline)s FOR UPDATE"
_COUNT = "UPDATE rate_counters SET hits = %(hits)s WHERE key = %(pipeline)s"
_INSERT = """
INSERT INTO webhook_deliveries (id, tenant_id, pipeline_id, sender, dedupe_key, trust, event, body,
    state, reason, next_at, received_at)
VALUES (%(id)s, %(tenant)s, %(pipeline)s, 'jenkins', %(id)s, 'SIGNED', '', %(body)s, 'NEW', '',
    now() + interval '15 seconds', now())
"""
BODY = b"x" * 90


def measure(pipelines: Sequence[str], seconds: float) -> Result:
    """As many as possible at 4 connections, one process each."""
    url = os.environ["DATABASE_URL"]
    with get_context("spawn").Pool(CONNECTIONS) as pool:
        tasks = [(url, list(pipelines), seconds)] * CONNECTIONS
        answers = pool.starmap(_one_connection, tasks, chunksize=1)
    latencies = sorted(latency for some, _spent in answers for latency in some)
    return Result(
        rate=sum(len(some) / spent for some, spent in answers),
        p50=statistics.median(latencies) * 1000,
        p99=latencies[int(len(latencies) * 0.99)] * 1000,
        errors=0,
    )


def _one_connection(url: str, pipelines: list[str], seconds: float) -> tuple[list[float], float]:
    latencies, turn = [], os.getpid()
    with psycopg.connect(url, autocommit=True) as connection:
        for pipeline in pipelines:
            connection.execute(
                "INSERT INTO rate_counters VALUES (%s, 0, 0) ON CONFLICT DO NOTHING", [pipeline]
            )
        found = connection.execute("SELECT id, tenant_id FROM tenant_pipeline_integrations")
        tenants: dict[str, str] = dict(found.fetchall())
        start = now = time.perf_counter()
        while now - start < seconds:
            turn += 1
            pipeline = pipelines[turn % len(pipelines)]
            row = {"id": f"{turn}_{now}"[-40:], "pipeline": pipeline, "tenant": tenants[pipeline]}
            _store(connection, {**row, "body": BODY})
            before, now = now, time.perf_counter()
            latencies.append(now - before)
    return latencies, now - start


def _store(connection: psycopg.Connection[tuple[int]], row: dict[str, Any]) -> None:
    with connection.transaction():
        found = connection.execute(_LOCK, row).fetchone()
        assert found is not None  # noqa: S101 # it was created before the measurement
        connection.execute(_COUNT, {**row, "hits": found[0] + 1})
        connection.execute(_INSERT, row)
