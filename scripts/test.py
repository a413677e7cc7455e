"""`make test`: the whole suite on the embedded default, against real services, and in Chromium.

Two phases run side by side, so that one uses the cores while the other waits for a browser or a
worker; pytest-xdist spreads a phase over the cores. The first phase is shown as it runs, each other
one when it has ended. A phase without its services is skipped and named in the last line; with
REQUIRE_SERVICES=1 that is a failure. TEST_DATABASE_URL, TEST_REDIS_URL and CHROMIUM say where the
services are. Arguments are passed on to pytest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
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
SPREAD = ("-n", str(os.cpu_count() or 1), "--dist", "worksteal")
TIMEOUT = 1200  # seconds for a phase
stopping = threading.Event()  # set by Ctrl-C, which also interrupts running phases: start no more


@dataclass(frozen=True)
class Phase:
    name: str
    select: tuple[str, ...]  # arguments for pytest
    env: Mapping[str, str]
    missing: Callable[[], str] = lambda: ""  # the reason why it cannot run, else empty
    clean_up: Callable[[], None] = lambda: None  # after processes that were killed


def phases() -> list[Phase]:
    """Those that take longest first."""
    own_database = urlsplit(POSTGRES)._replace(path=f"/delivr_{os.getpid()}").geturl()
    services = {
        "DATABASE_URL": own_database,
        "CELERY_BROKER_URL": REDIS,
        "TEST_REDIS_URL": REDIS,
        "TEST_DATABASE_URL": POSTGRES,
    }
    embedded = {"DATABASE_URL": "sqlite:///:memory:", "CELERY_BROKER_URL": ""}
    each_once = (*SPREAD, "-p", "delivr.tests.each_once", "-m")
    browser = ("-p", "delivr.tests.browser_alone", "-m", "browser", "--nomigrations")
    return [
        Phase("Chromium", browser, embedded, missing_browser),
        Phase(
            "PostgreSQL and Redis",
            (*each_once, "not browser"),
            services,
            missing_services,
            drop_databases,
        ),
        # The other phases show what migrations make: of PostgreSQL, and of SQLite as `make run`.
        Phase("SQLite", ("--nomigrations", *each_once, "not services and not browser"), embedded),
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


def drop_databases() -> None:
    """Drop the databases of this run: pytest-xdist kills its processes if pytest is interrupted."""
    import psycopg
    from psycopg import sql

    ours = f"^test_delivr_{os.getpid()}(_gw[0-9]+)?$"
    with psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3) as server:
        found = server.execute("SELECT datname FROM pg_database WHERE datname ~ %s", [ours])
        for (name,) in found.fetchall():
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            server.execute(drop.format(sql.Identifier(name)))


def missing_browser() -> str:
    return "" if find_chromium() else "no Chromium found: install it or set CHROMIUM"


def run(phase: Phase, out: IO[bytes]) -> str:
    """Run a phase: "passed", "FAILED", "interrupted" or the reason why it did not run."""

    def say(words: str) -> None:
        out.write(f"{words}\n".encode())
        out.flush()

    say(f"\n=== {phase.name} ===")
    if why := "interrupted" if stopping.is_set() else phase.missing():
        say(why)
        return why
    command = [sys.executable, "-m", "pytest", "-q", *phase.select, *sys.argv[1:]]
    env = {**os.environ, **phase.env}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
    code = finish(process, say)
    phase.clean_up()
    if stopping.is_set():
        return "interrupted"
    if code == NO_TESTS:
        return "no tests selected"
    return "FAILED" if code else "passed"


def run_all(phases: Sequence[Phase]) -> dict[str, str]:
    ended: dict[str, str] = {}
    with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile()) for _ in phases[1:]]
        outs: list[IO[bytes]] = [sys.stdout.buffer, *outputs]
        running = [pool.submit(run, *pair) for pair in zip(phases, outs, strict=True)]
        for phase, future, output in zip(phases, running, outs, strict=True):
            ended[phase.name] = future.result()
            if output is not sys.stdout.buffer:
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
    return ended


def finish(process: subprocess.Popen[bytes], say: Callable[[str], None]) -> int:
    """Wait for the exit code. If it hangs, interrupt it, then abort it, which prints where."""
    for number, timeout in ((signal.SIGINT, TIMEOUT), (signal.SIGABRT, 60)):
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            say(f"It hangs: {number.name}")
            process.send_signal(number)
    process.wait()
    return HUNG


def stop(number: int, _frame: FrameType | None) -> None:
    stopping.set()


def main() -> int:
    signal.signal(signal.SIGINT, stop)
    ended = run_all(phases())
    print("\n" + " · ".join(f"{name}: {how}" for name, how in ended.items()))
    if stopping.is_set():
        return 128 + signal.SIGINT
    bad = set(ended.values()) - {"passed"}
    return int("FAILED" in bad or bool(MUST_RUN and bad))


if __name__ == "__main__":
    sys.exit(main())
