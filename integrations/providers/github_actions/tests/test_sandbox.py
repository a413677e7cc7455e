"""The provider against the stand-in, over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildRequest, BuildStatus, Duplicate
from integrations.providers.github_actions.memory import LARGEST, Memory
from integrations.providers.github_actions.provider import GitHubActions
from sandbox import accounts
from sandbox.server import SandboxServer

BRANCH = "release/1.5.0"
GIVEN = {"VERSION": "1.5.0", "BRANCH": BRANCH}


@pytest.fixture
def actions(sandbox: SandboxServer) -> Any:
    def make(workflow: str = "ios.yml", **changes: Any) -> GitHubActions:
        given = {
            "repository_url": accounts.GITHUB_REPOSITORY,
            "access_token": accounts.GITHUB_PUSH_TOKEN,
            "workflow": workflow,
        }
        return GitHubActions(**{**given, **changes})

    return make


@pytest.fixture
def enterprise(sandbox: SandboxServer, actions: Any) -> Any:
    """The same, of an Enterprise Server 3.19."""
    return lambda workflow="ios.yml", **changes: actions(
        workflow, repository_url=f"{sandbox.url}/dream11/app", **changes
    )


def wanted(build_id: str = "bld_one", *, branch: str = BRANCH, **own: str) -> BuildRequest:
    return BuildRequest(
        build_id=build_id,
        version="1.5.0",
        branch=branch,
        platform="IOS",
        parameters={**GIVEN, "BRANCH": branch, **own},
    )


def a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def read(provider: GitHubActions, state: Any, build_id: str = "bld_one") -> Any:
    return provider.read(BuildHandle(external_id=state.external_id), build_id=build_id)


def run_of(sandbox: SandboxServer, state: Any) -> Any:
    return sandbox.state.actions.run(int(state.external_id.partition("/")[0]))


def refusal(provider: GitHubActions, request: BuildRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        provider.trigger(request)
    return caught.value


def failures(provider: GitHubActions) -> dict[str, str]:
    return {check.name: check.code for check in provider.verify() if not check.ok}


# --- Verification ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workflow", "found"),
    [
        ("ios.yml", {}),
        (".github/workflows/android.yml", {}),
        ("beta.yml", {}),
        ("release.yml", {}),
        ("queued.yml", {"concurrency": "constant_group"}),
        ("nightly.yml", {"parameters": "no_version", "correlation": "no_build_id"}),
        ("checks.yml", {"workflow": "no_trigger"}),
        ("nothing.yml", {"workflow": "workflow_not_found"}),
    ],
)
def test_a_workflow_is_checked(actions: Any, workflow: str, found: dict[str, str]) -> None:
    assert failures(actions(workflow)) == found


def test_what_only_costs_comfort_is_a_warning(actions: Any) -> None:
    checks = [*actions("nightly.yml").verify(), *actions("queued.yml").verify()]
    assert {c.level for c in checks if not c.ok} == {Level.WARNING}


def test_a_disabled_workflow_is_refused(sandbox: SandboxServer, actions: Any) -> None:
    sandbox.state.actions.workflows["ios.yml"].state = "disabled_manually"
    assert failures(actions()) == {"workflow": "disabled"}
    assert refusal(actions(), wanted()).code == "disabled"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"track": "alpha"}, "does not offer the option"),
        ({"flavour": "free"}, "does not declare the input flavour"),
    ],
)
def test_inputs_that_would_be_refused_fail_the_verification(
    actions: Any, parameters: dict[str, str], words: str
) -> None:
    [check] = [c for c in actions("beta.yml", parameters=parameters).verify() if not c.ok]
    assert (check.name, check.code) == ("parameters", "inputs_refused")
    assert words in check.message


def test_a_token_that_may_not_start_runs_is_told(actions: Any) -> None:
    assert failures(actions(access_token=accounts.GITHUB_READ_TOKEN)) == {"permission": "no_push"}
    error = refusal(actions(access_token=accounts.GITHUB_READ_TOKEN), wanted())
    assert error.outcome is Outcome.CREDENTIALS


@pytest.mark.parametrize(
    "token", [accounts.GITHUB_FINE_GRAINED_TOKEN, accounts.GITHUB_APP_TOKEN, "ghp_of_nobody"]
)
def test_every_kind_of_token_is_understood(actions: Any, token: str) -> None:
    expected = {"credentials": "bad_credentials"} if token == "ghp_of_nobody" else {}
    assert {n: c for n, c in failures(actions(access_token=token)).items() if n != "expiry"} == (
        expected
    )


def test_the_picker_lists_what_can_be_started(actions: Any) -> None:
    options = [(option.value, option.label) for option in actions("").jobs()]
    assert ("ios.yml", "iOS (ios.yml)") in options
    assert "checks.yml" not in dict(options)


def test_inputs_are_parameters(actions: Any) -> None:
    found = {one.name: one for one in actions("beta.yml").parameters()}
    assert set(found) == {"version", "delivr_build_id", "track"}
    assert (found["track"].kind, found["track"].choices) == ("choice", ("internal", "production"))
    assert found["track"].default == "internal"


# --- Trigger --------------------------------------------------------------------------------------


def test_a_run_is_started_and_known_at_once(sandbox: SandboxServer, actions: Any) -> None:
    state = actions("beta.yml").trigger(wanted(track="production"))
    run = run_of(sandbox, state)
    assert (state.status, state.external_id) == (BuildStatus.QUEUED, f"{run.id}/1")
    assert run.inputs == {"version": "1.5.0", "delivr_build_id": "bld_one", "track": "production"}
    assert (run.branch, run.event, run.actor) == (BRANCH, "workflow_dispatch", "delivr-bot")


def test_inputs_are_read_from_the_releases_branch(sandbox: SandboxServer, actions: Any) -> None:
    """The file differs there: the default branch's input would be refused by GitHub."""
    workflow = sandbox.state.actions.workflows["beta.yml"]
    workflow.texts[BRANCH] = workflow.text.replace("track:", "lane:")
    error = refusal(actions("beta.yml"), wanted(track="production"))
    assert (error.code, error.outcome) == ("inputs_refused", Outcome.REFUSED)
    assert actions("beta.yml").trigger(wanted(lane="production")).external_id
    assert sandbox.state.requests.count("github", "POST") == 1


