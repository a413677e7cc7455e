"""The sweeper: finds due rows that no queue message announced, and without a broker runs the jobs.

Any number of sweepers may run: each claims the row of a job before doing it.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils.module_loading import import_string

from delivr.effects import clock, queue
from delivr.effects.models import Effect, EffectQuerySet, Heartbeat

log = logging.getLogger(__name__)

ENQUEUE_AGAIN = timedelta(seconds=15)
BATCH = 200
SHARE = 64  # per integration in a batch: only PER_INTEGRATION of them run at a time anyway
HEARTBEAT = 10.0  # seconds
# More than one tenant may use (PER_TENANT), so that no tenant blocks the others. SQLite has one
# writer: there, further threads only wait for each other.
THREADS, THREADS_ON_SQLITE = 16, 10
TICK_WITH_BROKER = 2.0  # seconds; the queue is the fast way, the sweeper the certain one
TICK_ALONE = 0.5  # on SQLite also TICK_WITH_BROKER while nothing is written
TICK_BUSY = 0.1  # after a tick that found work, which mostly causes more
BROKER_TIMEOUT = 60.0  # seconds without a broker until the sweeper runs the jobs itself


@transaction.atomic
def due_effects() -> list[str]:
    """The ids of effects that are due and were not enqueued lately; marks them as enqueued.

    Fair order: the oldest effect of each integration first, then the second of each; tenants with
    few effects come before those with many. Kinds without a handler are left untouched.
    """
    if settings.EFFECTS_PAUSED:
        return []
    now = clock.now()
    known = Effect.objects.filter(kind__in=settings.EFFECT_HANDLERS)
    due = known.due(now).exclude(enqueued_at__gt=now - ENQUEUE_AGAIN)
    ids = list(_in_turns(due)[:BATCH])
    free = due.filter(pk__in=ids)
    if connection.features.has_select_for_update_skip_locked:
        free = free.select_for_update(skip_locked=True)
    taken = set(free.values_list("pk", flat=True))
    Effect.objects.filter(pk__in=taken).update(enqueued_at=now)
    return [effect_id for effect_id in ids if effect_id in taken]


def _in_turns(due: EffectQuerySet) -> Any:
    oldest_first = [F("next_at"), F("pk")]
    turn = Window(RowNumber(), partition_by=["tenant", "integration_id"], order_by=oldest_first)
    place = Window(RowNumber(), partition_by=["tenant"], order_by=oldest_first)
    rows = due.annotate(turn=turn, place=place).filter(turn__lte=SHARE)
    return rows.order_by("turn", "place", "next_at").values_list("pk", flat=True)


class Writes:
    """Whether any connection wrote to a SQLite database since the last look, which costs far less
    than to look for due rows. https://www.sqlite.org/pragma.html#pragma_data_version"""

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.version = -1

    def are_new(self) -> bool:
        [version] = self.connection.execute("PRAGMA data_version").fetchone()
        before, self.version = self.version, int(version)
        return self.version != before


class Sweeper:
    def __init__(self) -> None:
        threads = THREADS_ON_SQLITE if connection.vendor == "sqlite" else THREADS
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="sweeper")
        self.checked_at: dict[str, float] = {}  # per kind of job, in monotonic seconds
        self.busy: set[tuple[str, str]] = set()
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.broker_died_at: float | None = None
        self.beat_at = -math.inf
        self.tick_seconds = TICK_WITH_BROKER if settings.CELERY_BROKER_URL else TICK_ALONE
        self.ticked_at = -math.inf
        self.writes: Writes | None = None
        database: Any = connection
        if database.vendor == "sqlite" and not database.is_in_memory_db():
            self.writes = Writes(str(database.settings_dict["NAME"]))

    def run(self) -> None:
        """Tick until `stop()`."""
        pause = self.tick_seconds
        while not self.stopping.wait(pause):
            pause = self.tick_seconds
            try:
                if self._may_rest():
                    continue
                self.ticked_at = time.monotonic()
                if self.tick() and not settings.CELERY_BROKER_URL:
                    pause = TICK_BUSY
                self.beat()
            except Exception:
                log.exception("A tick of the sweeper failed; the next one tries again.")
            close_old_connections()
        self.pool.shutdown(wait=True, cancel_futures=True)  # jobs that have not begun are still due
        if self.writes is not None:
            self.writes.connection.close()

    def _may_rest(self) -> bool:
        """Nobody wrote since the last tick, and what time alone makes due can wait a little."""
        has_news = self.writes is None or self.writes.are_new()
        return not has_news and time.monotonic() < self.ticked_at + TICK_WITH_BROKER

    def stop(self) -> None:
        self.stopping.set()

    def tick(self) -> bool:
        """Hand out what is due; True if there was anything."""
        found = False
        for name, job in settings.JOBS.items():
            if time.monotonic() < self.checked_at.get(name, -math.inf) + job.every:
                continue
            self.checked_at[name] = time.monotonic()
            try:
                row_ids = import_string(job.due)()
                found = found or bool(row_ids)
                for row_id in row_ids:
                    self.dispatch(name, row_id)
            except Exception:  # one kind of job must not stop the others
                log.exception("The sweeper could not hand out the jobs of %s.", name)
        return found

    def beat(self) -> None:
        """Record a heartbeat every `HEARTBEAT` seconds: if it is missing, pages warn about it."""
        if time.monotonic() < self.beat_at + HEARTBEAT:
            return
        self.beat_at, now, died = time.monotonic(), clock.now(), self.broker_died_at
        down = None if died is None else now - timedelta(seconds=time.monotonic() - died)
        life = {"at": now, "broker_down_since": down}
        Heartbeat.objects.update_or_create(name="sweeper", defaults=life)

    def dispatch(self, name: str, row_id: str) -> None:
        """Enqueue the job; run it in our own threads if there is no broker or it is down."""
        if settings.CELERY_BROKER_URL and (
            self._enqueue(name, row_id) or not self._broker_is_dead()
        ):
            return
        with self.lock:
            if (name, row_id) in self.busy:
                return
            self.busy.add((name, row_id))
        self.pool.submit(self._run_job, name, row_id)

    def _enqueue(self, name: str, row_id: str) -> bool:
        if queue.enqueue(name, row_id):
            self.broker_died_at = None
            return True
        self.broker_died_at = self.broker_died_at or time.monotonic()
        return False

    def _broker_is_dead(self) -> bool:
        died = self.broker_died_at
        return died is not None and time.monotonic() - died > BROKER_TIMEOUT

    def _run_job(self, name: str, row_id: str) -> None:
        try:
            queue.run(name, row_id)
        except Exception:
            log.exception("The job %s %s failed.", name, row_id)
        finally:
            with self.lock:
                self.busy.discard((name, row_id))
            close_old_connections()


def sweep_until_idle(limit: int = 100) -> int:
    """Do everything that is due now, one job after the other, and return the number of jobs done.

    For `manage.py sweep --once` and tests.
    """
    done = 0
    for _round in range(limit):
        found = [
            (name, row_id)
            for name, job in settings.JOBS.items()
            for row_id in import_string(job.due)()
        ]
        if not found:
            return done
        for name, row_id in found:
            queue.job(name)(row_id)
            done += 1
    return done
