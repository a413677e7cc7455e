"""Which build a number belongs to, and which of two sources takes precedence."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.adopting import adopt_build
from builds.effects import ci_of
from builds.models import Build, BuildEvent, Source, Trust, WebhookDelivery
from builds.tests.polling import lost, polled, running
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.tests.wired import fresh, trigger_of
from integrations.providers.ci import BuildHandle
from releases.blockers import blockers
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


def test_a_reused_number_is_not_our_build(build: Build, sandbox: Any) -> None:
    """The job was recreated: #245 is now another build, from another queue item."""
    running(build)
    there = sandbox.state.jenkins.build("ios-prod", 245)
    there.queue_id, there.parameters = 99002, {}
    sandbox.state.jenkins.finish("ios-prod", 245)
    row = lost(build)
    assert (row.status, row.artifact_url) == ("LOST", "")
    assert "another queue item" in BuildEvent.objects.get(to_status="LOST").detail
    assert Release.objects.get().status == "BUILD_FAILED"


def test_a_finished_build_is_not_changed_by_another_of_its_number(
    build: Build, sandbox: Any
) -> None:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245)
    polled(build)
    there = sandbox.state.jenkins.build("ios-prod", 245)
    there.queue_id, there.parameters, there.result = 99002, {}, "FAILURE"
    report = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="of another",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "FAILURE"}',
    )
    apply_delivery(report.pk)
    row = polled(build)
    assert (row.status, Release.objects.get().status) == ("SUCCESS", "BUILD_COMPLETE")
    assert (fresh(report).state, fresh(report).build) == ("ORPHAN", None)
    assert "another queue item" in fresh(report).reason


def report_of(build: Build, key: str, trust: Trust, **body: Any) -> Any:
    delivery = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key=key,
        trust=trust,
        body=json.dumps({"buildNumber": 245, **body}).encode(),
    )
    apply_delivery(delivery.pk)
    return fresh(delivery)


def test_an_unconfirmed_success_is_undone_if_the_number_is_anothers(
    build: Build, sandbox: Any
) -> None:
    running(build)
    report = report_of(build, "k", Trust.SIGNED, status="SUCCESS", artifactUrl="s3://foreign.ipa")
    assert Release.objects.get().status == "BUILD_COMPLETE"
    there = sandbox.state.jenkins.build("ios-prod", 245)
    there.queue_id, there.parameters = 99002, {}
    row = polled(build)
    assert (row.status, row.artifact_url) == ("LOST", "")
    assert Release.objects.get().status == "BUILD_FAILED"
    assert row.release_pipeline.artifact_url == ""
    assert fresh(report).build_id in (None, build.pk)


def test_a_signed_success_is_confirmed_and_jenkins_failure_wins(build: Build, sandbox: Any) -> None:
    """A post-build step fails the build after the report was sent."""
    running(build)
    report_of(build, "k", Trust.SIGNED, status="SUCCESS")
    assert Release.objects.get().status == "BUILD_COMPLETE"
    row = polled(build)
    assert (row.status, row.is_confirmed) == ("SUCCESS", False)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    row = polled(build)
    assert (row.status, row.is_confirmed, row.end_claimed_at) == ("FAILURE", True, None)
    assert Release.objects.get().status == "BUILD_FAILED"


@pytest.mark.slow
@pytest.mark.parametrize("trust", [Trust.SIGNED, Trust.BASIC])
def test_a_build_is_polled_soon_after_a_report_of_its_end(
    build: Build, sandbox: Any, trust: Trust
) -> None:
    polled(running(build), 20)  # the pause is now several minutes
    report_of(build, "k", trust, status="SUCCESS")
    for seconds in (0, 2, 4, 8, 16):
        Build.objects.update(end_claimed_at=timezone.now() - timedelta(seconds=seconds))
        pause = (polled(build).poll_at - timezone.now()).total_seconds()
        assert pause == pytest.approx(max(2, seconds), abs=1)
    sandbox.state.jenkins.finish("ios-prod", 245)
    row = polled(build)
    assert (row.status, row.poll_at, row.end_claimed_at) == ("SUCCESS", None, None)


def test_a_signed_reports_artifact_takes_precedence_whichever_came_first(
    build: Build, sandbox: Any
) -> None:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert polled(build).artifact_url.endswith("/ios-245.ipa")
    report_of(build, "k", Trust.SIGNED, status="SUCCESS", artifactUrl="s3://b/app.ipa")
    row = polled(build)
    assert row.artifact_url == row.release_pipeline.artifact_url == "s3://b/app.ipa"
    assert [artifact["name"] for artifact in row.artifacts] == ["ios-245.ipa"]


