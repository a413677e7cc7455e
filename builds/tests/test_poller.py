"""Without a single webhook every build comes to its true end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build, BuildEvent, Trust
from builds.polling import poller
from builds.polling.poller import LOST_AFTER, due_builds, poll_build
from builds.tests.polling import asked, lost, running
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.models import Release
from releases.timeline import TimelineItem, timeline

pytestmark = pytest.mark.django_db


def notices(build: Build) -> list[str]:
    """What is told about the build and its release in one channel, in order."""
    rows = Effect.objects.filter(kind="message.post", payload__channel="C123")
    return [e.payload["notice"] for e in rows.order_by("created_at")]


def of_release(build: Build) -> list[TimelineItem]:
    release = Release.objects.with_everything().get(pk=build.release_pipeline.release_id)
    return timeline(release, [])


def test_queue_number_and_end_are_found_by_asking_alone(build: Build, sandbox: Any) -> None:
    assert (build.status, build.queue_id, build.number) == ("QUEUED", 1001, None)
    row = running(build)
    assert row.url == f"{sandbox.url}/jenkins/job/ios-prod/245/"
    assert row.release_pipeline.build_number == 245
    assert asked(row).status == "RUNNING"
    sandbox.world.jenkins.finish("ios-prod", 245)
    done = asked(row)
    assert done.status == "SUCCESS"
    assert done.artifact_url.endswith("/ios-245.ipa")
    assert (done.poll_at, done.finished_at is not None) == (None, True)
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert notices(build) == [
        "release_created",
        "build_started",
        "build_complete",
        "release_complete",
    ]


@pytest.mark.parametrize("result", ["FAILURE", "UNSTABLE", "ABORTED"])
def test_a_bad_end_is_found_too(build: Build, sandbox: Any, result: str) -> None:
    running(build)
    sandbox.world.jenkins.finish("ios-prod", 245, result)
    assert asked(build).status == result
    assert Release.objects.get().status == "BUILD_FAILED"
    assert notices(build)[-2:] == ["build_failed", "release_failed"]


def test_a_build_that_waits_says_why(wired: Wired, sandbox: Any) -> None:
    sandbox.world.jenkins.job("ios-prod").executors = 0
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    row = asked(build)
    assert row.status == "QUEUED"
    assert row.queue_reason == "Waiting for next available executor"


def test_asking_becomes_rarer_and_stops_at_the_end(build: Build, sandbox: Any) -> None:
    pauses = []
    for _n in range(30):
        row = asked(build)
        pauses.append(row.poll_at - timezone.now())
    assert pauses[-1] > pauses[5]
    assert pauses[-1] <= timedelta(minutes=5)
    sandbox.world.jenkins.finish("ios-prod", 245)
    asked(build)
    poll_build(build.pk)
    assert due_builds() == []


def test_due_builds_are_handed_out_once(build: Build) -> None:
    Build.objects.update(poll_at=timezone.now() - timedelta(seconds=1))
    assert due_builds() == [build.pk]
    assert due_builds() == []


def test_a_number_found_by_asking_applies_what_waited_for_it(build: Build) -> None:
    early = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="early",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://b/x.ipa"}',
    )
    apply_delivery(early.pk)
    assert fresh(early).state == "UNMATCHED"
    row = asked(build, 3)
    assert fresh(early).state == "APPLIED"
    assert (row.status, row.artifact_url) == ("SUCCESS", "s3://b/x.ipa")


@pytest.mark.on_sqlite
@pytest.mark.slow
def test_a_day_without_any_webhook_ends_right_and_says_so(build: Build, sandbox: Any) -> None:
    """Each pause is waited through by moving the time: the build runs for a day, nobody reports."""
    spent, pauses = timedelta(), []
    while spent < timedelta(days=1):
        row = fresh(build)
        pauses.append((row.status, row.poll_at - timezone.now()))
        spent += pauses[-1][1]
        sandbox.world.advance(max(1, pauses[-1][1].total_seconds()))
        Build.objects.update(poll_at=timezone.now(), started_at=timezone.now() - spent)
        assert due_builds() == [build.pk]
        poll_build(build.pk)
    sandbox.world.jenkins.finish("ios-prod", 245)
    done = asked(build)
    assert (done.status, done.poll_at) == ("SUCCESS", None)
    assert all(pause <= timedelta(seconds=10) for status, pause in pauses if status == "QUEUED")
    running = [pause for status, pause in pauses if status == "RUNNING"]
    assert running[0] < timedelta(seconds=60)
    assert timedelta(minutes=4, seconds=50) < running[-1] <= timedelta(minutes=5)
    assert len(pauses) < 330  # a question every five minutes is 288
    healed = BuildEvent.objects.get(to_status="SUCCESS")
    assert (healed.source, healed.detail) == ("POLL", "Jenkins says “Succeeded”, we had “Running”.")
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert notices(build)[-2:] == ["build_complete", "release_complete"]
    page = [item for item in of_release(done) if item.detail.endswith(healed.detail)]
    assert [item.title for item in page] == ["iOS build #245 complete"]


def test_what_a_doorbell_told_of_is_not_called_healed(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.world.jenkins.finish("ios-prod", 245)
    ring = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="ring",
        trust=Trust.BASIC,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(ring.pk)
    poll_build(build.pk)
    end = BuildEvent.objects.get(to_status="SUCCESS", applied=True)
    assert (end.source, end.detail) == ("POLL", "")


# --- What Jenkins does not know ------------------------------------------------------------------


def test_a_build_is_lost_after_three_misses_and_not_before(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.world.jenkins.delete_build("ios-prod", 245)
    row = asked(build, LOST_AFTER - 1)
    assert (row.status, row.misses) == ("RUNNING", LOST_AFTER - 1)
    assert asked(build, 5).status == "RUNNING"  # a few seconds prove nothing
    assert lost(build).status == "LOST"
    assert Release.objects.get().status == "BUILD_FAILED"


def test_nothing_is_known_of_a_build_whose_job_is_gone_for_a_while(
    build: Build, sandbox: Any
) -> None:
    """Jenkins reloads, or our user lost Job/Read: 404 for everything below the job."""
    running(build)
    job = sandbox.world.jenkins.job("ios-prod")
    job.hidden = True
    row = asked(build, LOST_AFTER + 1)
    health = IntegrationHealth.objects.get()
    assert (row.status, row.misses, row.missing_since) == ("RUNNING", 0, None)
    assert "Jenkins shows no job ios-prod" in health.last_error
    job.hidden = False
    IntegrationHealth.objects.all().delete()
    sandbox.world.jenkins.finish("ios-prod", 245)
    assert asked(build).status == "SUCCESS"


def test_a_lost_build_is_asked_about_for_a_day_and_comes_back(build: Build, sandbox: Any) -> None:
    running(build)
    gone = sandbox.world.jenkins.build("ios-prod", 245)
    sandbox.world.jenkins.delete_build("ios-prod", 245)
    row = lost(build)
    assert timedelta(seconds=50) < row.poll_at - timezone.now() <= timedelta(minutes=1)
    assert asked(build).status == "LOST"
    sandbox.world.jenkins.builds["ios-prod"].append(gone)
    assert asked(build).status == "RUNNING"
    gone.result, gone.ended_at = "SUCCESS", gone.started_at + 5
    assert asked(build).status == "SUCCESS"
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_nobody_asks_about_a_lost_build_after_a_day(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.world.jenkins.delete_build("ios-prod", 245)
    lost(build)
    Build.objects.update(finished_at=timezone.now() - timedelta(days=1))
    assert asked(build).poll_at is None


def test_a_miss_is_forgotten_when_the_build_is_seen_again(build: Build, sandbox: Any) -> None:
    running(build)
    gone = sandbox.world.jenkins.build("ios-prod", 245)
    sandbox.world.jenkins.delete_build("ios-prod", 245)
    asked(build, LOST_AFTER - 1)
    sandbox.world.jenkins.builds["ios-prod"].append(gone)
    assert asked(build).misses == 0
    sandbox.world.jenkins.delete_build("ios-prod", 245)
    assert asked(build, LOST_AFTER - 1).status == "RUNNING"


def test_an_item_that_jenkins_forgot_is_found_among_the_builds(build: Build, sandbox: Any) -> None:
    sandbox.world.advance(600)
    row = asked(build)
    assert (row.status, row.number) == ("RUNNING", 245)


def test_an_item_long_forgotten_is_found_behind_many_newer_builds(
    build: Build, sandbox: Any
) -> None:
    """As after an hour in which nobody could ask, on a job that others use."""
    ci = sandbox.world.jenkins
    ci.job("ios-prod").executors = 1000
    with sandbox.world.lock:
        for _n in range(70):
            ci.enqueue(ci.job("ios-prod"), {}, user="somebody", delay=0)
    sandbox.world.advance(600)
    row = asked(build, LOST_AFTER)
    assert (row.status, row.number) == ("RUNNING", 245)


def test_a_queue_item_that_somebody_cancelled_is_aborted(wired: Wired, sandbox: Any) -> None:
    sandbox.world.jenkins.job("ios-prod").executors = 0
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    asked(build)
    sandbox.world.jenkins.cancel(sandbox.world.jenkins.item(1001))
    assert asked(build).status == "ABORTED"


def test_a_move_during_the_question_outweighs_a_miss(build: Build, sandbox: Any) -> None:
    sandbox.world.jenkins.delete_build("ios-prod", 245)
    sandbox.world.jenkins.forget_left_items()
    being_asked = asked(build, LOST_AFTER - 1)
    assert (being_asked.status, being_asked.misses) == ("QUEUED", LOST_AFTER - 1)
    report = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="meanwhile",
        trust=Trust.SIGNED,
        body=b'{"queueId": 1001, "buildNumber": 245, "status": "STARTED"}',
    )
    apply_delivery(report.pk)
    poller._missed(being_asked, reason="")
    assert (fresh(build).status, fresh(build).misses) == ("RUNNING", 0)


def test_a_lost_build_that_shows_life_is_healed_and_told_once(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.world.jenkins.delete_build("ios-prod", 245)
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
    told = notices(build)
    assert told.count("build_complete") == told.count("release_complete") == 1
    assert told.count("build_failed") == told.count("release_failed") == 1


def test_the_truth_corrects_a_wrong_end_once(build: Build, sandbox: Any) -> None:
    running(build)
    wrong = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="wrong",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "FAILURE"}',
    )
    apply_delivery(wrong.pk)
    assert fresh(build).status == "FAILURE"
    sandbox.world.jenkins.finish("ios-prod", 245)
    right = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="right",
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(right.pk)  # contradicts: asks
    assert fresh(build).status == "FAILURE"
    assert due_builds() == [build.pk]
    poll_build(build.pk)
    assert fresh(build).status == "SUCCESS"
    assert asked(build, 2).poll_at is None
    assert notices(build).count("build_complete") == 1


def test_a_doorbell_reads_the_result_at_its_source(build: Build, sandbox: Any) -> None:
    running(build)
    sandbox.world.jenkins.finish("ios-prod", 245, "FAILURE")
    ring = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="ring",
        trust=Trust.BASIC,
        body=b'{"buildNumber": 245, "status": "SUCCESS"}',
    )
    apply_delivery(ring.pk)
    assert fresh(build).status == "RUNNING"
    poll_build(build.pk)
    assert fresh(build).status == "FAILURE"


def test_a_doorbell_finds_a_build_whose_triggers_answer_is_still_out(
    wired: Wired, sandbox: Any
) -> None:
    build = wired.build("ios")
    sandbox.world.faults.add(
        kind="drop_after", provider="jenkins", method="POST", path="*/buildWithParameters", count=1
    )
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "TRIGGERING"
    ring = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key="ring",
        trust=Trust.BASIC,
        body=b'{"buildId": "%s", "status": "STARTED"}' % build.pk.encode(),
    )
    apply_delivery(ring.pk)
    poll_build(build.pk)
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 245)
