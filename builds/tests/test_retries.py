"""Retries of a failed build on the CI server: they are offered, and adopted by a person."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.adopting import adopt_build
from builds.cancelling import cancel_release
from builds.models import Build, Trust
from builds.polling.next_poll import LOOK_BACK
from builds.tests.polling import offers, polled, running
from builds.triggering import trigger_builds
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from delivr.tenants.models import Role
from delivr.tests.wired import Wired, fresh, trigger_of
from integrations.models import PipelineIntegration
from releases.models import Release
from releases.operations import lock_release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def failed(build: Build, sandbox: Any) -> Build:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    return polled(build)


def retried(sandbox: Any, result: str | None = "SUCCESS", *, number: int = 245) -> int:
    """Rebuild a build in Jenkins as somebody else; returns the new number."""
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.rebuild(ci.build("ios-prod", number), user="dana")
    sandbox.state.advance(600)
    [there] = ci.running("ios-prod")
    if result:
        ci.finish("ios-prod", there.number, result)
    found: int = there.number
    return found


def adopt(build: Build, number: int) -> Effect:
    return adopt_build(effect=trigger_of(build), number=number, actor=None)


def test_a_failed_build_is_polled_for_a_day(failed: Build) -> None:
    assert timedelta(0) < failed.poll_at - timezone.now() <= timedelta(minutes=1)
    for hours, minutes in ((0.1, 3), (23, 30)):
        Build.objects.update(finished_at=timezone.now() - timedelta(hours=hours))
        pause = polled(failed).poll_at - timezone.now()
        assert pause == pytest.approx(timedelta(minutes=minutes), abs=timedelta(seconds=5))
    Build.objects.update(finished_at=timezone.now() - LOOK_BACK)
    assert polled(failed).poll_at is None


def test_a_retry_that_succeeded_is_offered_and_changes_nothing(failed: Build, sandbox: Any) -> None:
    number = retried(sandbox)
    row = polled(failed)
    [retry] = offers(row)
    assert retry["foundBy"] == "RETRY"
    assert (retry["number"], retry["startedBy"]) == (number, "dana")
    assert retry["url"].endswith(f"/job/ios-prod/{number}/")
    assert (row.status, Release.objects.get().status) == ("FAILURE", "BUILD_FAILED")
    assert Build.objects.filter(release_pipeline=row.release_pipeline).count() == 1


def test_a_retry_that_did_not_succeed_is_not_offered(failed: Build, sandbox: Any) -> None:
    number = retried(sandbox, "FAILURE")
    assert offers(polled(failed)) == []
    with pytest.raises(ValidationError) as caught:
        adopt(failed, number)
    assert "did not succeed" in str(caught.value)


def test_a_retry_that_still_runs_is_offered_and_followed(
    failed: Build, sandbox: Any, pipeline: PipelineIntegration
) -> None:
    """Its reports carry the id of the build that it repeats, and belong to the attempt."""
    number = retried(sandbox, None)
    assert [(offer["number"], offer["status"]) for offer in offers(polled(failed))] == [
        (number, "RUNNING")
    ]
    adopt(failed, number)
    later = Build.objects.exclude(pk=failed.pk).get()
    assert (later.status, polled(later).status) == ("RUNNING", "RUNNING")
    report = {"buildNumber": number, "status": "FAILURE", "buildId": failed.pk}
    delivery = store(
        pipeline=pipeline,
        dedupe_key="id:1",
        trust=Trust.SIGNED,
        body=json.dumps(report).encode(),
        sender="jenkins",
    )
    apply_delivery(delivery.pk)
    assert (fresh(delivery).build_id, fresh(later).status) == (later.pk, "FAILURE")
    assert not Effect.objects.filter(kind="build.stop_repeat").exists()


def test_an_adopted_retry_is_the_next_attempt(failed: Build, sandbox: Any) -> None:
    number = retried(sandbox)
    polled(failed)
    effect = adopt(failed, number)
    assert effect.result["number"] == number
    later = Build.objects.exclude(pk=failed.pk).get(release_pipeline=failed.release_pipeline)
    assert (later.attempt, later.candidate, later.status) == (2, 1, "SUCCESS")
    assert later.artifact_url.endswith(f"/ios-{number}.ipa")
    assert fresh(failed).status == "FAILURE"
    assert fresh(failed.release_pipeline).build_number == number
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert later.poll_at is None
    assert polled(failed).poll_at is None  # it is no longer the newest
    with pytest.raises(Conflict):
        adopt(failed, number)


def test_a_retry_of_a_job_that_does_not_carry_our_id(failed: Build, sandbox: Any) -> None:
    """The retry is known by its cause, which names the rebuilt build."""
    sandbox.state.jenkins.build("ios-prod", 245).parameters.pop("DELIVR_BUILD_ID")
    number = retried(sandbox)
    assert [retry["number"] for retry in offers(polled(failed))] == [number]
    adopt(failed, number)
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_somebody_elses_build_is_no_retry(failed: Build, sandbox: Any) -> None:
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.enqueue(ci.job("ios-prod"), {"VERSION": "1.5.0"}, user="somebody", delay=0)
    sandbox.state.advance(600)
    [there] = ci.running("ios-prod")
    ci.finish("ios-prod", there.number)
    assert offers(polled(failed)) == []
    with pytest.raises(ValidationError):
        adopt(failed, there.number)


def test_retries_are_not_searched_after_another_trigger(failed: Build, sandbox: Any) -> None:
    number = retried(sandbox)
    trigger_builds(release=Release.objects.get(), actor=None)
    row = polled(failed)
    assert (offers(row), row.poll_at) == ([], None)
    with pytest.raises(Conflict):
        adopt(failed, number)


def test_retries_are_not_searched_after_the_release_was_cancelled(
    failed: Build, sandbox: Any
) -> None:
    retried(sandbox)
    cancel_release(release=Release.objects.get(), actor=None)
    row = polled(failed)
    assert (offers(row), row.poll_at) == ([], None)


def test_a_lost_build_that_turns_out_to_have_failed_takes_no_stranger(
    build: Build, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another build is adopted for a lost one; before that is stored, ours is seen, failed."""
    running(build)
    Build.objects.update(status="LOST")
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.enqueue(ci.job("ios-prod"), {"VERSION": build.parameters["VERSION"]}, user="x", delay=0)
    sandbox.state.advance(600)
    other = next(b for b in ci.running("ios-prod") if b.number != 245)
    ci.finish("ios-prod", other.number)

    def lock(release_id: str) -> Release:
        Build.objects.filter(pk=build.pk).update(status="FAILURE")
        return lock_release(release_id)

    monkeypatch.setattr("builds.adopting.lock_release", lock)
    with pytest.raises(Conflict):
        adopt(build, other.number)
    assert [row.number for row in Build.objects.all()] == [245]