def test_a_failure_is_told_although_the_build_was_lost_before(build: Build, sandbox: Any) -> None:
    running(build)
    ci = sandbox.state.jenkins
    there = ci.finish("ios-prod", 245, "FAILURE")
    ci.delete_build("ios-prod", 245)
    assert lost(build).status == "LOST"
    ci.builds["ios-prod"].append(there)
    assert polled(build).status == "FAILURE"
    messages = Effect.objects.filter(payload__notice="build_failed", payload__channel="C123")
    reasons = {effect.payload["words"].get("reason") for effect in messages}
    assert reasons == {"it no longer exists on the CI server", None}


def test_an_answer_about_the_number_of_before_is_not_taken_for_that_which_was_adopted_meanwhile(
    build: Build, sandbox: Any
) -> None:
    running(build)
    being_asked = lost_and_seen_again(build, sandbox)
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.enqueue(ci.job("ios-prod"), {}, user="somebody", delay=0)
    sandbox.state.advance(600)
    [there] = ci.running("ios-prod")
    adopt_build(effect=trigger_of(build), number=there.number, actor=None)
    apply_update(build.pk, being_asked)
    row = fresh(build)
    assert (row.status, row.number, row.artifact_url) == ("RUNNING", there.number, "")


def lost_and_seen_again(build: Build, sandbox: Any) -> BuildUpdate:
    """A poll's answer about a lost build that reappeared, just before it is applied."""
    sandbox.state.jenkins.finish("ios-prod", 245)
    state = ci_of(fresh(build)).read(BuildHandle(number=245), build_id=build.pk)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    assert lost(build).status == "LOST"
    return BuildUpdate.from_state(state, Source.POLL)


def test_a_report_whose_body_was_dropped_holds_up_no_answer(build: Build, sandbox: Any) -> None:
    """Jenkins was away for a month after it made us ask."""
    running(build)
    report_of(build, "k", Trust.SIGNED, status="FAILURE")
    report = report_of(build, "other", Trust.SIGNED, status="SUCCESS")
    assert report.state == "APPLIED"
    WebhookDelivery.objects.update(body=b"")
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert polled(build).status == "SUCCESS"


def test_a_build_from_before_the_trigger_is_not_adopted(build: Build, sandbox: Any) -> None:
    running(build)
    old = sandbox.state.jenkins.build("ios-prod", 245)
    old.parameters, old.started_at = {}, old.started_at - 3600
    row = lost(build)
    assert row.status == "LOST"
    with pytest.raises(ValidationError) as caught:
        adopt_build(effect=trigger_of(build), number=245, actor=None)
    assert "before" in str(caught.value)
    assert fresh(build).status == "LOST"


def test_a_lost_build_is_adopted_under_its_own_number_of_a_recreated_job(
    build: Build, sandbox: Any
) -> None:
    """It is kept: what was known about the lost one no longer counts."""
    running(build)
    there = sandbox.state.jenkins.build("ios-prod", 245)
    there.parameters, there.started_at, there.queue_id = {}, there.started_at + 3600, None
    lost(build)
    adopt_build(effect=trigger_of(build), number=245, actor=None)
    assert polled(build, 2).missing_since is None


def test_a_report_may_name_the_job_in_another_case(build: Build) -> None:
    running(build)
    url = "https://jenkins.example.com/job/IOS-Prod/245/"
    report = report_of(build, "k", Trust.SIGNED, status="SUCCESS", buildUrl=url)
    assert (report.state, fresh(build).status) == ("APPLIED", "SUCCESS")


def test_a_lost_build_can_be_adopted_as_another_number(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    lost(build)
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.enqueue(ci.job("ios-prod"), {}, user="somebody", delay=0)
    sandbox.state.advance(600)
    [there] = ci.running("ios-prod")
    adopt_build(effect=trigger_of(build), number=there.number, actor=None)
    row = fresh(build)
    assert (row.status, row.number, row.queue_id) == ("RUNNING", there.number, there.queue_id)
    ci.finish("ios-prod", there.number)
    assert polled(build).status == "SUCCESS"
    with pytest.raises(Conflict):
        adopt_build(effect=trigger_of(build), number=there.number, actor=None)


def test_a_missing_and_a_lost_build_are_blockers_of_the_release(build: Build, sandbox: Any) -> None:
    def codes() -> list[str]:
        release = Release.objects.with_everything().get()
        return [b.code for b in blockers(release, [], [], None, timezone.now())]

    running(build)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    polled(build)
    assert codes() == ["build_missing"]
    lost(build)
    assert codes() == ["build_lost"]
