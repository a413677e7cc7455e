"""A process whose own clock is ten minutes off: only the database's clock counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from builds.models import Build, Source, WebhookDelivery
from builds.polling.poller import due_builds
from builds.tests.test_main_flow import signed
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from builds.webhooks.deliveries import due_deliveries
from delivr.effects import clock
from delivr.effects.sweeper import due_effects
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to
from integrations.providers.ci import BuildStatus

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

CLOSE = timedelta(seconds=30)
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    return wired_to(tenant, sandbox)


@pytest.fixture(params=[TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[datetime]:
    """Sets this process's clock wrong; the value is the correct time."""
    now = datetime.now(UTC)
    with time_machine.travel(now + request.param, tick=True):
        yield now


def test_an_effect_is_due_for_every_process_at_once(wired: Wired, wrong_clock: datetime) -> None:
    build = wired.build("ios")
    effect = trigger_of(build)
    for moment in (build.created_at, effect.created_at, effect.next_at):
        assert abs(moment - wrong_clock) < CLOSE
    type(effect).objects.update(enqueued_at=None)
    assert effect.pk in due_effects()


def test_a_build_is_polled_in_time(wired: Wired, wrong_clock: datetime) -> None:
    build = wired.build("ios")
    apply_update(
        build.pk, BuildUpdate(status=BuildStatus.QUEUED, source=Source.TRIGGER, queue_id=1)
    )
    build = fresh(build)
    assert abs(build.poll_at - wrong_clock) < CLOSE
    assert all(abs(event.at - wrong_clock) < CLOSE for event in build.events.all())
    Build.objects.update(poll_at=clock.now())
    assert due_builds() == [build.pk]
    assert abs(fresh(build).poll_at - wrong_clock) < 2 * CLOSE


def test_a_report_with_the_correct_time_is_accepted_and_due(
    wired: Wired, sandbox: Any, wrong_clock: datetime
) -> None:
    pipeline = factories.PipelineFactory(tenant=wired.tenant)
    body = {"buildNumber": 1, "status": "SUCCESS"}
    with time_machine.travel(wrong_clock, tick=True):
        headers = signed(pipeline.webhook_secret.reveal(), body)
    answer = Client().post(
        f"/api/v1/webhooks/jenkins/{pipeline.pk}",
        json.dumps(body),
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code == 202
    delivery = WebhookDelivery.objects.get()
    assert abs(delivery.received_at - wrong_clock) < CLOSE
    WebhookDelivery.objects.update(next_at=clock.now())
    assert due_deliveries() == [delivery.pk]
