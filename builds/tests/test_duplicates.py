"""A second build with our id: stopped if only we can have started it, else left alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from builds.duplicates import LATE
from builds.models import Build
from builds.polling.poller import poll_build
from builds.tests.delivering import deliver
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import fresh, trigger_of, wired_to
from releases.timeline import timeline
from releases.wording import describe_effect
from sandbox import accounts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_both]


@pytest.fixture
def jenkins(sandbox: Any) -> Any:
    return sandbox.state.jenkins


@pytest.fixture
def build(tenant: Any, sandbox: Any, jenkins: Any) -> Build:
    """Our build, which runs as #245."""
    build = wired_to(tenant, sandbox).build("ios")
    run_effect(trigger_of(build).pk)
    Build.objects.filter(pk=build.pk).update(status="RUNNING", number=245)
    assert jenkins.build("ios-prod", 245).building
    found: Build = fresh(build)
    return found


def trigger_twice(jenkins: Any, build: Build, *, user: str = accounts.JENKINS_USER) -> None:
    """The trigger of a build arrives a second time."""
    jenkins.enqueue(jenkins.job("ios-prod"), build.parameters, user=user, delay=0)


def report_other_run(build: Build, number: int = 246) -> Effect | None:
    """Receive a report of another run, and run the effect that follows."""
    delivery = deliver(build, {"buildId": build.pk, "buildNumber": number, "status": "STARTED"})
    assert delivery.state == "ORPHAN"
    effect = Effect.objects.filter(kind="build.stop_repeat").first()
    if effect is not None:
        run_effect(effect.pk)
        effect.refresh_from_db()
    return effect


def outcome(effect: Effect | None) -> Any:
    return effect and effect.result.get("outcome")


def test_a_trigger_that_arrived_twice_is_stopped_and_shown(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build)
    effect = report_other_run(build)
    assert effect is not None
    assert effect.result == {"outcome": "STOPPED"}
    assert jenkins.build("ios-prod", 246).result == "ABORTED"
    assert jenkins.build("ios-prod", 245).building
    assert fresh(build).status == "RUNNING"
    assert describe_effect(effect) == "Duplicate build #246 stopped"
    items = timeline(build.release_pipeline.release, [effect])
    assert describe_effect(effect) in [item.title for item in items]
    row = AuditEvent.objects.get(action="build.repeat_stopped")
    assert (row.subject_id, row.changes) == (build.pk, {"number": [246, None]})


def test_a_repeated_report_stops_once(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build)
    report_other_run(build)
    report_other_run(build)
    assert Effect.objects.filter(kind="build.stop_repeat").count() == 1
    assert AuditEvent.objects.filter(action="build.repeat_stopped").count() == 1


@pytest.mark.parametrize("user", ["mia", accounts.JENKINS_USER])
def test_a_persons_rebuild_runs_on_whoevers_account_it_is(
    build: Build, jenkins: Any, user: str
) -> None:
    jenkins.rebuild(jenkins.build("ios-prod", 245), user=user)
    assert outcome(report_other_run(build)) == "FOREIGN"
    assert jenkins.build("ios-prod", 246).building


def test_another_users_plain_build_runs_on(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build, user="mia")
    assert outcome(report_other_run(build)) == "FOREIGN"
    assert jenkins.build("ios-prod", 246).building


def test_a_false_report_stops_nothing(build: Build, jenkins: Any) -> None:
    parameters = {**build.parameters, "DELIVR_BUILD_ID": "bld_another"}
    user = accounts.JENKINS_USER
    jenkins.enqueue(jenkins.job("ios-prod"), parameters, user=user, delay=0)
    assert outcome(report_other_run(build)) == "FOREIGN"
    assert jenkins.build("ios-prod", 246).building


def test_a_finished_or_unknown_duplicate_is_only_shown(build: Build, jenkins: Any) -> None:
    assert outcome(report_other_run(build)) == "GONE"
    Effect.objects.filter(kind="build.stop_repeat").delete()
    trigger_twice(jenkins, build)
    jenkins.finish("ios-prod", 246)
    assert outcome(report_other_run(build)) == "ENDED"
    assert jenkins.build("ios-prod", 246).result == "SUCCESS"


def test_what_cannot_be_seen_while_jenkins_reloads_is_not_gone(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build)
    jenkins.job("ios-prod").hidden = True
    effect = report_other_run(build)
    assert effect is not None
    assert (effect.state, effect.last_error_code) == ("PENDING", "job_unreadable")
    jenkins.job("ios-prod").hidden = False
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now(), dispatched_at=None)
    run_effect(effect.pk)
    assert outcome(fresh(effect)) == "STOPPED"
    assert jenkins.build("ios-prod", 246).result == "ABORTED"


