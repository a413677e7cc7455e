"""Polling finds the result of every build without a single webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build, BuildEvent, Trust
from builds.polling import poller
from builds.polling.poller import LOST_AFTER, due_builds, poll_build
from builds.tests.polling import lost, polled, running
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.models import Release
from releases.timeline import TimelineItem, timeline

pytestmark = pytest.mark.django_db


def notices(build: Build) -> list[str]:
    """What the messages in one channel say by now, in the order in which they were begun."""
    rows = Effect.objects.filter(kind="message.post", payload__channel="C123")
    return [e.payload["notice"] for e in rows.order_by("created_at")]


def of_release(build: Build) -> list[TimelineItem]:
    release = Release.objects.with_everything().get(pk=build.release_pipeline.release_id)
    return timeline(release, [])


def test_queue_number_and_end_are_found_by_polling_alone(build: Build, sandbox: Any) -> None:
    assert (build.status, build.queue_id, build.number) == ("QUEUED", 1001, None)
    row = running(build)
    assert row.url == f"{sandbox.url}/jenkins/job/ios-prod/245/"
    assert row.release_pipeline.build_number == 245
    assert polled(row).status == "RUNNING"
    sandbox.state.jenkins.finish("ios-prod", 245)
    done = polled(row)
    assert done.status == "SUCCESS"
    assert done.artifact_url.endswith("/ios-245.ipa")
    assert (done.poll_at, done.finished_at is not None) == (None, True)
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert notices(build) == ["release_created", "build_complete", "release_complete"]


@pytest.mark.parametrize("result", ["FAILURE", "UNSTABLE", "ABORTED"])
def test_a_failure_is_found_too(build: Build, sandbox: Any, result: str) -> None:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245, result)
    assert polled(build).status == result
    assert Release.objects.get().status == "BUILD_FAILED"
    assert notices(build)[-2:] == ["build_failed", "release_failed"]


def test_a_build_that_waits_says_why(wired: Wired, sandbox: Any) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    row = polled(build)
    assert row.status == "QUEUED"
    assert row.queue_reason == "Waiting for next available executor"


def test_polling_slows_down_and_stops_at_the_end(build: Build, sandbox: Any) -> None:
    pauses = []
    for _n in range(30):
        row = polled(build)
        pauses.append(row.poll_at - timezone.now())
    assert pauses[-1] > pauses[5]
    assert pauses[-1] <= timedelta(minutes=5)
    sandbox.state.jenkins.finish("ios-prod", 245)
    polled(build)
    poll_build(build.pk)
    assert due_builds() == []


def test_due_builds_are_handed_out_once(build: Build) -> None:
    Build.objects.update(poll_at=timezone.now() - timedelta(seconds=1))
    assert due_builds() == [build.pk]
    assert due_builds() == []


def test_a_number_found_by_polling_applies_waiting_deliveries(build: Build) -> None:
    early = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="early",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://b/x.ipa"}',
    )
    apply_delivery(early.pk)
    assert fresh(early).state == "UNMATCHED"
    row = polled(build, 3)
    assert fresh(early).state == "APPLIED"
    assert (row.status, row.artifact_url) == ("SUCCESS", "s3://b/x.ipa")


@pytest.mark.on_sqlite
@pytest.mark.slow
def test_a_day_without_any_webhook_ends_with_the_right_result(build: Build, sandbox: Any) -> None:
    """The build runs for a day without reports; each pause is skipped by moving the time."""
    spent, pauses = timedelta(), []
    while spent < timedelta(days=1):
        row = fresh(build)
        pauses.append((row.status, row.poll_at - timezone.now()))
        spent += pauses[-1][1]
        sandbox.state.advance(max(1, pauses[-1][1].total_seconds()))
        Build.objects.update(poll_at=timezone.now(), started_at=timezone.now() - spent)
        assert due_builds() == [build.pk]
        poll_build(build.pk)
    sandbox.state.jenkins.finish("ios-prod", 245)
    done = polled(build)
    assert (done.status, done.poll_at) == ("SUCCESS", None)
    assert all(pause <= timedelta(seconds=10) for status, pause in pauses if status == "QUEUED")
    running = [pause for status, pause in pauses if status == "RUNNING"]
    assert running[0] < timedelta(seconds=60)
    assert timedelta(minutes=4, seconds=50) < running[-1] <= timedelta(minutes=5)
    assert len(pauses) < 330  # a poll every five minutes would be 288
    found = BuildEvent.objects.get(to_status="SUCCESS")
    assert (found.source, found.detail) == (
        "POLL",
        "Jenkins reports “Succeeded”, delivr had “Running”.",
    )
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert notices(build)[-2:] == ["build_complete", "release_complete"]
    page = [item for item in of_release(done) if item.detail.endswith(found.detail)]
    assert [item.title for item in page] == ["iOS build #245 complete"]


def test_a_result_reported_by_a_hint_is_not_a_correction(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245)
    delivery = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="delivery",
        trust=Trust.BASIC,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(delivery.pk)
    poll_build(build.pk)
    end = BuildEvent.objects.get(to_status="SUCCESS", applied=True)
    assert (end.source, end.detail) == ("POLL", "")


# --- What Jenkins does not know ------------------------------------------------------------------


def test_a_build_is_lost_after_three_misses_and_not_before(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    row = polled(build, LOST_AFTER - 1)
    assert (row.status, row.misses) == ("RUNNING", LOST_AFTER - 1)
    assert polled(build, 5).status == "RUNNING"  # not after a few seconds
    assert lost(build).status == "LOST"
    assert Release.objects.get().status == "BUILD_FAILED"


def test_a_build_whose_job_is_gone_for_a_while_is_unchanged(build: Build, sandbox: Any) -> None:
    """Jenkins reloads, or our user lost Job/Read: everything below the job answers 404."""
    running(build)
    job = sandbox.state.jenkins.job("ios-prod")
    job.hidden = True
    row = polled(build, LOST_AFTER + 1)
    health = IntegrationHealth.objects.get()
    assert (row.status, row.misses, row.missing_since) == ("RUNNING", 0, None)
    assert "Jenkins shows no job ios-prod" in health.last_error
    job.hidden = False
    IntegrationHealth.objects.all().delete()
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert polled(build).status == "SUCCESS"


def test_a_lost_build_is_polled_for_a_day_and_comes_back(build: Build, sandbox: Any) -> None:
    running(build)
    gone = sandbox.state.jenkins.build("ios-prod", 245)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    row = lost(build)
    assert timedelta(seconds=50) < row.poll_at - timezone.now() <= timedelta(minutes=1)
    assert polled(build).status == "LOST"
    sandbox.state.jenkins.builds["ios-prod"].append(gone)
    assert polled(build).status == "RUNNING"
    gone.result, gone.ended_at = "SUCCESS", gone.started_at + 5
    assert polled(build).status == "SUCCESS"
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_a_lost_build_is_not_polled_after_a_day(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    lost(build)
    Build.objects.update(finished_at=timezone.now() - timedelta(days=1))
    assert polled(build).poll_at is None


def test_a_miss_is_forgotten_when_the_build_is_seen_again(build: Build, sandbox: Any) -> None:
    running(build)
    gone = sandbox.state.jenkins.build("ios-prod", 245)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    polled(build, LOST_AFTER - 1)
    sandbox.state.jenkins.builds["ios-prod"].append(gone)
    assert polled(build).misses == 0
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    assert polled(build, LOST_AFTER - 1).status == "RUNNING"


def test_an_item_that_jenkins_forgot_is_found_among_the_builds(build: Build, sandbox: Any) -> None:
    sandbox.state.advance(600)
    row = polled(build)
    assert (row.status, row.number) == ("RUNNING", 245)


def test_an_item_long_forgotten_is_found_behind_many_newer_builds(
    build: Build, sandbox: Any
) -> None:
    """As after an hour without polls, on a job that others use too."""
    ci = sandbox.state.jenkins
    ci.job("ios-prod").executors = 1000
    with sandbox.state.lock:
        for _n in range(70):
            ci.enqueue(ci.job("ios-prod"), {}, user="somebody", delay=0)
    sandbox.state.advance(600)
    row = polled(build, LOST_AFTER)
    assert (row.status, row.number) == ("RUNNING", 245)


def test_a_queue_item_that_somebody_cancelled_is_aborted(wired: Wired, sandbox: Any) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    polled(build)
    sandbox.state.jenkins.cancel(sandbox.state.jenkins.item(1001))
    assert polled(build).status == "ABORTED"


def test_a_change_during_the_poll_outweighs_a_miss(build: Build, sandbox: Any) -> None:
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    sandbox.state.jenkins.forget_left_items()
    before = polled(build, LOST_AFTER - 1)
    assert (before.status, before.misses) == ("QUEUED", LOST_AFTER - 1)
    report = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="meanwhile",
        trust=Trust.SIGNED,
        body=b'{"queueId": 1001, "buildNumber": 245, "status": "STARTED"}',
    )
    apply_delivery(report.pk)
    poller._missed(before, reason="")
    assert (fresh(build).status, fresh(build).misses) == ("RUNNING", 0)


def test_a_lost_build_that_reappears_is_corrected_and_announced_once(
    build: Build, sandbox: Any
) -> None:
    running(build)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    lost(build)
    pipeline = build.release_pipeline.pipeline
    for key in "abc":
        late = store(
            pipeline=pipeline,
            dedupe_key=key,
            trust=Trust.SIGNED,
            body=b'{"buildNumber": 245, "status": "SUCCESS"}',
        )
        apply_delivery(late.pk)
    assert fresh(build).status == "SUCCESS"
    assert Release.objects.get().status == "BUILD_COMPLETE"
    sent = notices(build)
    assert sent.count("build_complete") == sent.count("release_complete") == 1
    assert sent.count("build_failed") == sent.count("release_failed") == 1


def test_polling_corrects_a_wrong_end_once(build: Build, sandbox: Any) -> None:
    running(build)
    wrong = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="wrong",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "FAILURE"}',
    )
    apply_delivery(wrong.pk)
    assert fresh(build).status == "FAILURE"
    sandbox.state.jenkins.finish("ios-prod", 245)
    right = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="right",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(right.pk)  # contradicts, so it causes a poll
    assert fresh(build).status == "FAILURE"
    assert due_builds() == [build.pk]
    poll_build(build.pk)
    assert fresh(build).status == "SUCCESS"
    assert polled(build, 2).poll_at is None
    assert notices(build).count("build_complete") == 1


def test_a_hint_makes_the_poller_read_the_result(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    delivery = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="delivery",
        trust=Trust.BASIC,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(delivery.pk)
    assert fresh(build).status == "RUNNING"
    poll_build(build.pk)
    assert fresh(build).status == "FAILURE"


def test_a_hint_finds_a_build_whose_trigger_has_no_response_yet(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    sandbox.state.faults.add(
        kind="drop_after", provider="jenkins", method="POST", path="*/buildWithParameters", count=1
    )
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "TRIGGERING"
    delivery = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="delivery",
        trust=Trust.BASIC,
        body=b'{"buildId": "%s", "status": "STARTED"}' % build.pk.encode(),
    )
    apply_delivery(delivery.pk)
    poll_build(build.pk)
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 245)
