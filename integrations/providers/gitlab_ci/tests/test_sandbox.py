"""The provider against the stand-in, over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildRequest, BuildStatus, Duplicate
from integrations.providers.gitlab_ci.fields import CHECKS
from integrations.providers.gitlab_ci.pipelines import MOST_OF_BRANCH
from integrations.providers.gitlab_ci.provider import GitLabCi
from sandbox import accounts, ci_files
from sandbox.server import SandboxServer

BRANCH = "develop"


@pytest.fixture
def gitlab(sandbox: SandboxServer) -> Any:
    def make(text: str = "", **changes: Any) -> GitLabCi:
        if text:
            sandbox.state.pipelines.files[4201].text = text
        given = {
            "repository_url": f"{sandbox.url}/gitlab/{accounts.GITLAB_PROJECT}",
            "access_token": accounts.GITLAB_TOKEN,
            "server": f"{sandbox.url}/gitlab",
            "hook_path": "/webhooks/gitlab/pipeline_gitlabci_x",
        }
        return GitLabCi(**{**given, **changes})

    return make


def wanted(build_id: str = "bld_one", *, branch: str = BRANCH, **own: str) -> BuildRequest:
    ours = {"VERSION": "1.5.0", "BRANCH": branch, "DELIVR_BUILD_ID": build_id}
    return BuildRequest(
        build_id=build_id,
        version="1.5.0",
        branch=branch,
        platform="IOS",
        parameters={**own, **ours},
    )


def a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def read(provider: GitLabCi, state: Any, build_id: str = "bld_one") -> Any:
    return provider.read(BuildHandle(external_id=state.external_id), build_id=build_id)


def pipeline_of(sandbox: SandboxServer, state: Any) -> Any:
    return sandbox.state.pipelines.pipelines[state.number]


def refusal(provider: GitLabCi, request: BuildRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        provider.trigger(request)
    return caught.value


def failures(provider: GitLabCi) -> dict[str, str]:
    return {check.name: check.code for check in provider.verify() if not check.ok}


def posts(sandbox: SandboxServer) -> int:
    return sandbox.state.requests.count("gitlab", "POST", "*/pipeline")


# --- Verification ---------------------------------------------------------------------------------


def test_a_project_is_checked(gitlab: Any) -> None:
    checks = gitlab().verify()
    assert {c.name: c.code for c in checks if not c.ok} == {}
    names = [check.name for check in checks]
    assert set(names) <= CHECKS.keys()
    assert names[-5:] == ["version", "ci_file", "parameters", "correlation", "webhook"]
    assert gitlab(ci_files.WITH_VARIABLES).verify()[-1].tested is False  # it has no webhook yet


@pytest.mark.parametrize(
    ("text", "parameters", "found"),
    [
        (ci_files.WITH_INPUTS, {"track": "alpha", "nothing": "x"}, "inputs_refused"),
        (ci_files.WITH_VARIABLES, {"a-b": "x"}, "variables_refused"),
        ("spec: [", {}, "ci_file_unreadable"),
    ],
)
def test_what_would_be_refused_fails_the_verification(
    gitlab: Any, text: str, parameters: dict[str, str], found: str
) -> None:
    assert list(failures(gitlab(text, parameters=parameters)).values()) == [found]


def test_what_cannot_run_pipelines_is_told(sandbox: SandboxServer, gitlab: Any) -> None:
    project = sandbox.state.gitlab.projects[4201]
    assert failures(gitlab(access_token=accounts.GITLAB_REPORTER_TOKEN)) == {
        "permission": "no_push"
    }
    assert failures(gitlab(access_token=accounts.GITLAB_READ_TOKEN)) == {
        "permission": "missing_scope"
    }
    sandbox.state.gitlab.version = "13.12.1"
    assert failures(gitlab()) == {"version": "too_old"}
    sandbox.state.gitlab.version = "17.9.0"
    assert failures(gitlab()) == {"ci_file": "too_old_for_inputs"}
    sandbox.state.pipelines.files[4201].texts["main"] = None
    assert failures(gitlab()) == {"ci_file": "ci_file_missing"}
    project.builds_enabled = False
    assert failures(gitlab()) == {"ci_file": "ci_disabled"}


def test_a_ci_file_elsewhere_is_read_there(sandbox: SandboxServer, gitlab: Any) -> None:
    sandbox.state.gitlab.projects[4201].ci_config_path = ".gitlab-ci.yml@dream11/backend"
    assert gitlab().parameters() is None  # dream11/backend takes variables
    sandbox.state.gitlab.projects[4201].ci_config_path = "https://ci.example.com/app.yml"
    assert gitlab().parameters() is None


def test_inputs_are_parameters(gitlab: Any) -> None:
    found = {one.name: one for one in gitlab().parameters()}
    assert set(found) >= {"version", "delivr_build_id", "track", "upload"}
    assert (found["upload"].kind, found["upload"].default) == ("boolean", "false")
    assert found["track"].choices == ("internal", "production")


def test_a_webhook_that_gitlab_switched_off_is_told(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    api = sandbox.state.pipelines
    from sandbox.project_hooks import ProjectHook

    hook = ProjectHook(701, 4201, "https://delivr.example.com/api/v1/webhooks/gitlab/pipeline_x")
    api.hooks[701] = hook
    assert provider.verify()[-1].tested is False  # another pipeline's
    hook.url = f"https://delivr.example.com/api/v1{provider._hook_path}"
    assert provider.verify()[-1].tested
    hook.pipeline_events = False
    assert failures(provider) == {"webhook": "no_pipeline_events"}
    for _n in range(4):
        hook.answered(401, sandbox.state.clock())
    [check] = [c for c in provider.verify() if not c.ok]
    assert (check.code, check.level) == ("webhook_switched_off", Level.WARNING)
    assert "switched the project's webhook off until 20" in check.message
    hidden = gitlab(access_token=accounts.GITLAB_DEVELOPER_TOKEN).verify()[-1]
    assert (hidden.name, hidden.tested) == ("webhook", False)


# --- Trigger --------------------------------------------------------------------------------------


def test_inputs_are_sent_in_their_types(sandbox: SandboxServer, gitlab: Any) -> None:
    own = {"track": "production", "UPLOAD": "True", "level": "3", "markets": '["in", "uk"]'}
    state = gitlab().trigger(wanted(**own))
    made = pipeline_of(sandbox, state)
    assert made.inputs == {
        "version": "1.5.0",
        "delivr_build_id": "bld_one",
        "track": "production",
        "upload": True,
        "level": 3,
        "markets": ["in", "uk"],
    }
    assert made.variables == {}  # the name carries our id
    assert made.name == "Build 1.5.0 bld_one"
    assert (state.external_id, state.status) == (f"{made.id}/1", BuildStatus.QUEUED)
    assert state.url == f"{sandbox.url}/gitlab/dream11/mobile/app/-/pipelines/{made.id}"


def test_variables_are_sent_where_no_inputs_are_declared(
    sandbox: SandboxServer, gitlab: Any
) -> None:
    state = gitlab(ci_files.WITH_VARIABLES).trigger(wanted(TRACK="beta"))
    assert pipeline_of(sandbox, state).variables == {
        "TRACK": "beta",
        "VERSION": "1.5.0",
        "BRANCH": BRANCH,
        "DELIVR_BUILD_ID": "bld_one",
    }


UNNAMED = ci_files.WITH_INPUTS.replace(" $[[ inputs.delivr_build_id ]]", "")


def test_our_id_is_a_variable_where_no_name_tells_it(sandbox: SandboxServer, gitlab: Any) -> None:
    state = gitlab(UNNAMED).trigger(wanted())
    assert pipeline_of(sandbox, state).variables == {"DELIVR_BUILD_ID": "bld_one"}
    project = sandbox.state.gitlab.projects[4201]
    project.variables_role = "no_one_allowed"
    assert failures(gitlab()) == {"correlation": "no_build_id"}
    assert pipeline_of(sandbox, gitlab().trigger(wanted("bld_two"))).variables == {}
    developer = gitlab(access_token=accounts.GITLAB_DEVELOPER_TOKEN)  # not told the role
    before = posts(sandbox)
    assert pipeline_of(sandbox, developer.trigger(wanted("bld_three"))).variables == {}
    assert posts(sandbox) == before + 2  # once with our id, once without


def test_forbidden_variables_are_told_before_and_after(sandbox: SandboxServer, gitlab: Any) -> None:
    sandbox.state.gitlab.projects[4201].variables_role = "owner"
    error = refusal(gitlab(ci_files.WITH_VARIABLES), wanted())
    assert (error.code, error.outcome, posts(sandbox)) == (
        "variables_forbidden",
        Outcome.REFUSED,
        0,
    )
    developer = gitlab(access_token=accounts.GITLAB_DEVELOPER_TOKEN)
    assert (refusal(developer, wanted()).code, posts(sandbox)) == ("variables_forbidden", 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": ci_files.ONLY_PUSHED}, "no_jobs"),
        ({"branch": "main", "access_token": accounts.GITLAB_DEVELOPER_TOKEN}, "branch_protected"),
        ({"own": {"track": "alpha"}}, "inputs_refused"),
    ],
)
def test_refusals_are_told_in_words(gitlab: Any, changes: dict[str, Any], code: str) -> None:
    request = wanted(branch=changes.pop("branch", BRANCH), **changes.pop("own", {}))
    error = refusal(gitlab(changes.pop("text", ""), **changes), request)
    assert (error.code, error.outcome) == (code, Outcome.REFUSED)
    assert error.hint


def test_a_role_that_may_not_run_pipelines_needs_a_person(gitlab: Any) -> None:
    error = refusal(gitlab(access_token=accounts.GITLAB_REPORTER_TOKEN), wanted())
    assert (error.code, error.outcome) == ("no_push", Outcome.CREDENTIALS)


# --- Found again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ci_files.WITH_INPUTS, ci_files.WITH_VARIABLES, UNNAMED])
def test_a_lost_answer_is_found_by_our_id(sandbox: SandboxServer, gitlab: Any, text: str) -> None:
    provider = gitlab(text)
    assert provider.find(wanted(), since=a_minute_ago()) is None
    provider.trigger(wanted("bld_other"))
    sandbox.state.faults.add("drop_after", provider="gitlab", method="POST", count=1)
    assert refusal(provider, wanted()).outcome is Outcome.UNCERTAIN
    found = provider.find(wanted(), since=a_minute_ago())
    assert found.carried_id == "bld_one"
    assert pipeline_of(sandbox, found).build_id == "bld_one"
    assert provider.find(wanted("bld_two"), since=a_minute_ago()) is None
    [listed] = provider.find_all(build_id="bld_one", since=a_minute_ago())
    assert listed.external_id == found.external_id
    assert provider.read(BuildHandle(), build_id="bld_one").number == found.number


def test_without_our_id_one_is_taken_and_of_several_a_person_chooses(
    sandbox: SandboxServer, gitlab: Any
) -> None:
    sandbox.state.gitlab.projects[4201].variables_role = "no_one_allowed"
    provider = gitlab(UNNAMED)
    project = sandbox.state.gitlab.projects[4201]
    sandbox.state.pipelines.create(project, BRANCH, inputs={"version": "1"}, user="priya")
    assert provider.find(wanted(), since=a_minute_ago()) is None  # somebody else's
    made = provider.trigger(wanted())
    assert provider.find(wanted(), since=a_minute_ago()).number == made.number
    provider.trigger(wanted("bld_two"))
    with pytest.raises(ProviderError) as caught:
        provider.find(wanted(), since=a_minute_ago())
    assert caught.value.code == "cannot_correlate"


def test_a_duplicate_is_stopped_and_a_persons_is_not(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    first, second = provider.trigger(wanted()), provider.trigger(wanted())
    handle = BuildHandle(external_id=second.external_id)
    assert provider.duplicate(handle, build_id="bld_one") is None
    assert provider.stop_duplicate(handle, build_id="bld_one") is Duplicate.STOPPED
    assert provider.duplicate(handle, build_id="bld_one") is Duplicate.STOPPED
    assert read(provider, first).status is BuildStatus.RUNNING
    pipeline_of(sandbox, first).source = "web"
    foreign = BuildHandle(external_id=first.external_id)
    assert provider.stop_duplicate(foreign, build_id="bld_one") is Duplicate.FOREIGN


# --- States ---------------------------------------------------------------------------------------


def test_a_pipeline_is_followed_to_its_end(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    sandbox.state.pipelines.runners_work = False
    state = provider.trigger(wanted())
    waiting = read(provider, state)
    assert (waiting.status, waiting.started_at) == (BuildStatus.QUEUED, None)
    assert waiting.queue_reason == "No runner has taken “build” yet."
    sandbox.state.pipelines.runners_work = True
    sandbox.state.advance(5)
    assert read(provider, state).status is BuildStatus.RUNNING
    sandbox.state.advance(90)
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
    ended = read(provider, state)
    assert (ended.status, ended.duration_ms) == (
        BuildStatus.SUCCESS,
        pytest.approx(90_000, abs=2e3),
    )
    assert (ended.commit, ended.carried_id) == (pipeline_of(sandbox, state).sha, "bld_one")
    [artifact] = ended.artifacts
    assert (artifact.name, artifact.size) == ("build (artifacts.zip)", 48_234_112)
    assert artifact.expires_at is not None
    download = provider.artifact(BuildHandle(external_id=state.external_id), artifact.url)
    assert b"".join(download).startswith(b"PK")
    download.close()


def test_files_on_another_host_are_fetched_without_our_token(
    sandbox: SandboxServer, gitlab: Any
) -> None:
    """The stand-in's storage refuses whoever sends one."""
    provider = gitlab(ci_files.WITH_VARIABLES)
    bodies = []
    for _n in range(2):  # of even jobs the files are elsewhere
        state = provider.trigger(wanted())
        sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
        [artifact] = read(provider, state).artifacts
        download = provider.artifact(BuildHandle(), artifact.url)
        bodies.append(b"".join(download))
        download.close()
    assert bodies[0] == bodies[1] != b""
    assert sandbox.state.actions.links


