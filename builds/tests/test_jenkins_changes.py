"""Changes of a Jenkins while our build runs: a restart, a recreated job, a restored backup, builds
and retries by hand, a build with many artifacts."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import Build, BuildEvent, Trust
from builds.polling.poller import LOST_AFTER
from builds.tests.polling import lost, polled, running
from builds.tests.rerunning import rerun, rerun_when_settled
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.models import Release
from sandbox.control import PERSON

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]


@pytest.fixture
def jenkins(sandbox: Any) -> Any:
    return sandbox.state.jenkins


def by_hand(jenkins: Any, result: str) -> None:
    """Somebody else's build, started and ended."""
    item = jenkins.enqueue(jenkins.job("ios-prod"), {"VERSION": "9"}, user=PERSON, delay=0)
    jenkins.finish("ios-prod", item.number, result)


def reported(build: Build, status: str) -> Any:
    delivery = store(
        pipeline=build.pipeline,
        dedupe_key=status,
        trust=Trust.SIGNED,
        body=b'{"buildNumber": 245, "status": "%s"}' % status.encode(),
    )
    apply_delivery(delivery.pk)
    return fresh(delivery)


# --- A restart ------------------------------------------------------------------------------------


def test_a_restart_says_nothing_about_the_build(build: Build, sandbox: Any, jenkins: Any) -> None:
    running(build)
    sandbox.state.restart_jenkins(starting=4, loading=4)
    row = polled(build, 3)
    assert (row.status, row.misses) == ("RUNNING", 0)
    while sandbox.state.faults.active()[-1]["count"]:
        IntegrationHealth.objects.all().delete()  # close the circuit breaker
        row = polled(build)
        assert (row.status, row.misses, row.missing_since) == ("RUNNING", 0, None)
    jenkins.finish("ios-prod", 245)
    IntegrationHealth.objects.all().delete()
    assert polled(build).status == "SUCCESS"
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_a_trigger_that_met_a_restart_is_sent_again_and_builds_once(
    wired: Wired, sandbox: Any, jenkins: Any
) -> None:
    build = wired.build("ios")
    sandbox.state.restart_jenkins(starting=2, loading=2)
    for _n in range(8):
        settled_trigger(build)
    assert (trigger_of(build).state, len(jenkins.builds_of("ios-prod"))) == ("DONE", 1)
    assert polled(build, 3).status == "RUNNING"


def settled_trigger(build: Build) -> None:
    trigger = trigger_of(build)
    if trigger.state == "PENDING":
        rerun_when_settled(trigger) if trigger.dispatched_at else rerun(trigger)


# --- A recreated job ------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["SUCCESS", "FAILURE"])
def test_somebody_elses_build_under_our_number_is_not_ours(
    build: Build, jenkins: Any, result: str
) -> None:
    running(build)
    jenkins.make_again("ios-prod").next_number = 245
    by_hand(jenkins, result)
    delivery = reported(build, result)
    row = lost(build)
    assert (row.status, row.artifact_url, row.artifacts) == ("LOST", "", [])
    assert "for version 9" in BuildEvent.objects.get(to_status="LOST").detail
    assert Release.objects.get().status == "BUILD_FAILED"
    assert fresh(delivery).build_id in (None, build.pk)


def test_a_recreated_job_changes_no_finished_build(build: Build, jenkins: Any) -> None:
    running(build)
    jenkins.finish("ios-prod", 245)
    assert polled(build).status == "SUCCESS"
    jenkins.make_again("ios-prod").next_number = 245
    by_hand(jenkins, "FAILURE")
    delivery = reported(build, "FAILURE")
    row = polled(build)
    assert (row.status, Release.objects.get().status) == ("SUCCESS", "BUILD_COMPLETE")
    assert row.artifact_url.endswith("ios-245.ipa")
    assert (fresh(delivery).state, fresh(delivery).build) == ("ORPHAN", None)


def test_numbers_that_restart_at_one_are_followed(wired: Wired, build: Build, jenkins: Any) -> None:
    running(build)
    jenkins.finish("ios-prod", 245)
    polled(build)
    jenkins.make_again("ios-prod")
    second = wired.build("ios")
    run_effect(trigger_of(second).pk)
    row = polled(second, 3)
    assert (row.status, row.number) == ("RUNNING", 1)
    jenkins.finish("ios-prod", 1)
    assert polled(second).status == "SUCCESS"


# --- A restored backup ----------------------------------------------------------------------------


def test_a_build_lost_by_a_restore_is_not_confused_with_the_next_of_its_number(
    build: Build, sandbox: Any, jenkins: Any
) -> None:
    """Number and queue id are both reused: only the start time differs."""
    jenkins.delete_build("ios-prod", 245)  # the backup is older than our build
    jenkins.job("ios-prod").next_number, jenkins.next_queue_id = 245, 1001
    jenkins.queue.clear()
    jenkins.back_up()
    item = jenkins.enqueue(
        jenkins.job("ios-prod"), {"DELIVR_BUILD_ID": build.pk}, user="delivr", delay=0
    )
    assert (item.id, item.number) == (1001, 245)
    running(build)
    jenkins.restore()
    sandbox.state.advance(60)
    by_hand(jenkins, "SUCCESS")
    [other] = jenkins.builds_of("ios-prod")
    assert (other.number, other.queue_id) == (245, 1001)
    row = lost(build)
    assert (row.status, row.artifact_url) == ("LOST", "")
    assert Release.objects.get().status == "BUILD_FAILED"


def test_a_build_in_the_backup_continues(build: Build, jenkins: Any) -> None:
    running(build)
    jenkins.back_up()
    jenkins.finish("ios-prod", 245, "FAILURE")
    jenkins.restore()
    assert polled(build, LOST_AFTER).status == "RUNNING"
    jenkins.finish("ios-prod", 245)
    assert polled(build).status == "SUCCESS"


# --- A retry by hand ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rebuild", "replay", "naginator"])
def test_a_retry_in_jenkins_is_not_adopted_automatically(
    build: Build, jenkins: Any, way: str
) -> None:
    running(build)
    jenkins.finish("ios-prod", 245, "FAILURE")
    assert polled(build).status == "FAILURE"
    jenkins.rebuild(jenkins.build("ios-prod", 245), user=PERSON, by=way)
    jenkins.finish("ios-prod", 246)
    polled(build, 2)
    row = fresh(build)
    assert (row.status, row.number, row.artifact_url) == ("FAILURE", 245, "")
    assert Release.objects.get().status == "BUILD_FAILED"


# --- Many artifacts -------------------------------------------------------------------------------


def test_the_app_is_found_behind_many_logs(build: Build, jenkins: Any) -> None:
    jenkins.job("ios-prod").logs = 60
    running(build)
    jenkins.finish("ios-prod", 245)
    row = polled(build)
    assert row.artifact_url.endswith("/ios-245.ipa")
    assert [artifact["name"] for artifact in row.artifacts][:2] == ["ios-245.ipa", "step-001.log"]
    assert len(row.artifacts) == 20
