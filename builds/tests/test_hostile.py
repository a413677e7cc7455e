"""Everything that F7 of `make faults` sends to the webhook endpoint, against a real gunicorn."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from builds.models import WebhookDelivery
from delivr.tests import factories
from delivr.tests.processes import process, until
from delivr.tests.product import free_port
from faults.hostile import Target, attacks

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def is_alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=2):
            return True
    except OSError:
        return False


def test_hostile_reports_break_nothing(tenant: Any, tmp_path: Path) -> None:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    pipeline = factories.PipelineFactory(tenant=tenant)
    port, log = free_port(), tmp_path / "web.log"
    gunicorn = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py")
    with process(log, *gunicorn, PORT=str(port), WEB_CONCURRENCY="1"):
        until(lambda: is_alive(port), seconds=60, what="gunicorn answers")
        target = Target(port, pipeline.pk, pipeline.webhook_secret.reveal())
        answers = {name: send() for name, send in attacks(target, 1).items()}
    assert not {name: status for name, status in answers.items() if status >= 500}, log.read_text()
    taken = {name for name, status in answers.items() if status == 202}
    assert taken == {name for name in answers if name.startswith("signed")}
    assert WebhookDelivery.objects.count() == len(taken)
