"""Many webhooks at once at a real gunicorn whose processes are killed: each is kept once."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from builds.models import WebhookDelivery
from builds.tests.sending import path, signed
from builds.tests.test_hostile import is_alive
from delivr.tests import factories
from delivr.tests.processes import empty_broker, process, sweeper, until, worker
from delivr.tests.product import free_port

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SENDERS, EACH, KILLS = 8, 60, 5
BODY = b"this is no JSON"  # so it is rejected as soon as it is applied


def send_until_taken(port: int, pipeline: Any, secret: str, message_id: str) -> str:
    """Send one delivery again until it is answered, as CI servers do; the answer's body."""
    headers = signed(secret, BODY, message_id=message_id)
    url = f"http://127.0.0.1:{port}{path(pipeline)}"
    for _attempt in range(100):
        request = urllib.request.Request(
            url, BODY, {"Content-Type": "application/json", **headers}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 # loopback
                assert answer.status == 202
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):  # its process was killed
            time.sleep(0.05)
    raise AssertionError(f"{message_id} was never answered")


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_killed_web_processes_lose_and_double_nothing(tenant: Any, tmp_path: Path) -> None:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    empty_broker()
    pipeline = factories.PipelineFactory(tenant=tenant)
    secret = pipeline.webhook_secret.reveal()
    port = free_port()
    gunicorn = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py")
    extra = {"PORT": str(port), "WEB_CONCURRENCY": "2", "WEBHOOKS_PER_MINUTE": "100000"}
    with process(tmp_path / "web.log", *gunicorn, **extra) as web:
        until(lambda: is_alive(port), seconds=60, what="gunicorn answers")

        def send_all(sender: int) -> list[str]:
            names = [f"msg_{sender}_{number}" for number in range(EACH)]
            return [send_until_taken(port, pipeline, secret, name) for name in names]

        with ThreadPoolExecutor(SENDERS) as pool:
            found = [pool.submit(send_all, sender) for sender in range(SENDERS)]
            for kill in range(1, KILLS + 1):
                reached = SENDERS * EACH * kill // (KILLS + 2)
                until(
                    lambda least=reached: WebhookDelivery.objects.count() >= least,
                    seconds=120,
                    what="some deliveries",
                )
                os.kill(children_of(web.pid)[0], signal.SIGKILL)
            answers = [answer for some in found for answer in some.result()]
        kept = WebhookDelivery.objects.values_list("pk", flat=True)
        assert sorted(answers) == sorted(f'{{"deliveryId": "{pk}"}}' for pk in kept)
        assert len(answers) == SENDERS * EACH
    with worker(tmp_path / "worker.log"), sweeper(tmp_path / "sweeper.log"):
        until(
            lambda: not WebhookDelivery.objects.exclude(state="REJECTED").exists(),
            seconds=120,
            what="all are applied",
        )
