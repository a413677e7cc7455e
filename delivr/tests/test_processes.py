"""Two installations, or two test runs, on one Redis."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection

from delivr.effects import queue
from delivr.tests.processes import empty_broker, queued_messages, until, worker

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def test_another_installations_worker_takes_none_of_our_tasks(
    tmp_path: Path, settings: Any
) -> None:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    empty_broker()
    others = f"{settings.CELERY_KEY_PREFIX}others:"
    assert queue.enqueue("effect", str(uuid.uuid4()))
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
        client.copy(f"{settings.CELERY_KEY_PREFIX}delivr", f"{others}delivr", replace=True)
    with worker(tmp_path / "worker.log", CELERY_KEY_PREFIX=others):
        until(lambda: not queued_messages(others), seconds=60, what="theirs is taken")
        assert queued_messages() == 1
    with worker(tmp_path / "worker.log"):
        until(lambda: not queued_messages(), seconds=60, what="ours is taken")
