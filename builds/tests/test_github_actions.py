"""Builds on GitHub Actions, from the trigger to the release's status, against the sandbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.adopting import adopt_build
from builds.cancelling import cancel_build
from builds.logs.reading import read_log
from builds.models import Build
from builds.testbuilds.operations import start_test
from builds.tests.actions import TRIGGER, again, dispatched, runs, started
from builds.tests.polling import lost, offers, polled
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of, wire_actions
from integrations.models import PipelineIntegration
from integrations.verification import verify
from releases.blockers import blockers
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_actions(tenant, sandbox.url)


@pytest.fixture
def build(wired: Wired) -> Build:
    return started(wired)


def test_a_build_is_triggered_followed_and_complete(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    build = fresh(build)
    [run] = runs(sandbox)
    assert (build.status, build.external_id) == ("QUEUED", f"{run.id}/1")
    assert run.inputs["delivr_build_id"] == build.pk
    build = polled(build)
    assert (build.status, build.number) == ("RUNNING", 57)
    assert build.url.endswith(f"/dream11/app/actions/runs/{run.id}")
    sandbox.state.actions.finish(run)
    build = polled(build)
    assert (build.status, build.poll_at) == ("SUCCESS", None)
    [artifact] = build.artifacts
    assert (artifact["name"], artifact["size"]) == ("ios-app", 48_234_112)
    assert artifact["checksum"].startswith("sha256:")
    assert artifact["expiresAt"]
    assert Release.objects.get().status == "BUILD_COMPLETE"
    sweep_until_idle()
    texts = [message.text for message in sandbox.state.slack.messages]
    assert any("iOS build #57 complete" in text for text in texts)


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after", "html_200"])
def test_a_lost_answer_starts_no_second_run(wired: Wired, sandbox: Any, kind: str) -> None:
    sandbox.state.faults.add(kind, count=1, seconds=0.5, **TRIGGER)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert fresh(trigger_of(build)).dispatched_at is not None
    for _n in range(2):
        again(build)
    assert dispatched(sandbox) == 1
    assert fresh(trigger_of(build)).state == EffectState.DONE
    assert polled(build).status == "RUNNING"


@pytest.mark.parametrize("kind", ["drop_before", "status"])
def test_a_trigger_that_never_arrived_is_sent_again(wired: Wired, sandbox: Any, kind: str) -> None:
    sandbox.state.faults.add(kind, count=1, status=502, **TRIGGER)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert dispatched(sandbox) == 0
    again(build)
    assert (dispatched(sandbox), fresh(trigger_of(build)).state) == (1, EffectState.DONE)


def test_two_runs_that_may_be_the_build_are_left_to_a_person(wired: Wired, sandbox: Any) -> None:
    PipelineIntegration.objects.update(job="nightly.yml")
    release = wired.release("ios", "android", branch="release/2.0.0")
    release.pipelines.update(job_path="nightly.yml")
    for _n in range(2):
        sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    builds = trigger_builds(release=release, actor=None)
    for build in builds:
        run_effect(trigger_of(build).pk)
    assert dispatched(sandbox) == 2
    effects = [again(build) for build in builds]
    assert {(e.state, e.last_error_code) for e in effects} == {("DEAD", "cannot_correlate")}
    assert dispatched(sandbox) == 2
    [first, _second] = runs(sandbox)
    adopt_build(effect=effects[0], number=first.number, actor=None)
    assert fresh(builds[0]).external_id == f"{first.id}/1"


def test_one_run_that_two_builds_may_have_started_is_left_to_a_person(
    wired: Wired, sandbox: Any
) -> None:
    """One dispatch arrived and lost its answer, the other never did."""
    PipelineIntegration.objects.update(job="nightly.yml")
    release = wired.release("ios", "android", branch="release/2.0.0")
    release.pipelines.update(job_path="nightly.yml")
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    sandbox.state.faults.add("timeout", count=1, seconds=0.2, **TRIGGER)
    builds = trigger_builds(release=release, actor=None)
    for build in builds:
        run_effect(trigger_of(build).pk)
    assert dispatched(sandbox) == 1
    assert again(builds[0]).last_error_code == "cannot_correlate"
    assert dispatched(sandbox) == 1


def test_a_single_run_without_our_id_is_adopted(wired: Wired, sandbox: Any) -> None:
    PipelineIntegration.objects.update(job="nightly.yml")
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert (again(build).state, dispatched(sandbox)) == (EffectState.DONE, 1)
    assert fresh(build).external_id == f"{runs(sandbox)[0].id}/1"


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_a_person_decides_about_a_lost_run_without_our_id(
    wired: Wired, sandbox: Any, kind: str
) -> None:
    wired.pipelines["ios"].job = "nightly.yml"
    wired.pipelines["ios"].save()
    sandbox.state.faults.add(kind, count=1, **TRIGGER)
    build = wired.build("ios", branch="release/2.0.0")
    run_effect(trigger_of(build).pk)
    for run in runs(sandbox):
        run.actor = "somebody"  # the token was replaced: GitHub's list tells of another account
    sent = dispatched(sandbox)
    effect = again(build)
    assert (effect.state, effect.last_error_code) == ("DEAD", "cannot_correlate")
    assert dispatched(sandbox) == sent
    retry_effect(effect=effect, actor=None)  # the person saw no run
    run_effect(effect.pk)
    assert dispatched(sandbox) == sent + 1
    assert fresh(build).status == "QUEUED"


def test_an_approval_is_waited_for_in_words(wired: Wired, sandbox: Any) -> None:
    PipelineIntegration.objects.update(job="release.yml")
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    build = polled(build)
    words = "Waiting for priya to approve the environment production."
    assert (build.status, build.queue_reason) == ("WAITING", words)
    [blocker] = blockers(Release.objects.get(), [], [], None, timezone.now())
    assert (blocker.code, words in blocker.message) == ("waiting_for_a_person", True)
    sandbox.state.actions.approve(runs(sandbox)[0])
    assert polled(build).status == "RUNNING"


def test_a_run_that_hangs_is_lost_and_may_be_triggered_again(wired: Wired, sandbox: Any) -> None:
    sandbox.state.actions.hangs = True
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert polled(build).status == "QUEUED"
    [run] = runs(sandbox)
    run.created_at = run.last.created_at = run.created_at - 4000
    build = polled(build)
    assert (build.status, "it is stuck" in build.queue_reason) == ("LOST", True)
    [blocker] = blockers(Release.objects.get(), [], [], None, timezone.now())
    assert "it is stuck" in blocker.message
    sandbox.state.actions.hangs = False
    [second] = trigger_builds(release=Release.objects.get(), actor=None)
    run_effect(trigger_of(second).pk)
    assert polled(second).status == "RUNNING"
    run.has_jobs = True  # the hanging one wakes up: it does not take the newer one's place
    assert (polled(build).status, polled(second).status) == ("LOST", "RUNNING")


def test_a_run_that_github_forgot_is_lost(build: Build, sandbox: Any) -> None:
    runs(sandbox).clear()
    assert lost(build).status == "LOST"


def test_a_re_run_never_overwrites_the_verdict_and_can_be_adopted(
    build: Build, sandbox: Any
) -> None:
    [run] = runs(sandbox)
    sandbox.state.actions.finish(run, "failure")
    assert polled(build).status == "FAILURE"
    sandbox.state.actions.rerun(run, actor="priya")
    sandbox.state.actions.finish(run, "success")
    build = polled(build)
    assert (build.status, build.external_id) == ("FAILURE", f"{run.id}/1")
    [retry] = offers(build)
    assert (retry["number"], retry["startedBy"], retry["commit"]) == (57, "priya", run.commit)
    assert retry["url"].endswith(f"{run.id}/attempts/2")
    adopt_build(effect=trigger_of(build), number=57, actor=None)
    first, second = Build.objects.order_by("attempt")
    assert (first.status, second.status) == ("FAILURE", "SUCCESS")
    assert second.external_id == f"{run.id}/2"
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_why_a_run_failed_is_shown(build: Build, sandbox: Any) -> None:
    sandbox.state.actions.finish(runs(sandbox)[0], "failure")
    build = polled(build)
    read_log(build.pk)
    lines = fresh(build).log_excerpt.split("\n")
    assert lines[0] == "Job “build-ios” failed at step “Build”."
    assert any("Checkout.swift:118:27: error: cannot find" in line for line in lines)


def test_a_cancelled_build_is_stopped_there(build: Build, sandbox: Any) -> None:
    cancel_build(build=build, actor=None)
    run_effect(Effect.objects.get(kind="build.cancel").pk)
    assert runs(sandbox)[0].last.conclusion == "cancelled"


def test_a_trigger_that_arrived_twice_is_stopped(wired: Wired, sandbox: Any) -> None:
    """Its first request comes so late that it was sent again."""
    build = wired.build("ios")
    sandbox.state.faults.add("timeout", count=1, seconds=0.2, **TRIGGER)
    run_effect(trigger_of(build).pk)
    again(build)
    [run] = runs(sandbox)
    state = sandbox.state
    late = state.actions.start(
        state.actions.workflow("ios.yml"),
        state.github.find("dream11", "app"),
        run.branch,
        inputs=dict(run.inputs),
        actor=run.actor,
    )
    assert polled(build).external_id == f"{run.id}/1"
    run_effect(Effect.objects.get(kind="build.stop_repeat").pk)
    assert (run.last.conclusion, late.last.conclusion) == ("", "cancelled")


def test_a_test_build_takes_the_same_way(wired: Wired, sandbox: Any) -> None:
    pipeline = verify(wired.pipelines["ios"])
    assert pipeline.verification_status == "VALID"
    test = start_test(pipeline=pipeline, actor=None, version="0.0.1", branch="main")
    run_effect(Effect.objects.get(kind="build.test").pk)
    assert fresh(test).external_id == f"{runs(sandbox)[0].id}/1"


# --- A run that does not stop ---------------------------------------------------------------------


def stubborn(build: Build, sandbox: Any, *, minutes: int) -> Build:
    """Cancelled so many minutes ago, and asked about since; the run did not react."""
    runs(sandbox)[0].is_stubborn = True
    cancel_build(build=build, actor=None)
    run_effect(Effect.objects.get(kind="build.cancel").pk)
    ago = timezone.now() - timedelta(minutes=minutes)
    Build.objects.filter(pk=build.pk).update(finished_at=ago)
    return polled(build)


def test_a_cancelled_build_is_looked_at_six_minutes_later(build: Build, sandbox: Any) -> None:
    build = stubborn(build, sandbox, minutes=0)
    assert (build.status, build.still_running_at) == ("CANCELLED", None)
    assert build.poll_at >= build.finished_at + timedelta(minutes=6)
    assert Effect.objects.filter(kind="build.cancel").count() == 1


def test_a_run_that_goes_on_may_be_ended_by_force(
    build: Build, sandbox: Any, member_of: Any, client_for: Any
) -> None:
    client = client_for(member_of(build.tenant))
    address = f"/builds/{build.pk}/force-cancel"
    client.post(address)
    assert not Effect.objects.filter(kind="build.force_cancel").exists()
    build = stubborn(build, sandbox, minutes=7)
    assert build.still_running_at is not None
    page = client.get(f"/releases/{build.release_pipeline.release_id}").content.decode()
    assert "it is still running" in page
    assert client.post(address).status_code == 302
    run_effect(Effect.objects.get(kind="build.force_cancel").pk)
    assert runs(sandbox)[0].last.conclusion == "cancelled"
    build = polled(build)
    assert (build.status, build.still_running_at, build.poll_at) == ("CANCELLED", None, None)


def test_a_run_that_stopped_is_not_asked_about_again(build: Build, sandbox: Any) -> None:
    cancel_build(build=build, actor=None)
    run_effect(Effect.objects.get(kind="build.cancel").pk)
    assert fresh(build).poll_at is not None
    build = polled(build)
    assert (build.still_running_at, build.poll_at) == (None, None)


def test_the_api_ends_by_force_only_what_goes_on(build: Build, sandbox: Any, api_for: Any) -> None:
    api = api_for(build.tenant)
    path = f"/api/v1/builds/{build.pk}/force-cancel"
    assert api.post(path).json()["code"] == "not_running_on"
    stubborn(build, sandbox, minutes=7)
    answer = api.post(path)
    assert (answer.status_code, answer.json()["buildStatus"]) == (202, "CANCELLED")
    assert api.post(path).status_code == 409


# --- Files ----------------------------------------------------------------------------------------


@pytest.fixture
def built(build: Build, sandbox: Any) -> Build:
    sandbox.state.actions.finish(runs(sandbox)[0])
    return polled(build)


def test_the_page_links_to_a_fresh_address_of_the_file(
    built: Build, sandbox: Any, member_of: Any, client_for: Any
) -> None:
    client = client_for(member_of(built.tenant))
    key = built.artifacts[0]["key"]
    page = client.get(f"/releases/{built.release_pipeline.release_id}").content.decode()
    assert f"/builds/{built.pk}/artifacts/{key}" in page
    assert "46.0" in page
    assert built.artifacts[0]["checksum"] in page
    answers = [client.get(f"/builds/{built.pk}/artifacts/{key}") for _n in range(2)]
    assert {a.status_code for a in answers} == {302}
    assert len({a["Location"] for a in answers}) == 2
    assert "no-store" in answers[0]["Cache-Control"]
    assert answers[0]["Location"].startswith(f"{sandbox.url}/storage/")


def test_a_file_that_expired_is_told_on_the_page(
    built: Build, sandbox: Any, member_of: Any, client_for: Any
) -> None:
    client = client_for(member_of(built.tenant))
    sandbox.state.advance(91 * 86_400)
    answer = client.get(f"/builds/{built.pk}/artifacts/{built.artifacts[0]['key']}", follow=True)
    assert "expired" in answer.content.decode()


def test_the_api_tells_artifacts_and_their_links(built: Build, sandbox: Any, api_for: Any) -> None:
    api = api_for(built.tenant)
    release = api.get(f"/api/v1/releases/{built.release_pipeline.release_id}").json()
    [artifact] = release["pipelines"][0]["builds"][0]["artifacts"]
    assert (artifact["name"], artifact["size"]) == ("ios-app", 48_234_112)
    assert artifact["expiresAt"]
    path = f"/api/v1/builds/{built.pk}/artifacts/{artifact['key']}"
    assert api.get(path).json()["url"].startswith(f"{sandbox.url}/storage/")
    assert api.get(f"/api/v1/builds/{built.pk}/artifacts/1").status_code == 404
    sandbox.state.advance(91 * 86_400)
    assert api.get(path).json()["code"] == "artifact_gone"
