"""How the time of every request and job grows from 100 to 100,000 releases, and which tables
PostgreSQL scans sequentially.

`python bench/explain.py [--sizes 100 10000 100000] [--rounds 5] [--only TEXT] [--keep] [--json]`.
Fills a database for each size (`bench/data.py`), makes the requests of `bench/routes.py` in each of
them in turn, in this process with the production settings, and explains every statement. What
changes rows is rolled back. Exit code 1 if a table of workspaces is scanned sequentially, or if a
route is neither requested nor exempt. bench/README.md explains the output.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import data  # noqa: E402 # needs the path
from bench.routes import calls  # noqa: E402

LIMIT = 1.3  # times the time at the smallest size
MANY = 5000  # rows: to scan a table that has fewer is cheaper than its index


@dataclass
class Work:
    """A request or a job, the same in every database."""

    name: str
    run: Callable[[], Any]
    is_reading: bool = False


@dataclass
class Found:
    """What was measured of one work, by size."""

    ms: dict[int, list[float]] = field(default_factory=dict)
    buffers: dict[int, int] = field(default_factory=dict)  # blocks of 8 kB
    statements: dict[int, int] = field(default_factory=dict)
    status: int | None = None
    scans: set[str] = field(default_factory=set)  # at the largest size
    slowest: str = ""  # the statement that reads most blocks there


def main() -> None:
    arguments = parse()
    sizes = sorted(arguments.sizes)
    with tempfile.TemporaryDirectory() as folder:
        data.environment(sizes[0], folder)
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from delivr.signin import sessions
        from delivr.tenants import models

        settings.STATIC_ROOT = Path(folder, "static")
        call_command("collectstatic", interactive=False, verbosity=0)
        # Requests stay alike for as long as it takes: no limits, and no second note of a use.
        sessions.RESOLUTION = 86_400
        models.LAST_USED_RESOLUTION = timedelta(days=1)
        settings.API_PER_MINUTE = settings.API_FAILURES_PER_MINUTE = 1_000_000
        settings.SECOND_FACTOR_FOR_STAFF = False
        try:
            works = {size: open_database(size, arguments) for size in sizes}
            found = measure(works, arguments.rounds)
        finally:
            for size in [] if arguments.keep else sizes:
                _disconnect()
                data.drop(size)
    report(found, sizes, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="requests and jobs whose name contains this")
    parser.add_argument("--keep", action="store_true", help="keep the databases, or use kept ones")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


# --- Databases ------------------------------------------------------------------------------------


def open_database(size: int, arguments: argparse.Namespace) -> list[Work]:
    """Fill the database of this size, unless it was kept; everything to measure in it."""
    from django.core.management import call_command

    if not (arguments.keep and data.exists(size)):
        data.drop(size)
        data.create(size)
        use(size)
        data.fill(size)
    use(size)
    call_command("migrate", interactive=False, verbosity=0)  # a kept one may be older
    sample = data.recall()
    requests = calls(sample, _clients(sample))
    works = [Work(each.name, each.send, each.is_reading) for each in requests]
    return [work for work in (*works, *_jobs()) if arguments.only in work.name]


def use(size: int) -> None:
    """Let Django's connection lead to the database of this size."""
    from django.db import connection

    _disconnect()
    connection.settings_dict["NAME"] = data.name_of(size)


def _disconnect() -> None:
    from django.db import connection

    connection.close()


def _clients(sample: Any) -> dict[str, Any]:
    from django.test import Client

    from delivr.tenants.models import User
    from delivr.tests.factories import sign_in

    staff, _new = User.objects.get_or_create(
        email="root@example.com", defaults={"is_staff": True, "is_superuser": True}
    )
    place: dict[str, Any] = {"SERVER_NAME": "127.0.0.1", "raise_request_exception": False}
    token = {"Authorization": f"Bearer {sample.tokens['owner']}"}
    return {
        "owner": sign_in(Client(**place), sample.users["OWNER"]),
        "staff": sign_in(Client(**place), staff),
        "token": Client(**place, headers=token),
        "nobody": Client(**place, headers={"Authorization": f"Bearer {data.WORD}"}),
    }


def _jobs() -> Iterator[Work]:
    """What the sweeper, the poller, retention and sealing ask for."""
    from django.conf import settings
    from django.utils.module_loading import import_string

    for name, job in settings.JOBS.items():
        yield Work(f"due: {name}", import_string(job.due))
        if name in ("retention", "keys", "seal"):
            run = import_string(job.run)
            yield Work(f"job: {name}", functools.partial(run, "all"))


# --- Measuring ------------------------------------------------------------------------------------