def test_an_environment_is_one_of_the_repository(sandbox: SandboxServer, actions: Any) -> None:
    workflow = sandbox.state.actions.workflows["beta.yml"]
    old = "type: choice, options: [internal, production], default: internal"
    assert old in workflow.text
    workflow.text = workflow.text.replace(old, "type: environment")
    found = {one.name: one for one in actions("beta.yml").parameters()}
    assert (found["track"].kind, found["track"].choices) == ("environment", ("production",))
    error = refusal(actions("beta.yml"), wanted(track="staging"))
    assert (error.code, "track" in error.message) == ("inputs_refused", True)
    path = "*/environments"
    sandbox.state.faults.add("status", provider="github", path=path, status=403, count=1)
    assert actions("beta.yml").trigger(wanted(track="staging")).external_id  # it cannot be told


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "workflow_missing"), ("on: push\n", "no_trigger"), ("on: [", "workflow_unreadable")],
)
def test_a_branch_whose_file_cannot_be_started_sends_nothing(
    sandbox: SandboxServer, actions: Any, text: str | None, code: str
) -> None:
    sandbox.state.actions.workflows["ios.yml"].texts[BRANCH] = text
    assert refusal(actions(), wanted()).code == code
    assert not sandbox.state.requests.count("github", "POST")


def test_a_branch_that_github_does_not_know_yet_is_tried_again(
    sandbox: SandboxServer, actions: Any
) -> None:
    error = refusal(actions(), wanted(branch="feature/new"))
    assert (error.code, error.outcome) == ("branch_unknown", Outcome.NOT_SENT)
    assert not sandbox.state.requests.count("github", "POST")


