"""`make test`: the whole suite on the embedded default, against real services, and in Chromium.

Two lanes run side by side, as most of a test's time is one core's: SQLite and then Chromium, and
PostgreSQL with Redis, whose output is shown when the first lane is through.
What is not reachable is left out and named in the last line; with REQUIRE_SERVICES=1 it fails.
Where the services are: TEST_DATABASE_URL, TEST_REDIS_URL, CHROMIUM. Arguments go on to pytest.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from delivr.tests.browser import find_chromium  # noqa: E402 # needs the path

POSTGRES = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
MUST_RUN = os.environ.get("REQUIRE_SERVICES", "0") not in ("", "0")
NO_TESTS = 5  # pytest's exit code
HUNG = 1
PATIENCE = 1200  # seconds for a phase


@dataclass(frozen=True)
class Phase:
    name: str
    select: tuple[str, ...]  # arguments for pytest
    env: Mapping[str, str]
    missing: Callable[[], str]  # why it cannot run; empty if it can


def phases() -> list[Phase]:
    own_database = urlsplit(POSTGRES)._replace(path=f"/delivr_{os.getpid()}").geturl()
    services = {
        "DATABASE_URL": own_database,
        "CELERY_BROKER_URL": REDIS,
        "TEST_REDIS_URL": REDIS,
        "TEST_DATABASE_URL": POSTGRES,
    }
    embedded = {"DATABASE_URL": "sqlite:///:memory:", "CELERY_BROKER_URL": ""}
    only_database = ("-p", "delivr.tests.only_database")
    return [
        Phase(
            "SQLite",
            ("-m", "not services and not browser and not on_postgresql"),
            embedded,
            lambda: "",
        ),
        Phase(
            "PostgreSQL and Redis",
            ("-m", "not browser and not on_sqlite", *only_database),
            services,
            missing_services,
        ),
        Phase("Chromium", ("-m", "browser"), embedded, missing_browser),
    ]


def missing_services() -> str:
    import psycopg
    import redis

    try:
        psycopg.connect(POSTGRES, connect_timeout=3).close()
    except psycopg.Error as error:
        return f"no PostgreSQL at TEST_DATABASE_URL ({str(error).splitlines()[0]})"
    try:
        with redis.Redis.from_url(REDIS, socket_connect_timeout=3) as client:
            client.ping()
    except redis.RedisError as error:
        return f"no Redis at TEST_REDIS_URL ({error})"
    return ""


def missing_browser() -> str:
    return "" if find_chromium() else "no Chromium found: install it or set CHROMIUM"


def run(phase: Phase, out: IO[bytes]) -> str:
    """How the phase ended: "passed", "FAILED" or why it did not run."""

    def say(words: str) -> None:
        out.write(f"{words}\n".encode())
        out.flush()

    say(f"\n=== {phase.name} ===")
    if why := phase.missing():
        say(why)
        return why
    command = [sys.executable, "-m", "pytest", "-q", *phase.select, *sys.argv[1:]]
    env = {**os.environ, **phase.env}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
    code = finish(process, say)
    if code == NO_TESTS:
        return "no tests selected"
    return "FAILED" if code else "passed"


def finish(process: subprocess.Popen[bytes], say: Callable[[str], None]) -> int:
    """Its exit code. What hangs is interrupted, then aborted (which tells where it hung)."""
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGABRT, 60)):
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            say(f"It hangs: {number.name}")
            process.send_signal(number)
    process.wait()
    return HUNG


def main() -> int:
    sqlite, services, browser = phases()
    with tempfile.TemporaryFile() as later, ThreadPoolExecutor(1) as beside:
        there = beside.submit(run, services, later)
        here = {phase.name: run(phase, sys.stdout.buffer) for phase in (sqlite, browser)}
        ended = {services.name: there.result(), **here}
        later.seek(0)
        shutil.copyfileobj(later, sys.stdout.buffer)
    print("\n" + " · ".join(f"{name}: {how}" for name, how in ended.items()))
    bad = set(ended.values()) - {"passed"}
    return int("FAILED" in bad or bool(MUST_RUN and bad))


if __name__ == "__main__":
    sys.exit(main())
