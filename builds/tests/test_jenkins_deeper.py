"""What a Jenkins does beside building: unstable ends, questions to people, a shutdown, and the jobs
that a multibranch project has for each branch."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.models import Build, Source
from builds.testbuilds.operations import apply_test_update, start_test
from builds.tests.delivering import deliver
from builds.tests.polling import polled, running
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to
from integrations.providers.ci import BuildStatus
from integrations.verification import verify
from releases.blockers import blockers
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

ASKED = "Release this build to testers?"


@pytest.fixture
def jenkins(sandbox: Any) -> Any:
    return sandbox.state.jenkins


def good_enough(build: Build) -> None:
    pipeline = build.pipeline
    pipeline.options = {**pipeline.options, "jenkins_unstable": "GOOD_ENOUGH"}
    pipeline.save()


def blockers_of(build: Build) -> dict[str, str]:
    release = Release.objects.with_everything().get(pk=build.release_pipeline.release_id)
    found = blockers(release, [trigger_of(build)], [], None, timezone.now())
    return {one.code: one.message for one in found}


# --- Unstable builds ------------------------------------------------------------------------------


def test_an_unstable_build_may_be_good_enough(build: Build, jenkins: Any, member: Any) -> None:
    running(build)
    good_enough(build)
    jenkins.finish("ios-prod", 245, "UNSTABLE")
    row = polled(build)
    assert (row.status, row.reported_status) == ("SUCCESS", "UNSTABLE")
    release = Release.objects.get()
    assert release.status == "BUILD_COMPLETE"
    assert "“Unstable”" in row.events.last().detail
    page = member.get(f"/releases/{release.pk}").content.decode()
    assert "which this pipeline counts as" in page


def test_a_webhook_about_an_unstable_build_is_counted_alike(build: Build, jenkins: Any) -> None:
    running(build)
    good_enough(build)
    deliver(build, {"buildNumber": 245, "status": "UNSTABLE"})
    assert (fresh(build).status, fresh(build).reported_status) == ("SUCCESS", "UNSTABLE")
    jenkins.finish("ios-prod", 245, "UNSTABLE")
    row = polled(build)
    assert (row.status, row.is_confirmed) == ("SUCCESS", True)


def test_a_test_build_is_counted_alike(wired: Wired) -> None:
    pipeline = wired.pipelines["ios"]
    pipeline.options = {"jenkins_unstable": "GOOD_ENOUGH"}
    pipeline.save()
    test = start_test(pipeline=pipeline, actor=None, version="0.0.1", branch="main")
    apply_test_update(test.pk, BuildUpdate(status=BuildStatus.UNSTABLE, source=Source.POLL))
    assert (fresh(test).status, fresh(test).reported_status) == ("SUCCESS", "UNSTABLE")


# --- Questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exports", [True, False], ids=["exported", "by the REST API"])
def test_a_build_that_asks_a_person_waits_until_it_is_answered(
    build: Build, jenkins: Any, member: Any, *, exports: bool
) -> None:
    jenkins.job("ios-prod").exports_input = exports
    running(build)
    jenkins.ask("ios-prod", 245, ASKED)
    row = polled(build)
    assert (row.status, row.queue_reason) == ("WAITING", f"It asks: “{ASKED}”")
    assert ASKED in blockers_of(build)["waiting_for_a_person"]
    page = member.get(f"/releases/{build.release_pipeline.release_id}").content.decode()
    assert f'href="{row.url}input/"' in page
    assert "Answer in Jenkins" in page
    jenkins.answer("ios-prod", 245, proceed=True)
    assert (polled(build).status, fresh(build).queue_reason) == ("RUNNING", "")
    jenkins.ask("ios-prod", 245, "And now?")
    assert polled(build).queue_reason == "It asks: “And now?”"
    jenkins.answer("ios-prod", 245, proceed=False)
    assert polled(build).status == "ABORTED"


# --- A shutdown -----------------------------------------------------------------------------------


def test_builds_stay_in_the_queue_of_a_jenkins_that_shuts_down(wired: Wired, jenkins: Any) -> None:
    jenkins.quiet_down("Plugins are updated")
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert polled(build, 5).status == "QUEUED"
    assert "preparing to shut down" in blockers_of(build)["waiting_in_queue"]
    pipeline = verify(wired.pipelines["ios"], actor=None)
    warning = next(check for check in pipeline.checks if check["name"] == "availability")
    assert (pipeline.is_valid, warning["code"]) == (True, "shutting_down")
    assert "Plugins are updated" in warning["hint"]
    jenkins.cancel_quiet_down()
    assert polled(build, 3).status == "RUNNING"


# --- Branches -------------------------------------------------------------------------------------


@pytest.fixture
def branching(tenant: Any, sandbox: Any) -> Wired:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/app"})
    pipeline = verify(wired.pipelines["ios"], actor=None)
    assert pipeline.is_valid, pipeline.checks
    wired.pipelines["ios"] = pipeline
    return wired


def retried(build: Build) -> Effect:
    IntegrationHealth.objects.all().delete()
    effect = trigger_of(build)
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now())
    run_effect(effect.pk)
    return trigger_of(build)


def test_a_release_is_built_by_the_job_of_its_branch(branching: Wired, jenkins: Any) -> None:
    build = branching.build("ios")
    assert build.job_path == "/job/app/job/release%252F1.5.1"
    run_effect(trigger_of(build).pk)
    effect = trigger_of(build)  # a scan finds the branch, and builds it for the first time
    assert (effect.state, effect.last_error_code) == ("PENDING", "branch_job_missing")
    assert "app has no job for the branch release/1.5.1 yet." in blockers_of(build)["retrying"]
    [first] = jenkins.builds_of("app/release%2F1.5.1")
    assert first.parameters == {}
    assert retried(build).state == "DONE"
    row = polled(build, 3)
    assert (row.status, row.number) == ("RUNNING", 2)
    assert jenkins.build("app/release%2F1.5.1", 2).parameters["VERSION"] == "1.5.1"
    assert row.url.endswith("/job/app/job/release%252F1.5.1/2/")


def test_a_report_is_about_the_branch_that_it_names(branching: Wired, sandbox: Any) -> None:
    sandbox.state.jenkins.job("app").builds_found = True
    one, other = branching.build("ios"), branching.build("ios")
    for build in (one, other):
        run_effect(trigger_of(build).pk)
        retried(build)
        assert polled(build, 3).number == 2
    body = {"buildNumber": 2, "status": "FAILURE", "buildUrl": fresh(other).url}
    assert deliver(one, body).build_id == other.pk
    assert (fresh(one).status, fresh(other).status) == ("RUNNING", "FAILURE")
    alien = {**body, "buildUrl": f"{sandbox.url}/jenkins/job/ios-prod/2/"}
    assert deliver(one, alien).state == "ORPHAN"
    assert deliver(one, {"buildNumber": 2, "status": "SUCCESS"}).state == "UNMATCHED"


def test_a_report_of_a_foreign_build_has_the_job_of_the_branch_asked(
    branching: Wired, sandbox: Any
) -> None:
    release = branching.release("ios")
    part = release.pipelines.get()
    page = f"{sandbox.url}/jenkins{part.job_path}/7/"
    body = {"buildNumber": 7, "status": "SUCCESS", "buildUrl": page}
    assert deliver(branching.pipelines["ios"], body).state == "UNMATCHED"
    assert fresh(part).look_at is not None


def test_a_branch_that_was_never_run_is_not_built_without_a_version(
    branching: Wired, jenkins: Any
) -> None:
    jenkins.job("app").builds_found = False
    build = branching.build("ios")
    run_effect(trigger_of(build).pk)
    assert retried(build).last_error_code == "first_run_missing"
    assert not jenkins.builds_of("app/release%2F1.5.1")
    jenkins.enqueue(jenkins.job("app/release%2F1.5.1"), {}, user="priya", delay=0)
    assert retried(build).state == "DONE"


@pytest.mark.parametrize("branch", ["é" * 60, "hid\u200bden"])
def test_a_branch_that_no_job_can_be_named_after_is_refused(branching: Wired, branch: str) -> None:
    with pytest.raises(ValidationError) as release:
        branching.release("ios", branch=branch)
    assert list(release.value.message_dict) == ["branch"]
    with pytest.raises(ValidationError) as test:
        start_test(pipeline=branching.pipelines["ios"], actor=None, version="1.0", branch=branch)
    assert list(test.value.message_dict) == ["branch"]


def test_a_pipeline_that_follows_no_branch_any_more_uses_its_job(branching: Wired) -> None:
    pipeline = branching.pipelines["ios"]
    pipeline.job = "/job/ios-prod"
    pipeline.save()
    branching.pipelines["ios"] = verify(pipeline, actor=None)
    assert branching.build("ios").job_path == "/job/ios-prod"