def test_an_older_server_is_asked_again_without_the_key_it_refuses(
    sandbox: SandboxServer, enterprise: Any
) -> None:
    state = enterprise().trigger(wanted())
    assert (state.status, state.external_id) == (BuildStatus.QUEUED, "")
    assert len(sandbox.state.actions.runs) == 1
    assert [e["status"] for e in sandbox.state.requests.select("github", "POST")] == [422, 204]
    found = enterprise().read(BuildHandle(), build_id="bld_one", since=a_minute_ago())
    assert found.external_id == f"{sandbox.state.actions.runs[0].id}/1"


def test_another_refusal_is_not_sent_again(sandbox: SandboxServer, actions: Any) -> None:
    sandbox.state.faults.add("status", provider="github", method="POST", status=422)
    assert refusal(actions(), wanted()).outcome is Outcome.REFUSED
    assert sandbox.state.requests.count("github", "POST") == 1


def test_an_older_server_takes_fewer_inputs(sandbox: SandboxServer, enterprise: Any) -> None:
    workflow = sandbox.state.actions.workflows["ios.yml"]
    more = "".join(f"      own_{n}: {{}}\n" for n in range(9))
    workflow.text = workflow.text.replace("    inputs:\n", f"    inputs:\n{more}")
    assert "this GitHub server allows 10" in refusal(enterprise(), wanted()).message
    assert not sandbox.state.requests.count("github", "POST")


# --- Lost answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop_after", "timeout_after"])
def test_a_run_whose_answer_was_lost_is_found_by_our_id(
    sandbox: SandboxServer, actions: Any, fault: str
) -> None:
    sandbox.state.faults.add(fault, provider="github", method="POST", seconds=0.5, count=1)
    assert refusal(actions(), wanted()).outcome is Outcome.UNCERTAIN
    found = actions().find(wanted(), since=a_minute_ago())
    assert found.external_id == f"{sandbox.state.actions.runs[0].id}/1"
    assert found.carried_id == "bld_one"
    assert actions().find(wanted("bld_two"), since=a_minute_ago()) is None


def test_without_an_id_a_single_candidate_is_adopted(sandbox: SandboxServer, actions: Any) -> None:
    provider = actions("nightly.yml")
    assert provider.find(wanted(), since=a_minute_ago()) is None
    state = provider.trigger(wanted())
    assert provider.find(wanted(), since=a_minute_ago()).external_id == state.external_id


def test_without_an_id_other_peoples_runs_are_no_candidates(
    sandbox: SandboxServer, actions: Any
) -> None:
    state = sandbox.state
    repository = state.github.find("dream11", "app")
    nightly = state.actions.workflows["nightly.yml"]
    state.actions.start(nightly, repository, BRANCH, inputs={}, actor="priya")
    state.actions.start(nightly, repository, "main", inputs={}, actor="delivr-bot")
    assert actions("nightly.yml").find(wanted(), since=a_minute_ago()) is None


def test_of_several_candidates_a_person_chooses(sandbox: SandboxServer, actions: Any) -> None:
    provider = actions("nightly.yml")
    provider.trigger(wanted())
    provider.trigger(wanted("bld_two"))
    with pytest.raises(ProviderError) as caught:
        provider.find(wanted(), since=a_minute_ago())
    assert (caught.value.code, caught.value.outcome) == ("cannot_correlate", Outcome.REFUSED)


# --- States ---------------------------------------------------------------------------------------


def test_a_run_is_followed_to_its_end(sandbox: SandboxServer, actions: Any) -> None:
    state = actions().trigger(wanted())
    running = read(actions(), state)
    assert (running.status, running.number) == (BuildStatus.RUNNING, 57)
    assert running.url.endswith(f"/dream11/app/actions/runs/{run_of(sandbox, state).id}")
    sandbox.state.actions.finish(run_of(sandbox, state), "success")
    ended = read(actions(), state)
    assert (ended.status, ended.carried_id) == (BuildStatus.SUCCESS, "bld_one")
    [artifact] = ended.artifacts
    assert (artifact.name, artifact.size) == ("ios-app", 48_234_112)
    assert artifact.digest.startswith("sha256:")
    assert artifact.expires_at > datetime.now(UTC)
    assert artifact.url.startswith(ended.url)


