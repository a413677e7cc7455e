"""What befalls a Jenkins while our build runs: a restart, a job made again, a backup that comes
back, a person who builds by hand, a build that archives much."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import Build, BuildEvent, Trust
from builds.polling.poller import LOST_AFTER
from builds.tests.again import again, settled
from builds.tests.polling import asked, lost, running
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from releases.models import Release
from sandbox.control import PERSON

pytestmark = pytest.mark.django_db


@pytest.fixture
def jenkins(sandbox: Any) -> Any:
    return sandbox.world.jenkins


def by_hand(jenkins: Any, result: str) -> None:
    """Somebody's build, started and ended."""
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


# A restart


def test_a_restart_says_nothing_about_the_build(build: Build, sandbox: Any, jenkins: Any) -> None:
    running(build)
    sandbox.world.restart_jenkins(starting=4, loading=4)
    row = asked(build, 3)
    assert (row.status, row.misses) == ("RUNNING", 0)
    while sandbox.world.faults.active()[-1]["count"]:
        IntegrationHealth.objects.all().delete()  # the breaker's rest is over
        row = asked(build)
        assert (row.status, row.misses, row.missing_since) == ("RUNNING", 0, None)
    jenkins.finish("ios-prod", 245)
    IntegrationHealth.objects.all().delete()
    assert asked(build).status == "SUCCESS"
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_a_trigger_that_met_a_restart_is_sent_again_and_builds_once(
    wired: Wired, sandbox: Any, jenkins: Any
) -> None:
    build = wired.build("ios")
    sandbox.world.restart_jenkins(starting=2, loading=2)
    for _n in range(8):
        settled_trigger(build)
    assert (trigger_of(build).state, len(jenkins.builds_of("ios-prod"))) == ("DONE", 1)
    assert asked(build, 3).status == "RUNNING"


def settled_trigger(build: Build) -> None:
    trigger = trigger_of(build)
    if trigger.state == "PENDING":
        settled(trigger) if trigger.dispatched_at else again(trigger)


# A job made again


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
    assert "of version 9" in BuildEvent.objects.get(to_status="LOST").detail
    assert Release.objects.get().status == "BUILD_FAILED"
    assert fresh(delivery).build_id in (None, build.pk)


def test_a_job_made_again_changes_no_build_that_has_ended(build: Build, jenkins: Any) -> None:
    running(build)
    jenkins.finish("ios-prod", 245)
    assert asked(build).status == "SUCCESS"
    jenkins.make_again("ios-prod").next_number = 245
    by_hand(jenkins, "FAILURE")
    delivery = reported(build, "FAILURE")
    row = asked(build)
    assert (row.status, Release.objects.get().status) == ("SUCCESS", "BUILD_COMPLETE")
    assert row.artifact_url.endswith("ios-245.ipa")
    assert (fresh(delivery).state, fresh(delivery).build) == ("ORPHAN", None)


def test_numbers_from_one_again_are_followed(wired: Wired, build: Build, jenkins: Any) -> None:
    running(build)
    jenkins.finish("ios-prod", 245)
    asked(build)
    jenkins.make_again("ios-prod")
    second = wired.build("ios")
    run_effect(trigger_of(second).pk)
    row = asked(second, 3)
    assert (row.status, row.number) == ("RUNNING", 1)
    jenkins.finish("ios-prod", 1)
    assert asked(second).status == "SUCCESS"


# A backup that comes back


def test_a_build_lost_with_a_restore_is_not_confused_with_who_gets_its_number(
    build: Build, sandbox: Any, jenkins: Any
) -> None:
    """Number and queue id are both given out again: the time of the start tells."""
    jenkins.delete_build("ios-prod", 245)  # the backup is of the time before our build
    jenkins.job("ios-prod").next_number, jenkins.next_queue_id = 245, 1001
    jenkins.queue.clear()
    jenkins.back_up()
    item = jenkins.enqueue(
        jenkins.job("ios-prod"), {"DELIVR_BUILD_ID": build.pk}, user="delivr", delay=0
    )
    assert (item.id, item.number) == (1001, 245)
    running(build)
    jenkins.restore()
    sandbox.world.advance(60)
    by_hand(jenkins, "SUCCESS")
    [other] = jenkins.builds_of("ios-prod")
    assert (other.number, other.queue_id) == (245, 1001)
    row = lost(build)
    assert (row.status, row.artifact_url) == ("LOST", "")
    assert Release.objects.get().status == "BUILD_FAILED"


def test_a_build_that_the_backup_has_goes_on(build: Build, jenkins: Any) -> None:
    running(build)
    jenkins.back_up()
    jenkins.finish("ios-prod", 245, "FAILURE")
    jenkins.restore()
    assert asked(build, LOST_AFTER).status == "RUNNING"
    jenkins.finish("ios-prod", 245)
    assert asked(build).status == "SUCCESS"


# A retry by hand


@pytest.mark.parametrize("way", ["rebuild", "replay", "naginator"])
def test_a_retry_in_jenkins_is_not_taken_by_itself(build: Build, jenkins: Any, way: str) -> None:
    running(build)
    jenkins.finish("ios-prod", 245, "FAILURE")
    assert asked(build).status == "FAILURE"
    jenkins.rebuild(jenkins.build("ios-prod", 245), user=PERSON, by=way)
    jenkins.finish("ios-prod", 246)
    asked(build, 2)
    row = fresh(build)
    assert (row.status, row.number, row.artifact_url) == ("FAILURE", 245, "")
    assert Release.objects.get().status == "BUILD_FAILED"


# Many files


def test_the_app_is_found_behind_many_logs(build: Build, jenkins: Any) -> None:
    jenkins.job("ios-prod").logs = 60
    running(build)
    jenkins.finish("ios-prod", 245)
    row = asked(build)
    assert row.artifact_url.endswith("/ios-245.ipa")
    assert [artifact["name"] for artifact in row.artifacts][:2] == ["ios-245.ipa", "step-001.log"]
    assert len(row.artifacts) == 20
