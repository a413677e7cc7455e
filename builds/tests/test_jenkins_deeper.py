"""What a Jenkins does beside building: unstable ends, questions to people, a shutdown, and the jobs
that a multibranch project has for each branch."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build
from builds.testbuilds.operations import apply_test_update, start_test
from builds.tests.delivering import deliver
from builds.tests.polling import polled, running
from builds.updates.apply import BuildUpdate, Source
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of
from integrations.providers.ci import BuildStatus
from integrations.verification import verify
from releases.blockers import blockers
from releases.models import Release

pytestmark = pytest.mark.django_db

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
