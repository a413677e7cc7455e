"""What open pages cost while nothing happens, and how soon they show what a webhook reports.

`python bench/live.py [--watchers 1000] [--seconds 70] [--pages 100]`, with TEST_DATABASE_URL and
TEST_REDIS_URL. bench/README.md explains the output.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import webhook  # noqa: E402 # needs the path
from bench.processes import cpu_of, process, worker  # noqa: E402

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
PORT = int(os.environ.get("BENCH_LIVE_PORT", "8121"))
NUMBER = 245  # of the build that `webhook.report_request` reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=70, help="more than CHECK_AGAIN")
    parser.add_argument("--pages", type=int, default=100)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder, webhook.database(False, folder) as url:
        webhook.environment(url, folder)
        os.environ |= {"CELERY_BROKER_URL": REDIS, "CELERY_KEY_PREFIX": f"bench{os.getpid()}"}
        webhook.seed()
        cookie, releases = seed(arguments.pages)
        with (
            webhook.server(folder) as web,
            process(folder, "live", "manage.py", "live", "--bind", f"127.0.0.1:{PORT}") as live,
            process(folder, "sweeper", "manage.py", "sweep"),
            worker(folder, "worker"),
        ):
            webhook.wait_until_ready(web)
            time.sleep(8)  # until all have started
            asyncio.run(measure(arguments, cookie, releases, web, live))


def seed(count: int) -> tuple[str, list[Any]]:
    """A member's session, and (release, pipeline, secret) of releases whose build is running."""
    from django.db import connection
    from django.test import Client

    from delivr.tests import factories

    member = factories.MembershipFactory()
    found = []
    for number in range(count):
        release = factories.ReleaseFactory(tenant=member.tenant, version=f"1.0.{number}")
        pipeline = factories.PipelineFactory(tenant=member.tenant)
        part = factories.ReleasePipelineFactory(
            release=release, pipeline=pipeline, build_status="RUNNING"
        )
        factories.BuildFactory(release_pipeline=part, status="RUNNING", number=NUMBER)
        found.append((release.pk, pipeline.pk, pipeline.webhook_secret.reveal()))
    cookie = factories.sign_in(Client(), member.user).cookies["sessionid"].value
    connection.close()
    return cookie, found


async def measure(
    arguments: argparse.Namespace, cookie: str, releases: list[Any], web: int, live: int
) -> None:
    addresses = [f"/releases/{releases[n % len(releases)][0]}" for n in range(arguments.watchers)]
    watchers = [await watch(f"{address}/events", cookie) for address in addresses]
    await asyncio.sleep(5)
    before = cpu_of(live)
    await asyncio.sleep(arguments.seconds)
    share = (cpu_of(live) - before) / arguments.seconds
    print(f"{len(watchers)} watchers, nothing happens: {share:.1%} of a core in `live`")
    for _, writer in watchers:
        writer.close()
    pages = [(one, await watch(f"/releases/{one[0]}/events", cookie)) for one in releases]
    times = [await until_changed(one, reader, cookie, web) for one, (reader, _) in pages]
    times.sort()
    print(
        f"webhook to changed page, {len(pages)} watchers: median {statistics.median(times):.2f} s,"
        f" p95 {times[int(len(times) * 0.95)]:.2f} s, longest {times[-1]:.2f} s"
    )


async def watch(address: str, cookie: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(_get(address, cookie))
    head = await reader.readuntil(b"retry: 3000\n\n")
    assert b" 200 " in head.split(b"\r\n")[0], head  # noqa: S101
    return reader, writer


async def until_changed(one: Any, reader: asyncio.StreamReader, cookie: str, web: int) -> float:
    """Seconds from sending the report of success until the fragment shows it."""
    release, pipeline, secret = one
    started = time.perf_counter()
    assert b" 202 " in await ask(web, webhook.report_request(pipeline, secret))  # noqa: S101
    while True:
        await asyncio.wait_for(reader.readuntil(b"data: changed"), 30)
        shown = await ask(web, _get(f"/releases/{release}/live?seen=x", cookie))
        if b"BUILD_COMPLETE" in shown:
            return time.perf_counter() - started


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    answer = await reader.read()
    writer.close()
    return answer


def _get(address: str, cookie: str) -> bytes:
    lines = (f"GET {address} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: sessionid={cookie}")
    return "\r\n".join((*lines, "HX-Request: true", "", "")).encode()


if __name__ == "__main__":
    main()