def test_the_page_and_the_api_offer_it(
    failed: Build, sandbox: Any, api_for: Any, client_for: Any, member_of: Any
) -> None:
    number = retried(sandbox)
    polled(failed)
    release = Release.objects.get()
    api = api_for(release.tenant, Role.ADMIN)
    pipelines = api.get(f"/api/v1/releases/{release.pk}").json()["pipelines"]
    [build] = [build for pipeline in pipelines for build in pipeline["builds"]]
    assert [retry["number"] for retry in build["retries"]] == [number]
    page = client_for(member_of(release.tenant, Role.ADMIN))
    shown = page.get(f"/releases/{release.pk}").content.decode()
    assert "adopted by" not in shown
    assert f"Adopt #{number}" in shown
    assert "Started by dana." in shown
    where = f"/activity/effects/{trigger_of(failed).pk}/adopt"
    page.post(where, {"number": number, "next": f"/releases/{release.pk}"})
    assert Release.objects.get().status == "BUILD_COMPLETE"
    shown = page.get(f"/releases/{release.pk}").content.decode()
    assert f"Adopt #{number}" not in shown
    assert shown.count("adopted by") == 1
    timeline = api.get(f"/api/v1/releases/{release.pk}").json()["timeline"]
    titles = [item["title"] for item in timeline]
    assert (titles.count("iOS build adopted"), titles.count("iOS build triggered")) == (1, 1)


def test_what_left_the_queue_without_a_number_has_no_retries(
    wired: Wired, sandbox: Any, caplog: Any
) -> None:
    """The connection's health does not suffer from it."""
    ci = sandbox.state.jenkins
    ci.job("ios-prod").executors = 0
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    ci.cancel(ci.item(1001))
    with sandbox.state.lock:  # another build of the job, which has a number
        ci.job("ios-prod").executors = 1
        ci.enqueue(ci.job("ios-prod"), {}, user="somebody", delay=0)
    sandbox.state.advance(20)
    row = polled(build, 2)
    assert (row.status, row.number, offers(row)) == ("ABORTED", None, [])
    assert not IntegrationHealth.objects.exclude(failures=0).exists()
    assert not caplog.records


def test_a_retry_of_another_version_is_neither_offered_nor_adopted(
    failed: Build, sandbox: Any
) -> None:
    """The Rebuild plugin lets people change parameters and keeps our id."""
    sandbox.state.jenkins.build("ios-prod", 245).parameters["VERSION"] = "1.6.0"
    number = retried(sandbox)
    assert offers(polled(failed)) == []
    with pytest.raises(ValidationError) as caught:
        adopt(failed, number)
    assert "is for version 1.6.0" in str(caught.value)
    assert Release.objects.get().status == "BUILD_FAILED"
