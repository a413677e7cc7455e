"""How soon and how fast effects are sent: from a click to the provider's first byte, the rate of
claims beside a bare UPDATE, and the rate of one to four workers.

`python bench/effects.py [--only clicks claims workers] [--clicks 40] [--rounds 5]`, with
TEST_DATABASE_URL and TEST_REDIS_URL. bench/README.md explains the output.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import webhook  # noqa: E402 # needs the path
from bench.processes import cpu_of, process, worker  # noqa: E402
from delivr.tests.product import free_port  # noqa: E402

MILLISECONDS = 50  # until the provider answers
WAITING = 300
WARM = 10  # clicks, in which the threads of a new worker connect and load what they need
TENANTS = 100
CLAIMS = 300  # in one round
THREADS = 1  # of each worker whose rate is compared: the cores must not be the limit
SECONDS = 8.0
KINDS = ("clicks", "claims", "workers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for figures in measure(arguments):
        for name, value in figures.items():
            print(f"{name:<50}{value}", flush=True)


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, webhook.database(False, folder) as url:
        webhook.environment(url, folder, webhook.REDIS)
        os.environ |= {
            "OUTBOUND_ALLOW": "127.0.0.1",
            "GITHUB_API_URL": f"http://127.0.0.1:{port}/github",
            "API_PER_MINUTE": "1000000",
        }
        stub = process(folder, "provider", "bench/provider.py", str(port), str(MILLISECONDS))
        with stub, webhook.messages_removed():
            endpoints = seed(port)
            if "claims" in arguments.only:
                yield claims(endpoints, arguments.rounds)
            if "workers" in arguments.only:
                yield workers(folder, endpoints)
            if "clicks" in arguments.only:
                yield clicks(folder, port, endpoints, arguments.clicks)


def seed(port: int) -> list[Any]:
    """An endpoint at the provider for each of many workspaces."""
    webhook.migrate()
    from delivr.tests import factories

    url = {"url": f"http://127.0.0.1:{port}/events"}
    return list(factories.EndpointFactory.create_batch(TENANTS, options=url))


_names = itertools.count()


def wait_in_line(endpoints: Sequence[Any], count: int) -> None:
    """Create effects that are due, spread over the endpoints, and tell the queue."""
    from django.db import transaction

    from delivr.effects.operations import create_effects

    with transaction.atomic():
        for number, endpoint in enumerate(endpoints[:count]):
            some = [
                {
                    "integration_id": endpoint.pk,
                    "dedupe_key": f"bench:{next(_names)}",
                    "payload": {"test": True},
                }
                for _ in range(number, count, len(endpoints))
            ]
            create_effects(tenant=endpoint.tenant, kind="event.send", effects=some)


# --- From a click to the provider -----------------------------------------------------------------


def clicks(folder: str, port: int, endpoints: Sequence[Any], count: int) -> dict[str, Any]:
    """With the processes of a small installation: web, one worker, one sweeper."""
    token, releases = clickable(port, WARM + 2 * count)
    with (
        webhook.server(folder) as web,
        worker(folder, "worker"),
        process(folder, "sweeper", "manage.py", "sweep"),
    ):
        webhook.wait_until_ready(web)
        wait_in_line(endpoints, len(endpoints))
        until_fewer_wait_than(1)  # all have started, and have loaded what they need
        cold = [_click(web, port, token, release) for release in releases[:WARM]]
        idle = [_click(web, port, token, release) for release in releases[WARM : WARM + count]]
        busy = []
        for release in releases[WARM + count :]:
            wait_in_line(endpoints, max(WAITING - waiting(), 0))
            busy.append(_click(web, port, token, release))
    return {
        f"the first {WARM} clicks of a new worker": _seconds(cold),
        "click to provider, nothing waits": _seconds(idle),
        f"click to provider, {WAITING} effects wait": _seconds(busy),
    }


def clickable(port: int, count: int) -> tuple[str, list[str]]:
    """A member's token, and the ids of releases with one pipeline each, which nobody has built."""
    from delivr.tenants.models import Role
    from delivr.tenants.operations import create_token
    from delivr.tests import factories, wired

    tenant = factories.TenantFactory()
    user = factories.MembershipFactory(tenant=tenant, role=Role.MEMBER).user
    _row, token = create_token(tenant=tenant, user=user, role=Role.MEMBER)
    space = wired.wire_any_ci(tenant, f"http://127.0.0.1:{port}", has_status=False)
    return token, [space.release("ios").pk for _ in range(count)]


def _click(web: int, port: int, token: str, release: str) -> float:
    """Seconds from the click until the first byte of the trigger arrives at the provider."""
    from delivr.effects.models import Effect
    from faults.clients import Client

    clicked = time.monotonic()
    answer = Client(web).api(token, "POST", f"releases/{release}/builds", {})
    assert answer.status == 202, answer  # noqa: S101
    build = Effect.objects.get(kind="build.trigger", release_id=release).build_id
    arrived = until(lambda: _seen(port).get(build), seconds=60)
    return float(arrived - clicked)


