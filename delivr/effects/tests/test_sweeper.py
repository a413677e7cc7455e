"""The sweeper goes on when one kind of job fails; its heartbeats."""

from __future__ import annotations

import math
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from delivr.effects.models import Heartbeat
from delivr.effects.sweeper import TICK_BUSY, Sweeper, Writes
from delivr.settings import Job

pytestmark = pytest.mark.on_both


@pytest.mark.django_db
def test_a_sweeper_records_heartbeats() -> None:
    sweeper = Sweeper()
    sweeper.beat()
    assert Heartbeat.objects.get().broker_down_since is None
    sweeper.broker_died_at = time.monotonic() - 90
    Heartbeat.objects.all().delete()
    sweeper.beat()
    assert not Heartbeat.objects.exists()  # not at every tick
    sweeper.beat_at = -math.inf
    sweeper.beat()
    sweeper.pool.shutdown()
    beat = Heartbeat.objects.get()
    assert beat.at - beat.broker_down_since > timedelta(seconds=89)


asked: list[str] = []


def broken() -> list[str]:
    raise RuntimeError("due")


def nothing() -> list[str]:
    asked.append("nothing")
    return []


def test_one_broken_kind_of_job_does_not_stop_the_others(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.JOBS = {
        "broken": Job(run=f"{__name__}.broken", due=f"{__name__}.broken"),
        "fine": Job(run=f"{__name__}.nothing", due=f"{__name__}.nothing"),
    }
    asked.clear()
    sweeper = Sweeper()
    sweeper.tick()
    sweeper.pool.shutdown()
    assert asked == ["nothing"]
    assert "the jobs of broken" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(("broker", "pause"), [("", TICK_BUSY), ("redis://127.0.0.1:1/0", 2.0)])
def test_a_sweeper_alone_looks_again_sooner_after_it_found_work(
    settings: Any, broker: str, pause: float
) -> None:
    settings.CELERY_BROKER_URL = broker
    sweeper, pauses, found = Sweeper(), [], [True, False]
    sweeper.tick = found.pop  # type: ignore[method-assign]
    sweeper.beat = lambda: None  # type: ignore[method-assign]
    sweeper.stopping.wait = lambda seconds: pauses.append(seconds) or not found  # type: ignore
    sweeper.run()
    assert pauses == [sweeper.tick_seconds, sweeper.tick_seconds, pause]


def test_writes_of_other_connections_are_noticed(tmp_path: Path) -> None:
    path = str(tmp_path / "delivr.sqlite3")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE effects (id)")
    writes = Writes(path)
    try:
        assert writes.are_new()  # nobody looked before
        assert not writes.are_new()
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO effects VALUES (1)")
        assert not writes.are_new()  # not before the commit
        other.execute("COMMIT")
        assert writes.are_new()
        assert not writes.are_new()
    finally:
        writes.connection.close()
        other.close()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("news", "last", "ticks"),
    [(False, 0.0, 0), (True, 0.0, 1), (False, 3.0, 1)],
    ids=["nothing written", "written", "a tick is overdue"],
)
def test_a_sweeper_rests_while_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, news: bool, last: float, ticks: int
) -> None:
    def tick() -> bool:
        done.append("tick")
        return False

    sweeper, done, waits = Sweeper(), [], iter([False, True])
    monkeypatch.setattr(Writes, "are_new", lambda _writes: news)
    monkeypatch.setattr(sweeper, "writes", Writes(":memory:"))
    monkeypatch.setattr(sweeper, "ticked_at", time.monotonic() - last)
    monkeypatch.setattr(sweeper, "tick", tick)
    monkeypatch.setattr(sweeper, "beat", lambda: None)
    monkeypatch.setattr(sweeper.stopping, "wait", lambda _seconds: next(waits))
    sweeper.run()
    assert len(done) == ticks