def test_a_run_that_has_not_changed_costs_nothing_of_the_limit(
    sandbox: SandboxServer, actions: Any
) -> None:
    state = actions().trigger(wanted())
    read(actions(), state)
    github = sandbox.state.github
    used, path = github.used, f"*/runs/{run_of(sandbox, state).id}/attempts/1"
    for _n in range(3):
        assert read(actions(), state).status == BuildStatus.RUNNING
    asked = sandbox.state.requests.select("github", "GET", path)[-3:]
    assert ([entry["status"] for entry in asked], github.used) == ([304] * 3, used)
    sandbox.state.actions.finish(run_of(sandbox, state), "failure")
    assert read(actions(), state).status == BuildStatus.FAILURE
    other = actions(access_token=accounts.GITHUB_FINE_GRAINED_TOKEN)
    assert read(other, state).status == BuildStatus.FAILURE
    assert sandbox.state.requests.select("github", "GET", path)[-1]["status"] == 200


def test_only_so_many_answers_are_remembered() -> None:
    memory = Memory(most=2)
    for key in "abac":
        memory.keep(key, f"etag {key}", key)
    memory.keep("d", "etag d", {"run": "x" * LARGEST})
    assert (memory.recall("a"), memory.recall("b")) == (("etag a", "a"), ("", None))
    assert memory.recall("d") == ("", None)


@pytest.mark.parametrize(
    ("conclusion", "status", "words"),
    [
        ("failure", "FAILURE", ""),
        ("timed_out", "FAILURE", "longer than its time limit"),
        ("startup_failure", "FAILURE", "workflow file has an error"),
        ("skipped", "FAILURE", "skipped"),
        ("cancelled", "ABORTED", ""),
    ],
)
def test_how_a_run_ended(
    sandbox: SandboxServer, actions: Any, conclusion: str, status: str, words: str
) -> None:
    state = actions().trigger(wanted())
    sandbox.state.actions.finish(run_of(sandbox, state), conclusion)
    ended = read(actions(), state)
    assert (ended.status, words in ended.queue_reason) == (status, True)


def test_a_run_that_waits_for_approval_tells_of_whom(sandbox: SandboxServer, actions: Any) -> None:
    state = actions("release.yml").trigger(wanted())
    waiting = read(actions("release.yml"), state)
    assert waiting.status is BuildStatus.WAITING
    assert waiting.queue_reason == "Waiting for priya to approve the environment production."
    sandbox.state.actions.approve(run_of(sandbox, state))
    assert read(actions("release.yml"), state).status is BuildStatus.RUNNING


def test_a_run_in_a_concurrency_group_tells_who_is_ahead(
    sandbox: SandboxServer, actions: Any
) -> None:
    provider = actions("queued.yml")
    first = provider.trigger(wanted())
    second = provider.trigger(wanted("bld_two"))
    waiting = read(provider, second, "bld_two")
    assert waiting.status is BuildStatus.QUEUED
    assert f"(run {run_of(sandbox, first).id}) is ahead of it" in waiting.queue_reason
    assert "concurrency group release" in waiting.queue_reason
    third = provider.trigger(wanted("bld_three"))
    assert read(provider, second, "bld_two").status is BuildStatus.ABORTED
    sandbox.state.actions.finish(run_of(sandbox, first))
    assert read(provider, third, "bld_three").status is BuildStatus.RUNNING


def test_where_groups_cannot_be_asked_about_the_words_are_general(enterprise: Any) -> None:
    provider = enterprise("queued.yml")
    provider.trigger(wanted())
    provider.trigger(wanted("bld_two"))
    found = provider.read(BuildHandle(), build_id="bld_two", since=a_minute_ago())
    assert "Another run in its concurrency group" in found.queue_reason


