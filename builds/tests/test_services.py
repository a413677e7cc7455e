"""The main flow on real PostgreSQL and Redis, with a real Celery worker and sweeper."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.test import Client

from builds.models import Build, Source
from builds.tests.test_main_flow import (
    connect_all,
    create_release,
    open_effects,
    signed,
    take_for_valid,
)
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects import queue
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.processes import broker_at, empty_broker, queued_messages, sweeper, until, worker
from integrations.providers.ci import BuildStatus
from releases.models import Release, ReleaseStatus

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _real_services(settings: Any) -> None:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    assert settings.CELERY_BROKER_URL.startswith("redis://")
    empty_broker()


def release_now(api: Any, release: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"/api/v1/releases/{release['id']}").json()


def test_the_whole_flow_with_a_worker(
    tenant: Any, api_for: Any, sandbox: Any, sandbox_values: Any, tmp_path: Path
) -> None:
    api = api_for(tenant, Role.OWNER)
    connected = connect_all(api, sandbox_values)
    with worker(tmp_path / "worker.log"), sweeper(tmp_path / "sweeper.log"):
        release = create_release(api, connected)
        api.post(f"/api/v1/releases/{release['id']}/builds", {})
        until(
            lambda: all(
                p["buildStatus"] == "RUNNING" for p in release_now(api, release)["pipelines"]
            ),
            seconds=60,
            what="both builds run",
        )
        body = {"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://builds/ios-245.ipa"}
        Client().post(
            f"/api/v1/webhooks/jenkins/{connected['pipelines'][0]['id']}",
            json.dumps(body),
            content_type="application/json",
            headers=signed(connected["pipelines"][0]["webhookSecret"], body),
        )
        sandbox.state.jenkins.finish("android-prod", 512)
        until(
            lambda: release_now(api, release)["status"] == "BUILD_COMPLETE",
            seconds=60,
            what="ready for submission",
        )
        until(lambda: not open_effects(api, release["id"]), seconds=60, what="all effects settled")
    texts = [message.text for message in sandbox.state.slack.in_channel("C123")]
    ready = "🏁 Release 1.5.0: all builds complete, ready for submission"
    ended = ["✅ Android build #512 complete", "✅ iOS build #245 complete"]
    # The first message says how the release stands; that it is ready is posted, too.
    assert sorted(texts) == sorted([ready, ready, *ended])
    assert len(sandbox.state.jira.issues) == 2
    assert not Effect.objects.exclude(state=EffectState.DONE).exists()


def test_a_wiped_broker_loses_nothing(
    tenant: Any, api_for: Any, sandbox: Any, sandbox_values: Any, tmp_path: Path
) -> None:
    api = api_for(tenant, Role.OWNER)
    connected = connect_all(api, sandbox_values, take_for_valid)
    release = create_release(api, connected)
    api.post(f"/api/v1/releases/{release['id']}/builds", {})
    assert queued_messages() > 0
    empty_broker()
    with worker(tmp_path / "worker.log"), sweeper(tmp_path / "sweeper.log"):
        until(
            lambda: all(p["buildNumber"] for p in release_now(api, release)["pipelines"]),
            seconds=60,
            what="the sweeper enqueues what the broker lost",
        )
    assert len(sandbox.state.ledger.of("build.queued")) == 2


def test_a_dead_broker_never_fails_a_request(
    tenant: Any, api_for: Any, sandbox: Any, sandbox_values: Any, settings: Any
) -> None:
    api = api_for(tenant, Role.OWNER)
    connected = connect_all(api, sandbox_values, take_for_valid)
    with broker_at("redis://127.0.0.1:1/0"):
        assert create_release(api, connected)["status"] == "KICKOFF_PENDING"
        assert queue.pause.is_on, "nobody tried to enqueue"


@pytest.mark.parametrize("ends", [("SUCCESS", "SUCCESS"), ("SUCCESS", "FAILURE")])
def test_two_last_builds_at_once_never_hang_the_release(tenant: Any, ends: Any) -> None:
    for _round in range(25):
        builds = [running_build(release) for release in [new_release(tenant)] for _n in range(2)]
        barrier = threading.Barrier(2)
        threads = [
            threading.Thread(target=finish, args=(barrier, build.pk, status))
            for build, status in zip(builds, ends, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = ReleaseStatus.BUILD_FAILED if "FAILURE" in ends else ReleaseStatus.BUILD_COMPLETE
    assert set(Release.objects.values_list("status", flat=True)) == {expected}


def new_release(tenant: Any) -> Release:
    return factories.ReleaseFactory(tenant=tenant, status=ReleaseStatus.BUILDING)


def running_build(release: Release) -> Build:
    pipeline = factories.ReleasePipelineFactory(release=release, build_status="RUNNING")
    return factories.BuildFactory(release_pipeline=pipeline, status="RUNNING", number=7)


def finish(barrier: threading.Barrier, build_id: str, status: str) -> None:
    try:
        barrier.wait()
        apply_update(build_id, BuildUpdate(status=BuildStatus(status), source=Source.POLL))
    finally:
        close_old_connections()
        connection.close()


def test_fifty_clicks_are_one_build(tenant: Any, api_for: Any) -> None:
    pipeline = factories.ReleasePipelineFactory(release=factories.ReleaseFactory(tenant=tenant))
    api = api_for(tenant, Role.MEMBER)
    credentials = dict(api._credentials)
    answers: list[int] = []

    def click() -> None:
        client = Client()
        try:
            path = f"/api/v1/releases/{pipeline.release_id}/builds"
            answer = client.post(path, "{}", content_type="application/json", **credentials)
            answers.append(answer.status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [202] + [409] * 49
    assert Build.objects.count() == 1
