"""Jobs that are enqueued together: few messages, and each job is done."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects import coalescing, queue
from delivr.tests import factories
from delivr.tests.processes import empty_broker, queued_messages, until

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _empty() -> None:
    empty_broker()


def test_many_jobs_are_few_messages() -> None:
    thread = coalescing._Thread()
    for number in range(2 * coalescing.MOST + 1):
        thread.waiting.put(("delivery", f"whd_{number}"))
    thread.start()
    until(lambda: queued_messages() == 3, seconds=20, what="all are enqueued")
    thread.finish()
    assert queued_messages() == 3


def test_what_waits_is_enqueued_when_the_process_ends() -> None:
    thread = coalescing._Thread()
    thread.waiting.put(("delivery", "whd_last"))
    thread.start()
    thread.finish()
    assert not thread.is_alive()
    assert queued_messages() == 1


@pytest.mark.django_db
def test_a_job_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    deliveries = factories.DeliveryFactory.create_batch(2, body=b"not JSON", state="NEW")
    first, second = (("delivery", delivery.pk) for delivery in deliveries)
    queue.run_jobs([first, ("unheard of", "id"), second])
    for delivery in deliveries:
        delivery.refresh_from_db()
        assert delivery.state == "REJECTED"
    assert "The job unheard of id failed." in caplog.text


def test_a_refused_message_pauses_and_loses_nothing_else(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(queue.run_jobs, "apply_async", refuse)
    queue.enqueue_all([("delivery", "a"), ("delivery", "b")], most=coalescing.MOST)
    assert queue.pause.is_on