def test_a_run_that_hangs_in_the_queue_is_lost(sandbox: SandboxServer, actions: Any) -> None:
    sandbox.state.actions.hangs = True
    state = actions().trigger(wanted())
    assert read(actions(), state).status is BuildStatus.QUEUED
    run = run_of(sandbox, state)
    run.created_at -= 3700
    run.last.created_at -= 3700
    lost = read(actions(), state)
    assert (lost.status, "stuck" in lost.queue_reason) == (BuildStatus.LOST, True)
    with pytest.raises(ProviderError) as caught:
        actions().cancel(BuildHandle(external_id=state.external_id))
    assert (caught.value.code, caught.value.outcome) == ("cannot_cancel", Outcome.REFUSED)


def test_a_run_without_a_runner_waits(sandbox: SandboxServer, actions: Any) -> None:
    sandbox.state.actions.runners_work = False
    state = actions().trigger(wanted())
    run = run_of(sandbox, state)
    run.created_at = run.last.created_at = run.created_at - 3 * 3600
    waiting = read(actions(), state)
    assert (waiting.status, waiting.queue_reason) == (
        BuildStatus.QUEUED,
        "No runner has picked it up yet.",
    )
    run.created_at = run.last.created_at = run.created_at - 23 * 3600
    assert read(actions(), state).status is BuildStatus.LOST


def test_a_run_that_github_does_not_have_is_none(actions: Any) -> None:
    assert actions().read(BuildHandle(external_id="7/1"), build_id="bld_one") is None
    assert actions().read(BuildHandle(number=9999), build_id="bld_one") is None
    with pytest.raises(ProviderError) as caught:
        actions("gone.yml").read(BuildHandle(external_id="7/1"), build_id="bld_one")
    assert caught.value.code == "job_unreadable"


# --- Attempts -------------------------------------------------------------------------------------


def test_a_re_run_is_another_attempt_and_leaves_the_first_verdict(
    sandbox: SandboxServer, actions: Any
) -> None:
    state = actions().trigger(wanted())
    run = run_of(sandbox, state)
    sandbox.state.actions.finish(run, "failure")
    assert actions().retries(state, build_id="bld_one", since=a_minute_ago()) == []
    sandbox.state.actions.rerun(run, actor="priya")
    sandbox.state.actions.finish(run, "success")
    assert read(actions(), state).status is BuildStatus.FAILURE
    [retry] = actions().retries(state, build_id="bld_one", since=a_minute_ago())
    assert (retry.state.status, retry.state.external_id) == (BuildStatus.SUCCESS, f"{run.id}/2")
    assert (retry.started_by, retry.commit) == ("priya", run.commit)
    newest = actions().read(BuildHandle(number=57), build_id="bld_one")
    assert newest.external_id == f"{run.id}/2"


def test_runs_of_a_branch_are_told_whoever_started_them(
    sandbox: SandboxServer, actions: Any
) -> None:
    ours = actions().trigger(wanted())
    engine = sandbox.state.actions
    workflow, repository = engine.workflows["ios.yml"], sandbox.state.github.find("dream11", "app")
    dispatch = "workflow_dispatch"
    for branch, event in ((BRANCH, dispatch), ("main", dispatch), (BRANCH, "push")):
        engine.start(workflow, repository, branch, inputs={}, actor="priya", event=event)
    found = actions().builds_of(BRANCH, since=a_minute_ago())
    assert [(one.started_by, one.branch) for one in found] == [
        ("priya", BRANCH),
        (run_of(sandbox, ours).actor, BRANCH),
    ]
    run = run_of(sandbox, ours)
    assert (found[1].external_id, found[1].commit) == (ours.external_id, run.commit)


def test_what_a_person_runs_again_is_neither_cancelled_nor_a_duplicate(
    sandbox: SandboxServer, actions: Any
) -> None:
    state = actions().trigger(wanted())
    run = run_of(sandbox, state)
    sandbox.state.actions.finish(run, "failure")
    sandbox.state.actions.rerun(run, actor="priya")
    actions().cancel(BuildHandle(external_id=state.external_id))
    again = BuildHandle(external_id=f"{run.id}/2")
    assert actions().stop_duplicate(again, build_id="bld_one") is Duplicate.FOREIGN
    assert run.last.status == "in_progress"