def measure(works: dict[int, list[Work]], rounds: int) -> dict[str, Found]:
    """Explain each work once and time it `rounds` times, each time in every database in turn."""
    names = [[work.name for work in some] for some in works.values()]
    if any(some != names[0] for some in names):
        differing = set(names[0]).symmetric_difference(*names[1:])
        raise SystemExit(f"Not in every database: {', '.join(sorted(differing))}")
    found = {name: Found() for name in names[0]}
    largest = max(works)
    for size, some in works.items():
        use(size)
        tables = tables_of_tenants()
        for work in some:
            plans = explain(work, found[work.name], size, Plans(tables))
            if size == largest:
                found[work.name].scans, found[work.name].slowest = plans.scans, plans.slowest
    for _round in range(rounds):
        for size, some in works.items():
            use(size)
            for work in some:
                found[work.name].ms.setdefault(size, []).append(_timed(work))
    return found


def _timed(work: Work) -> float:
    begin = time.perf_counter()
    with undone(work):
        work.run()
    return (time.perf_counter() - begin) * 1000


@contextmanager
def undone(work: Work) -> Iterator[None]:
    """What the work changes is rolled back, even of a page, which may write when it was used."""
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def explain(work: Work, found: Found, size: int, plans: Plans) -> Plans:
    from django.db import connection

    with undone(work), connection.execute_wrapper(plans):
        answer = work.run()
    found.buffers[size], found.statements[size] = plans.buffers, plans.statements
    found.status = getattr(answer, "status_code", None)
    return plans


class Plans:
    """Explains each statement just before it is executed. What reads is analyzed, which executes
    it; of what writes there is only the plan."""

    def __init__(self, tables: dict[str, int]) -> None:
        self.tables = tables
        self.statements = self.buffers = self.most = 0
        self.scans: set[str] = set()
        self.slowest = ""

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        word = sql.lstrip("( ").split(None, 1)[0].upper()
        if word in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH") and not many:
            self._explain(sql, params, context["connection"], is_reading=word == "SELECT")
        if word not in ("SAVEPOINT", "RELEASE", "ROLLBACK"):
            self.statements += 1
        return execute(sql, params, many, context)

    def _explain(self, sql: str, params: Any, connection: Any, *, is_reading: bool) -> None:
        options = "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON" if is_reading else "FORMAT JSON"
        with connection.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN ({options}) {sql}", params or None)
            [plan] = cursor.fetchone()
        top = plan[0]["Plan"]
        read = top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0)
        self.buffers += read
        if read > self.most:
            self.most, self.slowest = read, sql
        for node in _nodes(top):
            table = node.get("Relation Name", "")
            if node["Node Type"] == "Seq Scan" and self.tables.get(table, 0) > MANY:
                self.scans.add(table)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def tables_of_tenants() -> dict[str, int]:
    """The number of rows of each table that has a tenant."""
    from django.db import connection

    from delivr.tests.sample_workspace import tenant_models

    names = [model._meta.db_table for model in tenant_models()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, reltuples FROM pg_class WHERE relname = ANY(%s)", [names])
        return {name: int(rows) for name, rows in cursor.fetchall()}


# --- The table ------------------------------------------------------------------------------------


def report(found: dict[str, Found], sizes: list[int], arguments: argparse.Namespace) -> None:
    lines = [line_of(name, each, sizes) for name, each in found.items()]
    if arguments.json:
        print(json.dumps(lines, indent=1))
    else:
        ms = [f"{size:,}: ms" for size in sizes]
        blocks = [f"{size:,}: blocks" for size in sizes]
        heads = ["request or job", "statements", *ms, "ratio", *blocks, "scanned"]
        print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
        for line in lines:
            print("| " + " | ".join(map(str, _cells(line))) + " |")
        slow = [line["name"] for line in lines if line["ratio"] > LIMIT]
        print(f"\n{len(lines)} requests and jobs, {len(slow)} above {LIMIT}.", file=sys.stderr)
    if scanned := [f"{line['name']}: {line['scanned']}" for line in lines if line["scanned"]]:
        raise SystemExit("Sequential scans of tables of workspaces:\n" + "\n".join(scanned))


def line_of(name: str, found: Found, sizes: list[int]) -> dict[str, Any]:
    ms = [statistics.median(found.ms[size]) for size in sizes]
    return {
        "name": name,
        "status": found.status,
        "statements": [found.statements[size] for size in sizes],
        "ms": [round(each, 1) for each in ms],
        "ratio": round(ms[-1] / ms[0], 2),
        "blocks": [found.buffers[size] for size in sizes],
        "scanned": ", ".join(sorted(found.scans)),
        "most_blocks": found.slowest,
    }


def _cells(line: dict[str, Any]) -> Iterator[Any]:
    counts = sorted(set(line["statements"]))
    yield line["name"].replace("|", "\\|")
    yield counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    yield from line["ms"]
    yield line["ratio"]
    yield from line["blocks"]
    yield line["scanned"]


if __name__ == "__main__":
    main()