def test_a_manual_job_is_waited_for(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab(ci_files.MANUAL)
    state = provider.trigger(wanted())
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
    waiting = read(provider, state)
    assert waiting.status is BuildStatus.WAITING
    assert (
        waiting.queue_reason == "Waits until somebody starts “approve” in GitLab (stage publish)."
    )
    [job] = [j for j in pipeline_of(sandbox, state).now if j.status == "manual"]
    sandbox.state.pipelines.play(job, user="priya")
    assert read(provider, state).status is BuildStatus.RUNNING
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
    assert read(provider, state).status is BuildStatus.SUCCESS


def test_a_resource_group_and_a_delay_are_told(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab(ci_files.EXCLUSIVE)
    provider.trigger(wanted())
    second = read(provider, provider.trigger(wanted("bld_two")), "bld_two")
    assert second.status is BuildStatus.QUEUED
    words = "Another job of the resource group has to end before “build”."
    assert second.queue_reason == words
    provider = gitlab(ci_files.DELAYED)
    state = provider.trigger(wanted("bld_three"))
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
    assert pipeline_of(sandbox, state).status == "scheduled"
    assert read(provider, state, "bld_three").status is BuildStatus.RUNNING


def test_what_an_end_means_is_told(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab(ci_files.OPTIONAL)
    state = provider.trigger(wanted())
    pipeline, engine = pipeline_of(sandbox, state), sandbox.state.pipelines
    engine.end_job(pipeline.now[0], "success")
    engine.settle(engine._shared.clock())
    engine.end_job(pipeline.now[1], "failed")
    sandbox.state.settle()
    ended = read(provider, state)
    assert ended.status is BuildStatus.SUCCESS
    assert ended.queue_reason == "Passed with warnings: “lint” failed, which is allowed."
    pipeline.status = "skipped"
    assert read(provider, state).status is BuildStatus.FAILURE


def test_it_is_canceled(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    state = provider.trigger(wanted())
    pipeline_of(sandbox, state).is_stubborn = True
    handle = BuildHandle(external_id=state.external_id)
    provider.cancel(handle)
    assert pipeline_of(sandbox, state).status == "canceling"
    assert read(provider, state).status is BuildStatus.RUNNING
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state), "canceled")
    assert read(provider, state).status is BuildStatus.ABORTED
    provider.cancel(handle)  # it is over: nothing is sent
    assert sandbox.state.requests.count("gitlab", "POST", "*/cancel") == 1


def test_a_deleted_pipeline_is_gone(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    state = provider.trigger(wanted())
    sandbox.state.pipelines.delete(pipeline_of(sandbox, state))
    assert read(provider, state) is None
    sandbox.state.gitlab.projects[4201].visible = False
    with pytest.raises(ProviderError) as caught:
        read(provider, state)
    assert caught.value.code == "repository_not_found"


# --- Retries --------------------------------------------------------------------------------------


def test_jobs_that_do_not_end_are_ended_by_force(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    state = provider.trigger(wanted())
    pipeline = pipeline_of(sandbox, state)
    pipeline.is_stubborn = True
    provider.force_cancel(state)  # only what was canceled before
    assert pipeline.status == "running"
    provider.cancel(state)
    assert pipeline.status == "canceling"
    with pytest.raises(ProviderError) as caught:
        gitlab(access_token=accounts.GITLAB_DEVELOPER_TOKEN).force_cancel(state)
    assert (caught.value.code, pipeline.status) == ("cannot_cancel", "canceling")
    provider.force_cancel(state)
    assert pipeline.status == "canceled"


def test_inputs_in_other_files_are_told(gitlab: Any) -> None:
    text = ci_files.WITH_INPUTS.replace("spec:\n", "spec:\n  include: [{local: /inputs.yml}]\n", 1)
    assert failures(gitlab(text)) == {"parameters": "inputs_elsewhere"}
    error = refusal(gitlab(text), wanted(shared="x"))
    assert "declares no input shared in the file itself" in error.message


def test_a_retry_is_another_attempt(sandbox: SandboxServer, gitlab: Any) -> None:
    """The pipeline is the same, and its status by then that of the retry."""
    provider, engine = gitlab(ci_files.MANUAL), sandbox.state.pipelines
    state = provider.trigger(wanted())
    pipeline = pipeline_of(sandbox, state)
    sandbox.state.advance(60)
    engine.finish(pipeline, "failed")
    first = read(provider, state)
    assert first.status is BuildStatus.FAILURE
    sandbox.state.advance(60)
    engine.retry(pipeline, user="priya")
    assert read(provider, state).status is BuildStatus.RUNNING  # not over: it may be ours
    sandbox.state.advance(60)
    engine.finish(pipeline)
    engine.play(pipeline.now[-1], user="priya")
    sandbox.state.advance(60)
    engine.finish(pipeline)
    assert pipeline.status == "success"
    again = read(provider, state)
    assert (again.status, again.started_at) == (first.status, first.started_at)
    assert again.duration_ms == pytest.approx(first.duration_ms, abs=5)
    [retry] = provider.retries(
        BuildHandle(external_id=state.external_id), build_id="bld_one", since=a_minute_ago()
    )
    assert (retry.started_by, retry.state.status) == ("priya", BuildStatus.SUCCESS)
    assert retry.state.external_id == f"{pipeline.id}/2"
    assert read(provider, retry.state).status is BuildStatus.SUCCESS
    newest = provider.read(BuildHandle(number=pipeline.id), build_id="")
    assert (newest.external_id, newest.carried_id) == (retry.state.external_id, "bld_one")
    assert provider.is_retry(retry.state, of=state)
    assert not provider.is_retry(BuildHandle(external_id="1/1"), of=state)


def test_pipelines_of_a_branch_are_told_with_who_started_them(
    sandbox: SandboxServer, gitlab: Any
) -> None:
    """In their newest attempts; without those of pushes, and those that ended badly."""
    provider, engine = gitlab(ci_files.WITH_VARIABLES), sandbox.state.pipelines
    project = sandbox.state.gitlab.projects[4201]

    def start(source: str, version: str = "", user: str = "priya") -> Any:
        about = {"source": source, "user": user, "variables": {"VERSION": version}}
        return engine.create(project, BRANCH, **about)

    ours = provider.trigger(wanted())
    retried, failed, _pushed = start("web", "1.5.0"), start("trigger"), start("push")
    sandbox.state.advance(60)
    engine.finish(retried, "failed")
    engine.finish(failed, "failed")
    sandbox.state.advance(60)
    engine.retry(retried, user="ravi")
    found = provider.builds_of(BRANCH, since=a_minute_ago())
    assert [(one.external_id, one.started_by, one.version, one.carried_id) for one in found] == [
        (f"{retried.id}/2", "ravi", "1.5.0", ""),
        (f"{ours.number}/1", pipeline_of(sandbox, ours).user, "1.5.0", "bld_one"),
    ]
    assert {(one.branch, one.commit) for one in found} == {(BRANCH, retried.sha)}
    for _n in range(9):
        start("web")
    assert len(provider.builds_of(BRANCH, since=a_minute_ago())) == MOST_OF_BRANCH
    assert provider.builds_of("main", since=a_minute_ago()) == []


def test_what_gitlab_retries_itself_is_the_same_attempt(
    sandbox: SandboxServer, gitlab: Any
) -> None:
    provider = gitlab(ci_files.RETRIED)
    state = provider.trigger(wanted())
    pipeline, engine = pipeline_of(sandbox, state), sandbox.state.pipelines
    engine.end_job(pipeline.now[0], "failed")
    sandbox.state.advance(30)
    engine.finish(pipeline)
    ended = read(provider, state)
    assert (len(pipeline.jobs), ended.status) == (2, BuildStatus.SUCCESS)
    assert ended.external_id == f"{pipeline.id}/1"


def test_a_persons_retry_is_not_canceled(sandbox: SandboxServer, gitlab: Any) -> None:
    provider, engine = gitlab(), sandbox.state.pipelines
    state = provider.trigger(wanted())
    engine.finish(pipeline_of(sandbox, state), "canceled")
    sandbox.state.advance(60)
    engine.retry(pipeline_of(sandbox, state), user="priya")
    provider.cancel(BuildHandle(external_id=state.external_id))
    assert pipeline_of(sandbox, state).status == "running"


# --- Downstream, logs -----------------------------------------------------------------------------


def test_a_child_pipeline_builds(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab(ci_files.WITH_CHILD)
    state = provider.trigger(wanted())
    assert read(provider, state).status is BuildStatus.RUNNING
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
    ended = read(provider, state)
    assert ended.status is BuildStatus.SUCCESS
    assert [artifact.name for artifact in ended.artifacts] == ["app (artifacts.zip)"]


def test_a_failed_job_tells_why(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab()
    state = provider.trigger(wanted())
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state), "failed")
    tail = provider.log_tail(BuildHandle(external_id=state.external_id))
    assert tail.headlines == ("Job “build” (stage build) failed: one of its commands failed.",)
    assert "Sources/Checkout.swift:118:27: error" in tail.text
    assert "section_" not in tail.text
    assert "00O" not in tail.text


def test_a_failure_downstream_is_followed(sandbox: SandboxServer, gitlab: Any) -> None:
    provider = gitlab(ci_files.WITH_CHILD)
    state = provider.trigger(wanted())
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state), "failed", "runner_system_failure")
    handle = BuildHandle(external_id=state.external_id)
    assert read(provider, state).status is BuildStatus.FAILURE
    tail = provider.log_tail(handle)
    assert tail.headlines == (
        "Job “app” (stage build) in the pipeline that “build” started failed: its runner failed.",
    )
    assert "ARCHIVE FAILED" in tail.text
    sandbox.state.advance(60)
    sandbox.state.pipelines.retry(pipeline_of(sandbox, state), user="priya")
    sandbox.state.pipelines.finish(pipeline_of(sandbox, state))
    assert read(provider, state).status is BuildStatus.FAILURE
    [retry] = provider.retries(handle, build_id="bld_one", since=a_minute_ago())
    assert retry.state.status is BuildStatus.SUCCESS