def _seen(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=10) as answer:
        found: dict[str, float] = json.load(answer)
    return found


def _seconds(found: list[float]) -> str:
    found = sorted(found)
    p95 = found[int(len(found) * 0.95)]
    return f"median {statistics.median(found):.3f} s, p95 {p95:.3f} s, longest {found[-1]:.3f} s"


# --- Claims ---------------------------------------------------------------------------------------

_BARE = """
UPDATE effects SET state = 'LEASED', lease_until = now() + interval '1 minute',
    lease_token = lease_token + 1, attempts = attempts + 1
WHERE id = (
    SELECT id FROM effects WHERE state IN ('PENDING', 'LEASED') AND next_at <= now()
    AND (state = 'PENDING' OR lease_until < now())
    ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING *
"""


def claims(endpoints: Sequence[Any], rounds: int) -> dict[str, Any]:
    """One connection, in this process; product and bare statement alternate."""
    from delivr.effects.models import Effect

    wait_in_line(endpoints, CLAIMS)
    ids = list(Effect.objects.open().values_list("pk", flat=True))
    _all_pending()
    _rate_of_claims(ids)  # creates the rows of health
    ours, bare = [], []
    for _ in range(rounds):
        _all_pending()
        ours.append(_rate_of_claims(ids))
        _all_pending()
        bare.append(_rate_of_bare())
    Effect.objects.all().delete()
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return {
        "claims": f"{statistics.median(ours):,.0f}/s",
        "claims by a bare UPDATE … SKIP LOCKED": f"{statistics.median(bare):,.0f}/s",
        "claims, ratio": _ratio(ratios),
    }


def _ratio(found: list[float]) -> str:
    return f"{statistics.median(found):.2f}  ({min(found):.2f} to {max(found):.2f})"


def _all_pending() -> None:
    from django.db import connection

    from delivr.effects.models import Effect, EffectState

    Effect.objects.update(state=EffectState.PENDING, lease_until=None, attempts=0)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE effects")


def _rate_of_claims(ids: Sequence[str]) -> float:
    from delivr.effects.runner import claim

    started = time.perf_counter()
    assert all(claim(effect_id) for effect_id in ids)  # noqa: S101
    return len(ids) / (time.perf_counter() - started)


def _rate_of_bare() -> float:
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        started = time.perf_counter()
        for _ in range(CLAIMS):
            assert connection.execute(_BARE).fetchone()  # noqa: S101
        return CLAIMS / (time.perf_counter() - started)


# --- Workers --------------------------------------------------------------------------------------


def workers(folder: str, endpoints: Sequence[Any]) -> dict[str, Any]:
    """Effects a second by one worker, two, three, four, and what one costs."""
    rates, costs = [], []
    for count in range(1, 5):
        rate, cost = _rate_of_workers(folder, endpoints, count)
        rates.append(rate)
        costs.append(cost)
    figures = {
        f"{count} workers of {THREADS} threads": f"{rate:.1f}/s, {rate / rates[0] / count:.2f} each"
        for count, rate in enumerate(rates, 1)
    }
    return {**figures, "CPU of a worker for an effect": f"{statistics.median(costs) * 1000:.1f} ms"}


def _rate_of_workers(folder: str, endpoints: Sequence[Any], count: int) -> tuple[float, float]:
    """Effects a second, and seconds of CPU for each."""
    from delivr.effects.models import Effect

    with contextlib.ExitStack() as stack:
        names = [f"worker{count}{number}" for number in range(count)]
        pids = [stack.enter_context(worker(folder, name, threads=THREADS)) for name in names]
        wait_in_line(endpoints, count * len(endpoints))
        until_fewer_wait_than(1)  # all have started
        most = int(count * THREADS * SECONDS * 1000 / MILLISECONDS)
        wait_in_line(endpoints, most)
        done, cpu, started = _done(), sum(map(cpu_of, pids)), time.perf_counter()
        time.sleep(SECONDS)
        number, spent = _done() - done, time.perf_counter() - started
        cpu = sum(map(cpu_of, pids)) - cpu
        assert waiting(), "they ran out of work"  # noqa: S101
        stack.callback(Effect.objects.all().delete)
        stack.callback(_messages_gone)
    return number / spent, cpu / number


def _messages_gone() -> None:
    with webhook.messages_removed():
        pass


def _done() -> int:
    from delivr.effects.models import Effect, EffectState

    return int(Effect.objects.filter(state=EffectState.DONE).count())


def waiting() -> int:
    from delivr.effects.models import Effect

    return int(Effect.objects.open().count())


def until_fewer_wait_than(count: int) -> None:
    until(lambda: waiting() < count, seconds=120)


def until(condition: Callable[[], Any], *, seconds: float) -> Any:
    from faults.stack import until as wait

    return wait(condition, seconds=seconds, what="a step of the benchmark", pause=0.01)


if __name__ == "__main__":
    main()
