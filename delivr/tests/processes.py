"""Real processes for tests: a Celery worker and a sweeper on the test's own database."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from delivr.celery import app
from delivr.effects import queue

ROOT = Path(settings.BASE_DIR)


def environment(**extra: str) -> dict[str, str]:
    """The environment of a child process: this test's database, broker and providers."""
    db = connection.settings_dict
    user = f"{db['USER']}:{db['PASSWORD']}@" if db["PASSWORD"] else f"{db['USER']}@"
    url = f"postgres://{user}{db['HOST']}:{db['PORT']}/{db['NAME']}"
    providers = ("GITHUB_API_URL", "SLACK_API_URL", "APP_STORE_CONNECT_URL", "GOOGLE_PLAY_URL")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "delivr.settings_test",
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "GOOGLE_TOKEN_URL": settings.GOOGLE_TOKEN_URL,
        "OUTBOUND_ALLOW": ",".join(settings.OUTBOUND_ALLOW),
        "PYTHONUNBUFFERED": "1",
        **{name: getattr(settings, name) for name in providers},
        **extra,
    }


@contextlib.contextmanager
def process(log: Path, *command: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child process with its output in `log`; stopped (TERM, then KILL) at the end."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment(**extra), stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def worker(log: Path, **extra: str) -> Any:
    celery = [sys.executable, "-m", "celery", "-A", "delivr", "worker", "-n", "test@%h"]
    return process(log, *celery, "-P", "threads", "-c", "8", "--loglevel", "INFO", **extra)


def sweeper(log: Path) -> Any:
    return process(log, sys.executable, "manage.py", "sweep")


def until(arrived: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Call it until the result is true; AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := arrived():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def empty_broker() -> None:
    """Delete this run's keys; another run may use the same Redis."""
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
        for key in client.scan_iter(f"{settings.CELERY_KEY_PREFIX}*"):
            client.delete(key)


def queued_messages(prefix: str = "") -> int:
    """The number of messages at the broker, of this run or under another prefix."""
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
        waiting: Any = client.llen(f"{prefix or settings.CELERY_KEY_PREFIX}delivr")
    return int(waiting)


@contextlib.contextmanager
def broker_at(url: str) -> Iterator[None]:
    """Use this broker instead, with new connections, and without an earlier pause."""
    with pytest.MonkeyPatch.context() as patch:
        # Celery prefers the URL from the environment.
        patch.setenv("CELERY_BROKER_URL", url)
        _reset_producers()
        yield
    _reset_producers()


def _reset_producers() -> None:
    app.amqp._producer_pool = None  # created again for the current URL
    queue.pause.end()
