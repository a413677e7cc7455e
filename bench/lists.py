"""How slow lists get with 10,000 releases, compared with 100, in one run on one machine.

`python bench/lists.py [--few 100] [--many 10000] [--rounds 60] [--sqlite] [--json]`. Two workspaces
in one database; each page is requested in turn from both, in this process, with the production
settings. bench/README.md explains the output.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.webhook import database, environment  # noqa: E402 # needs the path

PAGES = {
    "list": "/releases",
    "done": "/releases?tab=done",
    "last page": "/releases?tab=done&page={last}",
    "platform and builds": "/releases?platform=IOS&build=failed",
    "created by": "/releases?tab=done&by=second-{name}@example.com",
    "search": "/releases?q=.00077",
    "nothing fits": "/releases?q=.00077&platform=IOS&build=moving",
    "API": "/api/v1/releases",
    "API, filtered": "/api/v1/releases?status=BUILD_FAILED&platform=IOS",
}
SIZE = 25  # lines of a page
ACTIVE = 10  # releases of a workspace; older ones are complete or cancelled


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder, database(arguments.sqlite, folder) as url:
        environment(url, folder)
        clients = seed(arguments)
        found = [compare(page, path, clients, arguments) for page, path in PAGES.items()]
    report(found, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--sqlite", action="store_true", help="instead of TEST_DATABASE_URL")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def seed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill the database; a signed-in client of each of the two workspaces, by name."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from delivr.tests import factories

    settings.API_PER_MINUTE = 1_000_000  # requests are still counted
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    counts = {"few": arguments.few, "many": arguments.many, "others": 2 * arguments.many}
    clients = {}
    for name, count in counts.items():
        owner = factories.MembershipFactory(role="OWNER")
        fill(name, owner, count)
        clients[name] = factories.sign_in(Client(SERVER_NAME="127.0.0.1"), owner.user)
    del clients["others"]  # only there to make the tables as long as in real life
    with connection.cursor() as cursor:
        cursor.execute("VACUUM" if arguments.sqlite else "VACUUM ANALYZE")  # as autovacuum does
    return clients


def fill(name: str, owner: Any, count: int) -> None:
    from delivr.tests import factories
    from releases.models import Release, ReleasePipeline, ReleaseStatus

    scm = factories.ScmFactory(tenant=owner.tenant)
    second = factories.MembershipFactory(
        tenant=owner.tenant, user__email=f"second-{name}@example.com"
    )
    jobs = factories.PipelineFactory.create_batch(2, tenant=owner.tenant, scm=scm)
    old = (ReleaseStatus.BUILD_COMPLETE, ReleaseStatus.BUILD_COMPLETE, ReleaseStatus.CANCELLED)
    releases = [
        Release(
            tenant=owner.tenant,
            scm=scm,
            version=f"1.{number:05}",
            branch="main",
            status=old[number % 3] if number < count - ACTIVE else ReleaseStatus.BUILD_FAILED,
            created_by=(owner if number % 2 else second).user,
        )
        for number in range(count)
    ]
    Release.objects.bulk_create(releases, batch_size=1000)
    ReleasePipeline.objects.bulk_create(
        [
            ReleasePipeline(
                tenant=owner.tenant,
                release=release,
                pipeline=job,
                platform=platform,
                job_path="/job/x",
                build_status=_status_of(release.status),
            )
            for release in releases
            for job, platform in zip(jobs, ("IOS", "ANDROID"), strict=True)
        ],
        batch_size=1000,
    )


def _status_of(release_status: str) -> str:
    return {"BUILD_COMPLETE": "SUCCESS", "BUILD_FAILED": "FAILURE"}.get(release_status, "PENDING")


# --- Measuring ------------------------------------------------------------------------------------


def compare(
    page: str, path: str, clients: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Medians in ms and numbers of queries for both, and the tables that were scanned."""
    paths = {
        name: path.format(name=name, last=_last_page(getattr(arguments, name))) for name in clients
    }
    for name in clients:
        _milliseconds(clients[name], paths[name])  # updates when the session was last seen
    queries = {name: queries_of(clients[name], paths[name]) for name in clients}
    times: dict[str, list[float]] = {name: [] for name in clients}
    for _round in range(arguments.rounds):
        for name, client in clients.items():
            times[name].append(_milliseconds(client, paths[name]))
    few, many = (statistics.median(times[name]) for name in ("few", "many"))
    return {
        "page": page,
        "few_ms": round(few, 1),
        "many_ms": round(many, 1),
        "ratio": round(many / few, 2),
        "queries": [len(queries["few"]), len(queries["many"])],
        "read_as_a_whole": sorted({t for sql in queries["many"] for t in read_as_a_whole(sql)}),
    }


def _last_page(count: int) -> int:
    return max(count * 2 // 3 // SIZE - 1, 1)


def _milliseconds(client: Any, path: str) -> float:
    begin = time.perf_counter()
    answer = client.get(path)
    spent = time.perf_counter() - begin
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code}")
    return spent * 1000


def queries_of(client: Any, path: str) -> list[str]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as found:
        client.get(path)
    return [query["sql"] for query in found]


def read_as_a_whole(sql: str) -> Iterator[str]:
    """The tables of releases that PostgreSQL's plan for a query scans sequentially."""
    from django.db import connection

    if connection.vendor != "postgresql" or not sql.startswith("SELECT"):
        return
    with _explained(sql) as plan:
        nodes = [plan]
        while nodes:
            node = nodes.pop()
            nodes += node.get("Plans", [])
            name = node.get("Relation Name", "")
            if node["Node Type"] == "Seq Scan" and name.startswith("release"):
                yield name


@contextmanager
def _explained(sql: str) -> Iterator[dict[str, Any]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql.replace('%', '%%')}", ())
        (plan,) = cursor.fetchone()
    yield (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def report(found: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{'':<20} {arguments.few:>9} {arguments.many:>9}  ratio  queries  read as a whole")
    for row in found:
        whole = ", ".join(row["read_as_a_whole"]) or "–"
        queries = " / ".join(map(str, row["queries"]))
        print(
            f"{row['page']:<20} {row['few_ms']:6.1f} ms {row['many_ms']:6.1f} ms"
            f"  {row['ratio']:5.2f}  {queries:>7}  {whole}"
        )


if __name__ == "__main__":
    main()