def test_a_lost_response_is_audited_once(build: Build, jenkins: Any, sandbox: Any) -> None:
    """A search finds the outcome: the second build is aborted by then."""
    trigger_twice(jenkins, build)
    sandbox.state.faults.add(
        kind="drop_after", provider="jenkins", method="POST", path="*/stop", count=1
    )
    effect = report_other_run(build)
    assert effect is not None
    assert (effect.state, effect.result) == ("PENDING", {})
    assert jenkins.build("ios-prod", 246).result == "ABORTED"
    for _n in range(2):
        Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now())
        run_effect(effect.pk)
    assert fresh(effect).result == {"outcome": "STOPPED"}
    assert AuditEvent.objects.filter(action="build.repeat_stopped").count() == 1


# --- Without webhooks ----------------------------------------------------------------------------


def polled(build: Build) -> list[str]:
    """Poll as after a trigger whose response was lost; returns the outcome of each duplicate."""
    Effect.objects.filter(pk=trigger_of(build).pk).update(lease_token=2)
    return polled_again(build)


def polled_again(build: Build) -> list[str]:
    Build.objects.filter(pk=build.pk).update(poll_at=timezone.now())
    poll_build(build.pk)
    effects = Effect.objects.filter(kind="build.stop_repeat")
    for effect in effects:
        run_effect(effect.pk)
    return [describe_effect(effect) for effect in effects.order_by("created_at")]


def test_a_second_build_is_found_by_polling_and_stopped(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build)
    found = polled(build)
    assert found == ["Duplicate build #246 stopped"]
    assert jenkins.build("ios-prod", 246).result == "ABORTED"
    assert jenkins.build("ios-prod", 245).building
    report_other_run(build)
    assert polled_again(build) == found


def test_an_earlier_duplicate_is_stopped_too(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build)
    Build.objects.filter(pk=build.pk).update(number=246, queue_id=1002)
    assert polled(build) == ["Duplicate build #245 stopped"]
    assert (jenkins.build("ios-prod", 245).building, fresh(build).status) == (False, "RUNNING")


@pytest.fixture
def one_at_a_time(jenkins: Any) -> None:
    jenkins.job("ios-prod").concurrent = False


@pytest.mark.usefixtures("one_at_a_time")
def test_a_queued_duplicate_is_removed_from_the_queue(build: Build, jenkins: Any) -> None:
    trigger_twice(jenkins, build)
    assert polled(build) == ["Duplicate build (queue item 1002) stopped"]
    assert jenkins.item(1002).cancelled
    row = AuditEvent.objects.get(action="build.repeat_stopped")
    assert row.changes == {"queue_id": [1002, None]}


@pytest.mark.usefixtures("one_at_a_time")
def test_a_lost_response_about_a_queued_duplicate_is_audited_once(
    build: Build, jenkins: Any, sandbox: Any
) -> None:
    trigger_twice(jenkins, build)
    sandbox.state.faults.add(
        kind="drop_after", provider="jenkins", method="POST", path="*/cancelItem", count=1
    )
    polled(build)
    assert jenkins.item(1002).cancelled
    assert not AuditEvent.objects.filter(action="build.repeat_stopped").exists()
    Effect.objects.update(next_at=timezone.now())
    assert polled(build) == ["Duplicate build (queue item 1002) stopped"]
    assert AuditEvent.objects.filter(action="build.repeat_stopped").count() == 1


@pytest.mark.usefixtures("one_at_a_time")
def test_a_persons_rebuild_that_waits_is_left_in_the_queue(build: Build, jenkins: Any) -> None:
    jenkins.rebuild(jenkins.build("ios-prod", 245), user=accounts.JENKINS_USER)
    assert polled(build) == [
        "Build (queue item 1002) with the same parameters not stopped: someone else started it"
    ]
    assert jenkins.item(1002).is_queued
    jenkins.finish("ios-prod", 245)
    assert jenkins.build("ios-prod", 246).building
    assert len(polled(build)) == 1


def test_duplicates_are_searched_only_where_they_are_possible(
    build: Build, jenkins: Any, sandbox: Any
) -> None:
    trigger_twice(jenkins, build)
    assert polled_again(build) == []
    Effect.objects.filter(kind="build.trigger").update(done_at=timezone.now() - LATE)
    assert polled(build) == []


def test_a_failed_search_for_duplicates_does_not_hold_up_the_build(
    build: Build, jenkins: Any, sandbox: Any
) -> None:
    sandbox.state.faults.add(kind="status", provider="jenkins", path="*/queue/api/json", status=500)
    jenkins.finish("ios-prod", 245)
    assert polled(build) == []
    assert IntegrationHealth.objects.get().failures == 1
    assert fresh(build).status == "SUCCESS"
