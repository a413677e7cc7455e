"""How soon the web server is ready, what an application that does nothing allows it at most, and
the memory before and after a soak of requests and webhooks.

`python bench/server.py [--minutes 2]`, with TEST_DATABASE_URL and TEST_REDIS_URL.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import webhook  # noqa: E402 # needs the path
from bench.load import measure  # noqa: E402
from bench.processes import family, memory_of, process, worker  # noqa: E402

SECONDS = 2.0  # of a round
CONNECTIONS = 8
NOOP = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2, help="of the soak")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, webhook.database(False, folder) as url:
        webhook.environment(url, folder, webhook.REDIS)
        endpoints = webhook.seed()
        with webhook.messages_removed():
            limit(folder)
            soak(folder, endpoints, arguments.minutes)


def limit(folder: str) -> None:
    """The application that does nothing, and `/livez`, in turn, under the same server."""
    with webhook.server(folder) as ours, webhook.server(folder, "bench.noop") as bare:
        rates = [(_rate(ours), _rate(bare)) for _ in range(3)]
    ours_rate, bare_rate = (statistics.median(some) for some in zip(*rates, strict=True))
    print(f"requests that need no work: {ours_rate:,.0f}/s")
    print(f"the same by an application that does nothing: {bare_rate:,.0f}/s")


def _rate(port: int) -> float:
    shares = [[NOOP] * 20_000] * CONNECTIONS
    return measure(port, shares, 200, SECONDS).rate


def soak(folder: str, endpoints: list[tuple[str, str]], minutes: float) -> None:
    """Web, worker and sweeper, with as many reports as two connections send."""
    started = time.perf_counter()
    with webhook.server(folder) as port:
        print(f"web is ready after {time.perf_counter() - started:.1f} s")
        sweep = process(folder, "sweeper", "manage.py", "sweep")
        with worker(folder, "worker") as working, sweep as sweeping:
            time.sleep(10)
            pids = {"web": _gunicorn(), "worker": working, "sweeper": sweeping}
            idle = {name: memory_of(pid) for name, pid in pids.items()}
            webhook.warm_up(port, endpoints)
            warm = {name: memory_of(pid) for name, pid in pids.items()}
            sent, ends_at = 0.0, time.monotonic() + minutes * 60
            while time.monotonic() < ends_at:
                reports = [
                    [webhook.report_request(*one) for one in endpoints * 20] for _ in range(2)
                ]
                sent += measure(port, reports, 202, 10).rate * 10
            for name, pid in pids.items():
                now = memory_of(pid)
                print(f"{name}: idle {idle[name]:.0f} MB, warm {warm[name]:.0f}, after {now:.0f}")
            print(f"about {sent:,.0f} reports in {minutes:g} minutes")


def _gunicorn() -> int:
    """The child of this process that is gunicorn's master."""
    for pid in family(os.getpid())[1:]:
        if b"gunicorn" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise SystemExit("gunicorn does not run.")


if __name__ == "__main__":
    main()
