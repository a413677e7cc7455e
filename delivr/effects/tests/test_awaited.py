"""What a person waits for does not queue behind everything else."""

from __future__ import annotations

import pytest
from django.test import override_settings

from delivr.celery import AWAITED, ORDINARY, app
from delivr.effects import queue
from delivr.effects.handlers import handler_for
from delivr.tests.processes import broker_at


def _waiting(name: str) -> int:
    with app.connection_for_write() as connection:
        found = connection.default_channel.queue_declare(name)
        return int(found.message_count)


@pytest.mark.parametrize(
    ("kind", "goes_to"), [("build.trigger", AWAITED), ("message.post", ORDINARY)]
)
def test_a_trigger_has_another_queue_than_a_message(kind: str, goes_to: str) -> None:
    assert {one.name for one in app.conf.task_queues} == {AWAITED, ORDINARY}
    with broker_at("memory://"), override_settings(CELERY_BROKER_URL="memory://"):
        before = {name: _waiting(name) for name in (AWAITED, ORDINARY)}
        assert queue.enqueue("effect", "eff_1", is_awaited=handler_for(kind).is_awaited)
        before[goes_to] += 1
        assert {name: _waiting(name) for name in (AWAITED, ORDINARY)} == before
