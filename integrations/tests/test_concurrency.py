"""One tenant's hanging servers leave worker threads to other tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build, TestBuild
from builds.polling.poller import poll_build, poll_test
from builds.testbuilds.operations import start_test
from delivr.tenants.models import Tenant
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wired_to
from integrations import concurrency as slots
from integrations import verification
from integrations.concurrency import PER_INTEGRATION, PER_TENANT, SLOT_RETRY_DELAY, slot

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MAX_WAIT", 0.0)


@pytest.fixture
def wired(tenant: Tenant, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def hanging(wired: Wired, tenant: Tenant) -> Iterator[None]:
    """All slots of the tenant are taken by other connections."""
    with ExitStack() as taken:
        for n in range(PER_TENANT):
            name = f"pipeline_{n}"
            assert taken.enter_context(slot(tenant_id=tenant.pk, integration_id=name))
        yield


def test_slots_are_released(tenant: Tenant) -> None:
    of_one = {"tenant_id": tenant.pk, "integration_id": "pipeline_one"}
    with ExitStack() as taken:
        for _n in range(PER_INTEGRATION):
            assert taken.enter_context(slot(**of_one))
        for _n in range(PER_TENANT + 1):  # a failed attempt takes no slot
            with slot(**of_one) as is_free:
                assert not is_free
        with slot(tenant_id=tenant.pk, integration_id="pipeline_two") as is_free:
            assert is_free
    with slot(**of_one) as is_free:
        assert is_free


@pytest.mark.usefixtures("hanging")
def test_builds_are_polled_later_if_no_slot_is_free(wired: Wired, sandbox: Any) -> None:
    now = timezone.now()
    build = wired.build("ios")
    Build.objects.update(status="RUNNING", number=245, poll_at=now)
    test = start_test(pipeline=wired.pipelines["ios"], actor=None, version="1", branch="main")
    TestBuild.objects.update(status="RUNNING", number=246, poll_at=now)
    poll_build(build.pk)
    poll_test(test.pk)
    for row in (fresh(build), fresh(test)):
        assert now + SLOT_RETRY_DELAY <= row.poll_at <= timezone.now() + SLOT_RETRY_DELAY
    assert not sandbox.state.requests


@pytest.mark.usefixtures("hanging")
def test_connections_are_verified_later_and_those_of_other_tenants_at_once(
    wired: Wired, sandbox: Any
) -> None:
    now = timezone.now()
    verification.verify_by_id(wired.slack.pk)
    assert (
        now + SLOT_RETRY_DELAY <= fresh(wired.slack).verify_at <= timezone.now() + SLOT_RETRY_DELAY
    )
    assert not sandbox.state.requests
    other = wired_to(factories.TenantFactory(), sandbox)
    verification.verify_by_id(other.slack.pk)
    assert sandbox.state.requests


def test_the_longest_waiting_connection_is_verified_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "BATCH", 2)
    ago = [timezone.now() - timedelta(minutes=n) for n in (1, 3, 2)]
    rows = [factories.ScmFactory(verify_at=moment) for moment in ago]
    assert verification.due_verifications() == [rows[1].pk, rows[2].pk]