def test_a_trigger_that_arrived_twice_is_found_and_stopped(
    sandbox: SandboxServer, actions: Any
) -> None:
    first, second = actions().trigger(wanted()), actions().trigger(wanted())
    found = actions().find_all(build_id="bld_one", since=a_minute_ago())
    assert [state.external_id for state in found] == [first.external_id, second.external_id]
    assert actions().duplicate(second, build_id="bld_one") is None
    assert actions().stop_duplicate(second, build_id="bld_one") is Duplicate.STOPPED
    assert read(actions(), second).status is BuildStatus.ABORTED
    assert read(actions(), first).status is BuildStatus.RUNNING
    assert actions().duplicate(second, build_id="bld_one") is Duplicate.STOPPED


# --- Cancelling -----------------------------------------------------------------------------------


def test_a_run_is_cancelled_once(sandbox: SandboxServer, actions: Any) -> None:
    state = actions().trigger(wanted())
    for _n in range(2):
        actions().cancel(BuildHandle(external_id=state.external_id))
    assert read(actions(), state).status is BuildStatus.ABORTED
    assert len(sandbox.state.ledger.of("run.cancel")) == 1


def test_a_run_that_does_not_react_is_ended_by_force(sandbox: SandboxServer, actions: Any) -> None:
    state = actions().trigger(wanted())
    run_of(sandbox, state).is_stubborn = True
    actions().cancel(BuildHandle(external_id=state.external_id))
    assert read(actions(), state).status is BuildStatus.RUNNING
    actions().force_cancel(BuildHandle(external_id=state.external_id))
    assert read(actions(), state).status is BuildStatus.ABORTED


# --- Files ----------------------------------------------------------------------------------------


def test_a_failure_is_told_by_job_step_notes_and_log(sandbox: SandboxServer, actions: Any) -> None:
    state = actions().trigger(wanted())
    sandbox.state.actions.finish(run_of(sandbox, state), "failure")
    tail = actions().log_tail(state)
    assert tail.headlines == (
        "Job “build-ios” failed at step “Build”.",
        "Sources/Checkout.swift:118: cannot find 'ShippingQuote' in scope",
    )
    assert "Checkout.swift:118:27: error: cannot find" in tail.text
    assert "error: Process completed with exit code 65." in tail.text
    assert "##[" not in tail.text
    assert not tail.text.startswith("20")


def test_a_long_log_is_read_from_its_end(
    sandbox: SandboxServer, actions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.providers.github_actions.failures.TAIL", 200)
    state = actions().trigger(wanted())
    sandbox.state.actions.finish(run_of(sandbox, state), "failure")
    tail = actions().log_tail(state)
    assert 0 < len(tail.text) <= 200
    assert tail.text.rstrip().endswith("exit code 65.")


def test_a_run_that_could_not_start_has_no_log(sandbox: SandboxServer, actions: Any) -> None:
    state = actions().trigger(wanted())
    sandbox.state.actions.finish(run_of(sandbox, state), "startup_failure")
    with pytest.raises(ProviderError) as caught:
        actions().log_tail(state)
    assert caught.value.code == "log_gone"


def test_the_link_to_an_artifact_is_fresh_each_time(sandbox: SandboxServer, actions: Any) -> None:
    state = actions().trigger(wanted())
    sandbox.state.actions.finish(run_of(sandbox, state), "success")
    [artifact] = read(actions(), state).artifacts
    links = {actions().artifact_address(artifact.key) for _n in range(2)}
    assert len(links) == 2
    sandbox.state.advance(91 * 86_400)
    with pytest.raises(ProviderError) as caught:
        actions().artifact_address(artifact.key)
    assert caught.value.outcome is Outcome.REFUSED
    assert "expired" in caught.value.message
