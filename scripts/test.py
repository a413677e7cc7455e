"""`make test`: the whole suite on the embedded default, then against real services, then Chromium.

What is not reachable is left out and named in the last line; with REQUIRE_SERVICES=1 it fails.
Where the services are: TEST_DATABASE_URL, TEST_REDIS_URL, CHROMIUM. Arguments go on to pytest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
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
        Phase("SQLite", ("-m", "not services and not browser"), embedded, lambda: ""),
        Phase(
            "PostgreSQL and Redis",
            ("-m", "not browser", *only_database),
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


def run(phase: Phase) -> str:
    """How the phase ended: "passed", "FAILED" or why it did not run."""
    print(f"\n=== {phase.name} ===", flush=True)
    if why := phase.missing():
        print(why)
        return why
    command = [sys.executable, "-m", "pytest", "-q", *phase.select, *sys.argv[1:]]
    code = finish(subprocess.Popen(command, cwd=ROOT, env={**os.environ, **phase.env}))
    if code == NO_TESTS:
        return "no tests selected"
    return "FAILED" if code else "passed"


def finish(process: subprocess.Popen[bytes]) -> int:
    """Its exit code. What hangs is interrupted, then aborted (which tells where it hung)."""
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGABRT, 60)):
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            print(f"It hangs: {number.name}", flush=True)
            process.send_signal(number)
    process.wait()
    return HUNG


def main() -> int:
    ended = {phase.name: run(phase) for phase in phases()}
    print("\n" + " · ".join(f"{name}: {how}" for name, how in ended.items()))
    bad = set(ended.values()) - {"passed"}
    return int("FAILED" in bad or bool(MUST_RUN and bad))


if __name__ == "__main__":
    sys.exit(main())
