"""The webhook endpoint's rate as a share of a bare transaction's, in one run on one machine.

`make bench`, or `python bench/webhook.py [--seconds 4] [--rounds 5] [--connections 8] [--sqlite]
[--without-disk] [--json]`. Served by gunicorn with the production settings; what is compared
alternates, and medians are reported. bench/README.md explains the output.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import transaction  # noqa: E402 # needs the path
from bench.load import Result, measure  # noqa: E402

POSTGRES = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
PIPELINES = 100
PREPARED_PER_SECOND = 4000  # requests prepared for each second of a round; more than are sent


def main() -> None:
    arguments = parse()
    with (
        tempfile.TemporaryDirectory() as folder,
        database(arguments.sqlite, folder, without_disk=arguments.without_disk) as url,
    ):
        environment(url, folder, "" if arguments.sqlite else REDIS)
        endpoints = seed()
        with messages_removed(), server(folder) as port:
            warm_up(port, endpoints)
            rounds = [one_round(port, endpoints, arguments) for _ in range(arguments.rounds)]
    report(rounds, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--sqlite", action="store_true", help="instead of TEST_DATABASE_URL")
    parser.add_argument("--without-disk", action="store_true", help="no commit waits for the disk")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


@contextlib.contextmanager
def database(sqlite: bool, folder: str, *, without_disk: bool = False) -> Iterator[str]:
    """Create a temporary database; its URL. `without_disk`: no commit waits for the disk."""
    if sqlite:
        yield f"sqlite:///{folder}/bench.sqlite3"
        return
    import psycopg

    name = f"delivr_bench_{os.getpid()}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        if without_disk:
            connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        try:
            yield urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def messages_removed() -> Iterator[None]:
    """No worker takes the messages of this run: delete them after it."""
    try:
        yield
    finally:
        if os.environ["CELERY_BROKER_URL"]:
            import redis

            with redis.Redis.from_url(REDIS) as broker:
                if found := broker.keys(f"{os.environ['CELERY_KEY_PREFIX']}*"):
                    broker.delete(*found)


def environment(database_url: str, folder: str, broker_url: str = "") -> None:
    """Set the environment of the server and, for seeding, of this process."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="delivr.settings",
        SECRET_KEY=secrets.token_urlsafe(50),
        FERNET_KEYS=secrets.token_urlsafe(32),
        DATABASE_URL=database_url,
        DELIVR_DATA_DIR=folder,
        CELERY_BROKER_URL=broker_url,
        CELERY_KEY_PREFIX=f"bench-{os.getpid()}:",
        ALLOWED_HOSTS="127.0.0.1",
        WEBHOOKS_PER_MINUTE="1000000",  # requests are still counted
    )


def migrate() -> None:
    """Set Django up, create the tables, collect the static files."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def seed() -> list[tuple[str, str]]:
    """Create pipelines to report to; (id, webhook secret) of each."""
    migrate()
    from django.db import connection

    from delivr.tests import factories

    rows = factories.PipelineFactory.create_batch(PIPELINES)
    connection.close()
    return [(row.pk, row.webhook_secret.reveal()) for row in rows]


@contextlib.contextmanager
def server(folder: str, application: str = "delivr.wsgi") -> Iterator[int]:
    """Run gunicorn as in the Procfile, on a socket that this process opens; its port."""
    with socket.socket() as listening, Path(folder, "web.log").open("wb") as log:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listening.fileno()}"]
        process = subprocess.Popen(
            [*command, "--workers", "2", "--threads", "4", "--keep-alive", "60", application],
            cwd=ROOT,
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            wait_until_ready(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def wait_until_ready(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("The server did not come up.")


def warm_up(port: int, endpoints: list[tuple[str, str]]) -> None:
    """Each process answers each pipeline at least once, as it does within the first minute."""
    reports = [report_request(*endpoint) for endpoint in endpoints * 4]
    measure(port, [reports] * 8, 202, 30)


def one_round(
    port: int, endpoints: list[tuple[str, str]], arguments: argparse.Namespace
) -> dict[str, Result]:
    count = int(arguments.seconds * PREPARED_PER_SECOND / arguments.connections)
    noop = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    found = {
        "no-op": measure(port, [[noop] * count] * arguments.connections, 200, arguments.seconds)
    }
    for name, some in (("100 pipelines", endpoints), ("1 pipeline", endpoints[:1])):
        if not arguments.sqlite:
            pipelines = [pipeline_id for pipeline_id, _secret in some]
            found[f"transaction, {name}"] = transaction.measure(pipelines, arguments.seconds)
        reports = [
            [report_request(*some[n % len(some)]) for n in range(count)]
            for _ in range(arguments.connections)
        ]
        found[f"webhook, {name}"] = measure(port, reports, 202, arguments.seconds)
    return found


def report_request(pipeline_id: str, secret: str) -> bytes:
    """A signed report as a Jenkins job sends it, each with a new id.

    https://github.com/standard-webhooks/standard-webhooks
    """
    body = json.dumps(
        {"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://builds/ios-245.ipa"}
    )
    message_id, timestamp = secrets.token_hex(16), str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    lines = [
        f"POST /api/v1/webhooks/jenkins/{pipeline_id} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"webhook-id: {message_id}",
        f"webhook-timestamp: {timestamp}",
        f"webhook-signature: v1,{signature}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def report(rounds: list[dict[str, Result]], arguments: argparse.Namespace) -> None:
    against = ["no-op"] if arguments.sqlite else ["no-op", "transaction"]
    ratios = {
        f"webhook / {other}, {name}": [
            each[f"webhook, {name}"].rate
            / each[other if other == "no-op" else f"{other}, {name}"].rate
            for each in rounds
        ]
        for other in against
        for name in ("100 pipelines", "1 pipeline")
    }
    if arguments.json:
        results = [{name: asdict(result) for name, result in each.items()} for each in rounds]
        print(json.dumps({"ratios": ratios, "rounds": results}))
        return
    for name in rounds[0]:
        rate, p50, p99 = (
            statistics.median(getattr(each[name], figure) for each in rounds)
            for figure in ("rate", "p50", "p99")
        )
        errors = sum(each[name].errors for each in rounds)
        print(f"{name:<27}{rate:6.0f}/s  p50 {p50:5.1f} ms  p99 {p99:5.1f} ms  errors {errors}")
    for name, found in ratios.items():
        spread = f"{min(found):.2f} to {max(found):.2f}"
        print(f"{name:<38}{statistics.median(found):.2f}  ({spread})")


if __name__ == "__main__":
    main()
