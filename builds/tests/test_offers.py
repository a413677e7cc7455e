"""Builds that somebody started on the CI server for a release's branch: offered, and adopted by a
person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.adopting import adopt_offer
from builds.cancelling import cancel_build, cancel_release
from builds.models import Build
from builds.offers.finding import due, look
from builds.testbuilds.operations import start_test
from builds.tests.delivering import deliver, store_delivery
from builds.tests.polling import lost, polled
from builds.triggering import trigger_builds
from builds.webhooks.deliveries import apply_delivery
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from delivr.tenants.models import Role
from delivr.tests.factories import PipelineFactory, TenantFactory
from delivr.tests.wired import Wired, fresh, trigger_of, wire, wire_actions, wire_pipelines
from integrations.verification import verify
from releases.models import Release, ReleasePipeline
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
BRANCH = "release/1.5.0"
WIRE = {"JENKINS": wire, "GITHUB_ACTIONS": wire_actions, "GITLAB_CI": wire_pipelines}


@dataclass
class Server:
    """A CI server of the sandbox, on which somebody starts builds by hand."""

    kind: str
    wired: Wired
    state: Any

    def __post_init__(self) -> None:
        if self.kind == "GITLAB_CI":  # this stand-in does not create branches that are built
            projects = self.state.gitlab
            project = projects.find(accounts.GITLAB_PROJECT)
            sha = projects.commit(project, project.default_branch)
            projects.create_ref(project, f"refs/heads/{BRANCH}", sha)

    def start(self, *, branch: str = BRANCH, version: str = "1.5.1", **extra: str) -> int:
        with self.state.lock:
            number = self._start(branch, version, extra)
        self.state.advance(1)
        return number

    def _start(self, branch: str, version: str, extra: dict[str, str]) -> int:
        if self.kind == "JENKINS":
            job = self.state.jenkins.job("ios-prod")
            given = {"VERSION": version, "BRANCH": branch, **extra}
            self.state.jenkins.enqueue(job, given, user="priya", delay=0)
            return int(job.next_number) - 1
        if self.kind == "GITLAB_CI":
            return self._start_pipeline(branch, version)
        workflow = self.state.actions.workflows["ios.yml"]
        repository = self.state.github.find("dream11", "app")
        inputs = {"version": version, "track": "internal"}
        run = self.state.actions.start(workflow, repository, branch, inputs=inputs, actor="priya")
        return int(run.number)

    def _start_pipeline(self, branch: str, version: str) -> int:
        project = self.state.gitlab.find(accounts.GITLAB_PROJECT)
        inputs = {"version": version}
        made = self.state.pipelines.create(
            project, branch, inputs=inputs, source="web", user="priya"
        )
        return int(made.id)

    def finish(self, number: int, *, ok: bool = True) -> None:
        if self.kind == "JENKINS":
            self.state.jenkins.finish("ios-prod", number, "SUCCESS" if ok else "FAILURE")
        elif self.kind == "GITLAB_CI":
            pipeline = self.state.pipelines.pipelines[number]
            self.state.pipelines.finish(pipeline, "success" if ok else "failed")
        else:
            run = self.state.actions.numbered("ios.yml", number)
            self.state.actions.finish(run, "success" if ok else "failure")

    def offer_id(self, number: int) -> str:
        if self.kind == "JENKINS":
            return str(number)
        if self.kind == "GITLAB_CI":
            return f"{number}/1"
        return f"{self.state.actions.numbered('ios.yml', number).id}/1"


@pytest.fixture(params=list(WIRE))
def server(request: Any, tenant: Any, sandbox: Any) -> Server:
    return Server(request.param, WIRE[request.param](tenant, sandbox.url), sandbox.state)


@pytest.fixture
def jenkins(tenant: Any, sandbox: Any) -> Server:
    return Server("JENKINS", wire(tenant, sandbox.url), sandbox.state)


def release_of(server: Server, **kwargs: Any) -> Release:
    return server.wired.release("ios", branch=BRANCH, **kwargs)


def looked(release: Release) -> list[dict[str, Any]]:
    """What is offered for its pipeline after the CI server was asked."""
    ReleasePipeline.objects.filter(release=release).update(look_at=timezone.now())
    [part_id] = due()
    look(part_id)
    found: list[dict[str, Any]] = release.pipelines.get().offers
    return found


def adopt(server: Server, release: Release, number: int) -> Build:
    return adopt_offer(
        release=release,
        pipeline_id=release.pipelines.get().pipeline_id,
        offer_id=server.offer_id(number),
        actor=None,
    )


def test_a_build_for_the_branch_is_offered_and_completes_the_release(server: Server) -> None:
    release = release_of(server, slack=True)
    server.start(branch="main")
    number = server.start()
    [offer] = looked(release)
    assert (offer["id"], offer["number"]) == (server.offer_id(number), number)
    assert (offer["foundBy"], offer["status"], offer["branch"]) == ("OUTSIDE", "RUNNING", BRANCH)
    assert offer["startedBy"] in ("priya", "Priya Nair")
    assert len(offer["commit"]) == 40
    assert (Build.objects.count(), fresh(release).status) == (0, "KICKOFF_PENDING")
    build = adopt(server, release, number)
    assert (build.attempt, fresh(build).status, fresh(build).number) == (1, "RUNNING", number)
    assert fresh(release).status == "BUILDING"
    assert release.pipelines.get().offers == []
    server.finish(number)
    assert polled(build).status == "SUCCESS"
    assert fresh(release).status == "BUILD_COMPLETE"
    assert AuditEvent.objects.get(action="build.adopted").subject_id == build.pk


def test_a_build_that_ended_well_is_adopted_as_it_is(server: Server) -> None:
    release = release_of(server)
    number = server.start()
    server.finish(number)
    assert [offer["status"] for offer in looked(release)] == ["SUCCESS"]
    assert fresh(adopt(server, release, number)).artifacts
    assert fresh(release).status == "BUILD_COMPLETE"
    with pytest.raises(Conflict) as caught:
        adopt(server, release, number)
    assert caught.value.code == "already_built"


def test_what_is_not_for_the_release_is_not_offered(server: Server) -> None:
    release = release_of(server)
    server.start(branch="main")
    server.finish(server.start(), ok=False)
    assert looked(release) == []
    server.finish(server.start())
    Release.objects.update(created_at=timezone.now() + timedelta(hours=1))
    assert looked(release) == []


def test_a_build_that_was_told_otherwise_is_not_offered(jenkins: Server) -> None:
    release = release_of(jenkins)
    jenkins.start(version="1.6.0")
    jenkins.start(DELIVR_BUILD_ID="bld_of_another_workspace")
    assert looked(release) == []


def test_where_no_branch_is_told_the_checkout_counts(jenkins: Server) -> None:
    release = release_of(jenkins)
    number = jenkins.start()
    del jenkins.state.jenkins.build("ios-prod", number).parameters["VERSION"]
    row = jenkins.state.jenkins.build("ios-prod", number)
    row.parameters.pop("BRANCH")
    assert looked(release) == []  # it checked out main then


def test_our_own_builds_are_not_offered(server: Server) -> None:
    ours, other = release_of(server), release_of(server)
    [build] = trigger_builds(release=ours, actor=None)
    run_effect(trigger_of(build).pk)
    assert polled(build, 3).number
    pipeline = verify(server.wired.pipelines["ios"])
    start_test(pipeline=pipeline, actor=None, version=other.version, branch=BRANCH)
    run_effect(Effect.objects.get(kind="build.test").pk)
    Build.objects.update(parameters={})  # nothing but its number and id tells that it is ours
    assert looked(other) == []


def test_of_two_releases_one_can_have_it(server: Server) -> None:
    first, second = release_of(server), release_of(server)
    Release.objects.update(version="1.5.1")
    number = server.start()
    assert looked(first)
    assert looked(second)
    adopt(server, first, number)
    with pytest.raises(ValidationError) as caught:
        adopt(server, second, number)
    assert f"#{number} belongs to release" in str(caught.value)
    assert looked(second) == []


# --- Beside a build of delivr ---------------------------------------------------------------------


def test_beside_a_build_in_progress_nothing_is_offered(server: Server) -> None:
    release = release_of(server)
    number = server.start()
    assert looked(release)
    [build] = trigger_builds(release=release, actor=None)
    with pytest.raises(Conflict) as caught:
        adopt(server, release, number)
    assert caught.value.code == "build_in_progress"
    cancel_build(build=build, actor=None)
    Build.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    adopted = adopt(server, release, number)
    assert (adopted.attempt, adopted.candidate, fresh(build).status) == (2, 1, "CANCELLED")


def test_after_a_failure_it_is_the_next_attempt(server: Server) -> None:
    release = release_of(server)
    [build] = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    failed = polled(build, 3)
    server.finish(failed.number, ok=False)
    number = server.start()
    build = polled(build)
    [offer] = release.pipelines.get().offers
    assert (build.status, offer["number"], offer["foundBy"]) == ("FAILURE", number, "OUTSIDE")
    later = adopt(server, release, number)
    assert (later.attempt, fresh(later).status, fresh(build).status) == (2, "RUNNING", "FAILURE")
    assert fresh(trigger_of(build)).result["number"] == number
    server.finish(number)
    polled(later)
    assert fresh(release).status == "BUILD_COMPLETE"


def test_in_place_of_a_lost_build(jenkins: Server) -> None:
    release = release_of(jenkins)
    [build] = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    jenkins.state.jenkins.delete_build("ios-prod", polled(build, 3).number)
    assert lost(build).status == "LOST"
    number = jenkins.start()
    assert [offer["number"] for offer in looked(release)] == [number]
    assert adopt(jenkins, release, number).pk == build.pk
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", number)


@pytest.mark.parametrize("kind", ["JENKINS", "GITHUB_ACTIONS"])
def test_a_lost_answer_shows_what_it_may_have_started(
    tenant: Any, sandbox: Any, kind: str, django_capture_on_commit_callbacks: Any
) -> None:
    """The job does not pass on our id, so that the builds cannot be told apart."""
    make, job = {
        "JENKINS": (wire, "/job/ios-no-build-id"),
        "GITHUB_ACTIONS": (wire_actions, "nightly.yml"),
    }[kind]
    wired = make(tenant, sandbox.url, {"ios": job, "android": job})
    release = wired.release("ios", "android", branch="release/2.0.0")
    path = "*/dispatches" if kind == "GITHUB_ACTIONS" else "*/buildWithParameters"
    sandbox.state.faults.add("drop_after", method="POST", path=path, count=2)
    builds = trigger_builds(release=release, actor=None)
    long_ago = timezone.now() - timedelta(minutes=10)
    for build in builds:
        run_effect(trigger_of(build).pk)
    for build in builds:
        IntegrationHealth.objects.all().delete()
        Effect.objects.filter(pk=trigger_of(build).pk).update(
            next_at=long_ago, dispatched_at=long_ago
        )
        with django_capture_on_commit_callbacks(execute=True):
            run_effect(trigger_of(build).pk)
        assert fresh(trigger_of(build)).last_error_code == "cannot_correlate"
    sandbox.state.advance(20)
    assert ReleasePipeline.objects.filter(look_at=None).count() == 0
    ReleasePipeline.objects.update(look_at=timezone.now())
    for part_id in due():
        look(part_id)
    for part in release.pipelines.all():
        assert {offer["foundBy"] for offer in part.offers} == {"TRIGGER"}
        assert len(part.offers) == 2
    part = release.pipelines.first()
    chosen = part.offers[0]["id"]
    adopted = adopt_offer(
        release=release, pipeline_id=part.pipeline_id, offer_id=chosen, actor=None
    )
    assert adopted.pk == part.builds.get().pk
    assert fresh(trigger_of(adopted)).state == "DONE"


# --- Webhooks -------------------------------------------------------------------------------------


def test_a_report_of_a_foreign_build_has_the_server_asked(jenkins: Server) -> None:
    release = release_of(jenkins)
    number = jenkins.start()
    jenkins.finish(number)
    report = {"buildNumber": number, "status": "SUCCESS", "artifactUrl": "s3://builds/app.ipa"}
    delivery = deliver(jenkins.wired.pipelines["ios"], report)
    assert delivery.state == "UNMATCHED"
    part = release.pipelines.get()
    assert part.look_at is not None
    type(delivery).objects.update(state="ORPHAN")
    look(str(part.pk))
    build = adopt(jenkins, release, number)
    assert (fresh(delivery).state, fresh(delivery).build_id) == ("APPLIED", build.pk)
    assert polled(build).artifact_url == "s3://builds/app.ipa"  # a number alone is confirmed first


def test_reports_without_a_branch_have_all_releases_looked_for_once_a_minute(
    jenkins: Server,
) -> None:
    releases = [release_of(jenkins) for _n in range(3)]
    parts: Any = ReleasePipeline.objects.filter(release__in=releases)

    def waits() -> list[float]:
        """Seconds until each is looked for, after one more report."""
        parts.update(look_at=None)
        deliver(
            jenkins.wired.pipelines["ios"], {"buildNumber": jenkins.start(), "status": "STARTED"}
        )
        return [(part.look_at - timezone.now()).total_seconds() for part in parts]

    assert max(waits()) < 5
    assert min(waits()) > 30


def test_two_pipelines_of_one_job_cannot_both_have_it(jenkins: Server) -> None:
    wired = jenkins.wired
    twin = PipelineFactory(
        tenant=wired.tenant,
        scm=wired.scm,
        target=wired.targets["ios"],
        server_url=wired.pipelines["ios"].server_url,
        username=accounts.JENKINS_USER,
        api_token=accounts.JENKINS_API_TOKEN,
        job=wired.pipelines["ios"].job,
    )
    first = release_of(jenkins)
    wired.pipelines["ios"] = twin
    second = release_of(jenkins)
    Release.objects.update(version="1.5.1")
    number = jenkins.start()
    assert looked(first)
    assert looked(second)
    adopt(jenkins, first, number)
    with pytest.raises(ValidationError) as caught:
        adopt(jenkins, second, number)
    assert f"#{number} belongs to release" in str(caught.value)
    assert looked(second) == []


def test_a_report_of_another_branch_has_nobody_asked(tenant: Any, sandbox: Any) -> None:
    wired = wire_actions(tenant, sandbox.url)
    release = wired.release("ios", branch=BRANCH)
    for branch, is_asked in (("main", False), (BRANCH, True)):
        run = {"id": 7, "run_attempt": 1, "head_branch": branch, "path": "ios.yml"}
        body = {"action": "requested", "workflow_run": run}
        delivery = store_delivery(wired.pipelines["ios"], body)
        type(delivery).objects.update(event="workflow_run")
        apply_delivery(delivery.pk)
        assert (release.pipelines.get().look_at is not None) is is_asked


def test_an_event_of_a_pipeline_has_its_branch_asked(tenant: Any, sandbox: Any) -> None:
    wired = wire_pipelines(tenant, sandbox.url)
    release = wired.release("ios", branch=BRANCH)
    for source, branch, is_asked in (
        ("push", BRANCH, False),
        ("web", "main", False),
        ("web", BRANCH, True),
    ):
        about = {"id": 7, "source": source, "ref": branch, "status": "running"}
        body = {"object_kind": "pipeline", "object_attributes": about}
        apply_delivery(store_delivery(wired.pipelines["ios"], body).pk)
        assert (release.pipelines.get().look_at is not None) is is_asked


def test_a_release_that_takes_no_build_is_left_alone(jenkins: Server) -> None:
    release = release_of(jenkins)
    number = jenkins.start()
    assert looked(release)
    cancel_release(release=release, actor=None)
    with pytest.raises(Conflict) as caught:
        adopt(jenkins, release, number)
    assert caught.value.code == "release_cancelled"
    ReleasePipeline.objects.update(look_at=None)
    deliver(jenkins.wired.pipelines["ios"], {"buildNumber": number, "status": "SUCCESS"})
    assert ReleasePipeline.objects.filter(look_at=None).count() == 1


def test_a_server_that_does_not_answer_is_asked_again(jenkins: Server) -> None:
    release = release_of(jenkins)
    jenkins.state.faults.add("status", provider="jenkins", status=500, count=1)
    assert looked(release) == []
    assert release.pipelines.get().look_at > timezone.now() + timedelta(minutes=1)
    assert IntegrationHealth.objects.get().failures == 1


# --- Page and API ---------------------------------------------------------------------------------


def test_page_and_api_offer_it_and_an_admin_adopts_it(
    server: Server, tenant: Any, api_for: Any, as_role: Any
) -> None:
    release = release_of(server)
    number = server.start()
    looked(release)
    address, pipeline = f"/api/v1/releases/{release.pk}", server.wired.pipelines["ios"]
    offer = api_for(tenant).get(address).json()["pipelines"][0]["offers"][0]
    assert (offer["buildNumber"], offer["sameCommit"]) == (number, None)
    admin = as_role(Role.ADMIN)
    page = admin.get(f"/releases/{release.pk}").content.decode()
    assert "cannot tell whether it built the newest commit" in page
    Release.objects.update(branch_commit="f" * 40)
    page = admin.get(f"/releases/{release.pk}").content.decode()
    assert "It did not build the newest commit of the branch, which is fffffff." in page
    Release.objects.update(branch_commit=offer["commit"])
    page = as_role(Role.MEMBER).get(f"/releases/{release.pk}").content.decode()
    assert f"Started on {pipeline.kind_label}, not by delivr:" in page
    assert "the newest of the branch" in page
    assert f"Adopt #{number}" not in page
    body = {"pipelineId": pipeline.pk, "offerId": offer["id"]}
    assert api_for(tenant, Role.MEMBER).post(f"{address}/adopt", body).status_code == 403
    assert api_for(TenantFactory(), Role.OWNER).post(f"{address}/adopt", body).status_code == 404
    api = api_for(tenant, Role.ADMIN)
    refused = api.post(f"{address}/adopt", {**body, "offerId": "9999"})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["offerId"])
    assert Build.objects.count() == 0
    form = {"pipeline": pipeline.pk, "offer": offer["id"]}
    shown = admin.post(f"/releases/{release.pk}/adopt", form, follow=True).content.decode()
    assert f"#{number} is adopted." in shown
    assert "adopted by" in shown
    again = api.post(f"{address}/adopt", body)
    assert (again.status_code, again.json()["code"]) == (409, "build_in_progress")
