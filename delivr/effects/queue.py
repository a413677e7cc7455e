"""The queue: asks a worker to look at a row soon. A lost message only costs time.

A job has a name, a function that does it for one id, and a function that lists the ids that are
due (`settings.JOBS`). With a broker, `enqueue` sends a Celery message; without one, the sweeper
finds the row within a tick.
"""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from delivr.celery import AWAITED, ORDINARY
from delivr.monitoring import traces
from delivr.monitoring.logs import log_ids
from delivr.run.crashpoints import crashpoint

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds without messages after the broker refused one


@functools.cache
def job(name: str) -> Callable[[str], None]:
    """The function that does the job `name` for one id."""
    function: Callable[[str], None] = import_string(settings.JOBS[name].run)
    return function


@shared_task(name="delivr.run_job", ignore_result=True)  # type: ignore[untyped-decorator]
def run_job(name: str, row_id: str) -> None:
    run(name, row_id)


def run(name: str, row_id: str) -> None:
    """Do the job, with its name in what is logged meanwhile."""
    with log_ids(job=f"{name} {row_id}"), traces.job(name):
        job(name)(row_id)


@shared_task(name="delivr.run_jobs", ignore_result=True)  # type: ignore[untyped-decorator]
def run_jobs(jobs: list[tuple[str, str]]) -> None:
    """Several jobs; one that fails does not stop the others."""
    for name, row_id in jobs:
        try:
            run(name, row_id)
        except Exception:
            log.exception("The job %s %s failed.", name, row_id)


class _Pause:
    """After the broker refuses a message, this process sends none for `PAUSE` seconds: each try may
    take half a second, and a request that creates ten effects would wait for all of them."""

    def __init__(self) -> None:
        self.ends_at = -math.inf

    def begin(self) -> None:
        self.ends_at = time.monotonic() + PAUSE

    def end(self) -> None:
        self.ends_at = -math.inf

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.ends_at


pause = _Pause()


def enqueue(name: str, row_id: str, *, is_awaited: bool = False) -> bool:
    """Send the message now; never fails, never waits long. False if the broker did not take it.
    `is_awaited`: a person waits for it, so it does not queue behind all others."""
    queue = AWAITED if is_awaited else ORDINARY
    return _send(run_job, (name, row_id), f"{name} {row_id}", queue=queue)


def enqueue_all(jobs: Sequence[tuple[str, str]], *, most: int) -> None:
    """The same for many jobs, with up to `most` of them in one message."""
    for start in range(0, len(jobs), most):
        some = jobs[start : start + most]
        if len(some) == 1:
            enqueue(*some[0])
        else:
            _send(run_jobs, (some,), f"{len(some)} jobs")


def _send(task: Any, arguments: tuple[Any, ...], words: str, *, queue: str = ORDINARY) -> bool:
    crashpoint("before_enqueue")
    if not settings.CELERY_BROKER_URL or pause.is_on:
        return False
    try:
        task.apply_async(arguments, retry=False, ignore_result=True, queue=queue)
    except Exception:  # whatever the broker does: the row stays and the sweeper finds it
        pause.begin()
        log.warning("The broker did not take %s.", words)
        return False
    return True


def enqueue_on_commit(name: str, row_id: str, *, is_awaited: bool = False) -> None:
    """Enqueue the job once the current transaction is committed."""
    transaction.on_commit(
        functools.partial(enqueue, name, row_id, is_awaited=is_awaited), robust=True
    )
