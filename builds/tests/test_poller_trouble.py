"""What the poller does if Jenkins does not answer, or refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build, BuildEvent, Trust
from builds.polling import poller
from builds.polling.next_poll import LOOK_BACK
from builds.polling.poller import LOST_AFTER, due_builds, poll_build
from builds.tests.polling import polled, running
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.health import OPEN_AFTER, is_healthy
from delivr.effects.models import IntegrationHealth
from delivr.tests.wired import fresh
from integrations.verification import verify
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

TROUBLE = [
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 120},
    {"kind": "html_200"},
    {"kind": "garbage"},
    {"kind": "redirect"},
    {"kind": "oversized"},
    {"kind": "starting"},
    {"kind": "status", "status": 404, "path": "/job/*"},  # Jenkins reloads
    {"kind": "proxy", "proxy": "squid", "status": 403},
    {"kind": "proxy", "proxy": "nginx", "status": 404},
    {"kind": "proxy", "proxy": "nginx", "status": 502},
    {"kind": "proxy", "proxy": "cloudflare", "status": 503},
]


@pytest.mark.parametrize("fault", TROUBLE, ids=str)
def test_an_error_says_nothing_about_the_build(
    build: Build, sandbox: Any, fault: dict[str, Any]
) -> None:
    running(build)
    events = BuildEvent.objects.count()
    sandbox.state.faults.add(provider="jenkins", **fault)
    row = polled(build, LOST_AFTER + 2)
    assert (row.status, row.misses) == ("RUNNING", 0)
    assert row.poll_at > timezone.now()
    assert row.pipeline.verification_status == "VALID"
    assert BuildEvent.objects.count() == events
    sandbox.state.faults.clear()
    IntegrationHealth.objects.all().delete()  # close the circuit breaker
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert polled(build).status == "SUCCESS"


def test_a_build_ended_when_the_server_says_it_did(build: Build, sandbox: Any) -> None:
    """Not at the time of the poll: the duration comes from the server."""
    running(build)
    sandbox.state.advance(20)
    sandbox.state.jenkins.finish("ios-prod", 245)
    there = sandbox.state.jenkins.build("ios-prod", 245)
    Build.objects.update(started_at=timezone.now() - timedelta(hours=1))
    done = polled(build)
    took = (done.finished_at - done.started_at).total_seconds()
    assert took == pytest.approx(there.ended_at - there.started_at, abs=1)


def test_a_failing_server_is_not_polled_for_a_while(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.faults.add(kind="status", provider="jenkins", status=500)
    polled(build, OPEN_AFTER)
    before = sandbox.state.requests.count("jenkins")
    assert polled(build).poll_at > timezone.now() + timedelta(seconds=20)
    assert sandbox.state.requests.count("jenkins") == before


def test_a_rate_limit_is_respected(build: Build, sandbox: Any) -> None:
    sandbox.state.faults.add(kind="status", provider="jenkins", status=429, retry_after=120)
    assert polled(build).poll_at > timezone.now() + timedelta(seconds=100)


def with_token(build: Build, token: str) -> Build:
    pipeline = build.release_pipeline.pipeline
    pipeline.api_token = token
    pipeline.save()
    return build


def test_refused_credentials_show_on_the_connection_not_on_the_build(
    build: Build, sandbox: Any
) -> None:
    row = polled(with_token(build, "revoked"), LOST_AFTER + 1)
    assert (row.status, row.misses) == ("QUEUED", 0)
    connection = fresh(build.release_pipeline.pipeline)
    assert connection.doubted_at is not None
    assert "token" in connection.verification_error


def test_refused_credentials_are_not_used_until_verified(build: Build, sandbox: Any) -> None:
    polled(with_token(running(build), "revoked"))
    sandbox.state.jenkins.finish("ios-prod", 245)
    with_token(build, accounts.JENKINS_API_TOKEN)
    before = sandbox.state.requests.count("jenkins")
    assert due_builds() == []
    delivery = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="delivery",
        trust=Trust.BASIC,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(delivery.pk)
    poll_build(build.pk)
    assert sandbox.state.requests.count("jenkins") == before
    assert fresh(build).status == "RUNNING"
    assert verify(fresh(build.release_pipeline.pipeline)).is_valid
    assert due_builds() == [build.pk]
    poll_build(build.pk)
    assert fresh(build).status == "SUCCESS"


@pytest.fixture
def failed(build: Build, sandbox: Any) -> Build:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    return polled(build)


def hide_its_job(sandbox: Any) -> None:
    sandbox.state.jenkins.job("ios-prod").hidden = True


def forbid_its_job(sandbox: Any) -> None:
    sandbox.state.faults.add(kind="status", provider="jenkins", status=403, path="/job/ios-prod*")


@pytest.mark.parametrize("take_away", [hide_its_job, forbid_its_job])
def test_a_missing_job_of_a_failed_build_does_not_block_the_connection(
    failed: Build, sandbox: Any, take_away: Any
) -> None:
    """The pipeline may use another job by now, whose builds use the same connection."""
    take_away(sandbox)
    row = polled(failed, OPEN_AFTER + 1)
    connection = fresh(row.release_pipeline.pipeline)
    assert (connection.verification_status, connection.doubted_at) == ("VALID", None)
    assert is_healthy(tenant_id=row.tenant_id, integration_id=connection.pk)
    assert row.poll_at > timezone.now() + timedelta(seconds=50)


def test_a_failed_build_is_not_polled_after_a_day_whatever_the_answers(
    failed: Build, sandbox: Any
) -> None:
    hide_its_job(sandbox)
    Build.objects.update(finished_at=timezone.now() - LOOK_BACK)
    assert polled(failed).poll_at is None


def test_a_build_that_finished_meanwhile_is_not_polled_again(build: Build, sandbox: Any) -> None:
    polled_build = Build.objects.get(pk=build.pk)
    Build.objects.filter(pk=build.pk).update(status="SUCCESS", poll_at=None)
    poller._postpone(polled_build, timedelta(seconds=1))
    assert fresh(build).poll_at is None
