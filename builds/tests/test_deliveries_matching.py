"""Which build a delivery is about, also if it arrives before the build's number is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build, BuildEvent, WebhookDelivery
from builds.tests.delivering import NOWHERE, SUCCESS, deliver, set_values, store_delivery
from builds.webhooks.deliveries import ORPHAN_AFTER, apply_delivery, due_deliveries
from delivr.effects.runner import run_effect
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wire, wired_to

pytestmark = pytest.mark.django_db


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def build(wired: Wired) -> Build:
    """A build of iOS that runs as #245, from queue item 1001."""
    return set_values(wired.build("ios"), status="RUNNING", number=245, queue_id=1001)


# --- Which build ---------------------------------------------------------------------------------


def test_our_id_comes_before_the_queue_id_and_the_number(wired: Wired) -> None:
    first = set_values(wired.build("ios"), status="RUNNING", number=1, queue_id=11)
    second = set_values(wired.build("ios"), status="RUNNING", number=2, queue_id=12)
    third = set_values(wired.build("ios"), status="RUNNING", number=3, queue_id=13)
    assert deliver(first, {"buildId": first.pk, "status": "SUCCESS"}).build == first
    assert deliver(first, {"queueId": 12, "status": "SUCCESS"}).build == second
    assert deliver(first, {"buildNumber": 3, "status": "SUCCESS"}).build == third
    assert {fresh(b).status for b in (first, second, third)} == {"SUCCESS"}


def test_a_number_counts_inside_its_pipeline_only(wired: Wired, build: Build) -> None:
    android = set_values(wired.build("android"), status="RUNNING", number=245)
    elsewhere = set_values(
        wire(factories.TenantFactory(), NOWHERE).build(), status="RUNNING", number=245
    )
    deliver(build, SUCCESS)
    assert fresh(build).status == "SUCCESS"
    assert fresh(android).status == fresh(elsewhere).status == "RUNNING"


@pytest.mark.parametrize("key", ["buildId", "queueId", "buildNumber"])
def test_another_pipelines_build_is_never_matched(wired: Wired, build: Build, key: str) -> None:
    name = {"buildId": build.pk, "queueId": 1001, "buildNumber": 245}[key]
    foreign = [wired.pipelines["android"], factories.PipelineFactory()]
    for pipeline in foreign:
        assert deliver(pipeline, {key: name, "status": "FAILURE"}).state == "UNMATCHED"
    assert fresh(build).status == "RUNNING"
    assert not BuildEvent.objects.exists()


def test_the_newest_build_with_a_number_is_matched(wired: Wired) -> None:
    old = set_values(wired.build("ios"), status="SUCCESS", number=245)
    new = set_values(wired.build("ios"), status="RUNNING", number=245)  # the job was recreated
    assert deliver(new, {"buildNumber": 245, "status": "FAILURE"}).build == new
    assert fresh(old).status == "SUCCESS"


@pytest.mark.parametrize(
    "other_run", [{"buildNumber": 246}, {"queueId": 1002}, {"buildNumber": 246, "queueId": 1002}]
)
def test_another_run_with_our_parameters_never_touches_our_build(
    build: Build, other_run: dict[str, int]
) -> None:
    delivery = deliver(build, {"buildId": build.pk, "status": "FAILURE", **other_run})
    assert delivery.state == "ORPHAN"
    assert "another run" in delivery.reason
    assert fresh(build).status == "RUNNING"
    assert not BuildEvent.objects.exists()


# --- Before the number is known ------------------------------------------------------------------


def test_our_id_works_before_the_triggers_response(wired: Wired) -> None:
    build = wired.build("ios")
    deliver(build, {"buildId": build.pk, "buildNumber": 245, "status": "STARTED"})
    row = fresh(build)
    assert (row.status, row.number) == ("RUNNING", 245)
    assert row.poll_at is not None


def test_a_report_ahead_of_the_number_waits_for_it(tenant: Any, sandbox: Any) -> None:
    wired = wired_to(tenant, sandbox)
    build = wired.build("ios")
    early = deliver(build, SUCCESS)
    assert early.state == "UNMATCHED"
    assert early.next_at is not None
    run_effect(trigger_of(build).pk)  # the response has a queue item, but no number yet
    assert fresh(early).state == "UNMATCHED"
    deliver(build, {"queueId": fresh(build).queue_id, "buildNumber": 245, "status": "STARTED"})
    apply_delivery(early.pk)
    assert fresh(early).state == "APPLIED"
    assert fresh(build).status == "SUCCESS"


@pytest.mark.slow
def test_a_report_with_the_number_applies_waiting_deliveries(wired: Wired) -> None:
    build = set_values(wired.build("ios"), status="QUEUED", queue_id=1001)
    waiting = [deliver(build, {"buildNumber": 245, "status": "RUNNING"}) for _n in range(150)]
    end = deliver(build, SUCCESS)
    assert {fresh(d).state for d in [*waiting, end]} == {"UNMATCHED"}
    deliver(build, {"queueId": 1001, "buildNumber": 245, "status": "STARTED"})
    assert fresh(end).state == "APPLIED"
    assert fresh(build).status == "SUCCESS"
    assert not WebhookDelivery.objects.filter(state="UNMATCHED").exists()


def test_the_triggers_response_applies_deliveries_with_its_queue_id(
    tenant: Any, sandbox: Any
) -> None:
    build = wired_to(tenant, sandbox).build("ios")
    early = deliver(build, {"queueId": 1001, "status": "SUCCESS"})
    assert early.state == "UNMATCHED"
    run_effect(trigger_of(build).pk)
    assert fresh(early).state == "APPLIED"
    assert (fresh(build).queue_id, fresh(build).status) == (1001, "SUCCESS")


def test_an_unmatched_delivery_is_an_orphan_after_a_quarter_of_an_hour(build: Build) -> None:
    delivery = deliver(build, {"buildNumber": 999, "status": "SUCCESS"})
    assert delivery.state == "UNMATCHED"
    almost = timezone.now() - ORPHAN_AFTER + timedelta(seconds=30)
    WebhookDelivery.objects.update(received_at=almost)
    apply_delivery(delivery.pk)
    assert fresh(delivery).state == "UNMATCHED"
    WebhookDelivery.objects.update(received_at=almost - timedelta(minutes=1))
    apply_delivery(delivery.pk)
    assert fresh(delivery).state == "ORPHAN"
    assert fresh(delivery).next_at is None
    assert fresh(build).status == "RUNNING"


def test_waiting_deliveries_are_handed_out_when_due(build: Build) -> None:
    delivery = store_delivery(build, SUCCESS)
    assert due_deliveries() == [delivery.pk]
    assert due_deliveries() == []
    apply_delivery(delivery.pk)
    WebhookDelivery.objects.update(next_at=timezone.now())
    assert due_deliveries() == []  # it is settled
