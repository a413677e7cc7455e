"""What each answer of GitHub leads to, against a local server."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildRequest, BuildStatus
from integrations.providers.github_actions.provider import GitHubActions
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Seen, Wire, everything_in

TOKEN = "ghs_1234_" + "eyJ0eXAiOiJKV1QifQ." + "x" * 500  # as installation tokens are now
FILE = "on: {workflow_dispatch: {inputs: {version: {}, delivr_build_id: {}}}}\n"
NAMED = f"run-name: '${{{{ inputs.delivr_build_id }}}}'\n{FILE}"
REPO = "/repos/dream11/app"
ACTIONS = f"{REPO}/actions"
DISPATCH = f"{ACTIONS}/workflows/ios.yml/dispatches"
RUNS = f"{ACTIONS}/workflows/ios.yml/runs"
CONTENTS = f"{REPO}/contents/.github/workflows/ios.yml"
REQUEST = BuildRequest(
    build_id="bld_1",
    version="1.5.0",
    branch="release/1.5.0",
    platform="IOS",
    parameters={"VERSION": "1.5.0", "BRANCH": "release/1.5.0"},
)
STARTED = datetime.now(UTC)  # a run that was queued long ago hangs


def as_github(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


RUN = {
    "id": 30433642,
    "run_number": 562,
    "run_attempt": 1,
    "status": "queued",
    "conclusion": None,
    "display_title": "bld_1",
    "event": "workflow_dispatch",
    "path": ".github/workflows/ios.yml",
    "created_at": as_github(STARTED),
    "run_started_at": as_github(STARTED),
    "updated_at": as_github(STARTED + timedelta(minutes=10)),
}
OK = Reply({"workflow_run_id": 30433642, "run_url": "x", "html_url": "y"})


class HastyActions(GitHubActions):
    deadline = 1.0


@pytest.fixture
def github(wire: Wire, settings: Any) -> Any:
    settings.GITHUB_API_URL = wire.url
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    wire.routes[CONTENTS] = Reply({"content": base64.b64encode(NAMED.encode()).decode()})
    wire.routes[f"{ACTIONS}/workflows/ios.yml"] = Reply({"id": 1, "state": "active"})

    def make(kind: type[GitHubActions] = GitHubActions, **changes: Any) -> GitHubActions:
        given = {
            "repository_url": "https://github.com/dream11/app",
            "access_token": TOKEN,
            "workflow": "ios.yml",
        }
        return kind(**{**given, **changes})

    return make


def failing(call: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    assert TOKEN not in everything_in(caught.value)
    return caught.value


def test_what_is_sent_is_what_github_documents(wire: Wire, github: Any) -> None:
    wire.routes[DISPATCH] = OK
    state = github().trigger(REQUEST)
    assert (state.external_id, state.status) == ("30433642/1", BuildStatus.QUEUED)
    seen = wire.last(DISPATCH)
    assert seen.json == {
        "ref": "release/1.5.0",
        "inputs": {"version": "1.5.0", "delivr_build_id": "bld_1"},
        "return_run_details": True,
    }
    assert seen.headers["authorization"].endswith(TOKEN)
    assert wire.last(CONTENTS).query == {"ref": "release/1.5.0"}


MESSAGE = Reply({"message": "Server Error"}, status=500)


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (Reply({"message": "No"}, status=400), Outcome.REFUSED, "refused"),
        (Reply({"message": "Bad credentials"}, status=401), Outcome.CREDENTIALS, "bad_credentials"),
        (
            Reply({"message": "Resource not accessible by integration"}, status=403),
            Outcome.CREDENTIALS,
            "not_for_apps",
        ),
        (Reply({"message": "Not Found"}, status=404), Outcome.REFUSED, "not_found"),
        (
            Reply({"message": 'Unexpected inputs provided: ["x"]'}, status=422),
            Outcome.REFUSED,
            "refused",
        ),
        (
            Reply({"message": "Workflow does not have 'workflow_dispatch' trigger"}, status=422),
            Outcome.REFUSED,
            "no_trigger",
        ),
        (
            Reply({"message": "No ref found for: release/1.5.0"}, status=422),
            Outcome.NOT_SENT,
            "branch_unknown",
        ),
        (
            Reply({"message": "You have exceeded a secondary rate limit"}, status=403),
            Outcome.RATE_LIMITED,
            "rate_limited",
        ),
        (Reply({"message": "x"}, status=429), Outcome.RATE_LIMITED, "rate_limited"),
        (MESSAGE, Outcome.UNCERTAIN, "server_error"),
        (Reply({}, status=200), Outcome.UNCERTAIN, "garbage"),
        (Reply({"workflow_run_id": True}, status=200), Outcome.UNCERTAIN, "garbage"),
        (LOGIN_PAGE, Outcome.UNCERTAIN, "garbage"),
        (Reply({}, status=202), Outcome.UNCERTAIN, "garbage"),
        (Reply(b"<html>", status=403), Outcome.NOT_SENT, "not_its_answer"),
        (Reply(fault="reset"), Outcome.UNCERTAIN, "connection_lost"),
        (Reply(fault="hang"), Outcome.UNCERTAIN, "timeout"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_each_answer_to_a_dispatch_means(
    wire: Wire, github: Any, reply: Reply, outcome: Outcome, code: str
) -> None:
    wire.routes[DISPATCH] = reply
    error = failing(lambda: github(HastyActions).trigger(REQUEST))
    assert (error.outcome, wire.count(DISPATCH)) == (outcome, 1)
    if code != "connection_lost":
        assert error.code == code


@pytest.mark.parametrize("status", [400, 422])
def test_only_the_refusal_of_the_key_is_answered_by_leaving_it_out(
    wire: Wire, github: Any, status: int
) -> None:
    no_key = {"message": 'Invalid request.\n\n"return_run_details" is not a permitted key.'}
    wire.routes[DISPATCH] = [Reply(no_key, status=status), Reply(b"", status=204)]
    assert github().trigger(REQUEST).external_id == ""
    assert "return_run_details" not in wire.last(DISPATCH).json
    wire.routes[DISPATCH] = Reply(no_key, status=status)
    assert failing(lambda: github().trigger(REQUEST)).outcome is Outcome.REFUSED
    assert wire.count(DISPATCH) == 4


def test_an_accepted_run_without_any_name_is_looked_for(wire: Wire, github: Any) -> None:
    """Neither the answer nor the run's name tells which one it is."""
    wire.routes[CONTENTS] = Reply({"content": base64.b64encode(FILE.encode()).decode()})
    wire.routes[DISPATCH] = Reply(b"", status=204)
    error = failing(lambda: github().trigger(REQUEST))
    assert (error.code, error.outcome) == ("no_run_id", Outcome.UNCERTAIN)


@pytest.mark.parametrize("reply", [MESSAGE, Reply(fault="reset"), Reply(fault="hang"), LOGIN_PAGE])
def test_nothing_is_uncertain_before_the_dispatch(wire: Wire, github: Any, reply: Reply) -> None:
    wire.routes[CONTENTS] = reply
    assert failing(lambda: github(HastyActions).trigger(REQUEST)).outcome is Outcome.NOT_SENT
    assert not wire.count(DISPATCH)


def listing(*runs: dict[str, Any]) -> Reply:
    return Reply({"total_count": len(runs), "workflow_runs": list(runs)})


def test_a_search_asks_for_dispatched_runs_since_then_on_all_pages(wire: Wire, github: Any) -> None:
    other = {**RUN, "display_title": "bld_12"}  # begins with our id, and is another one

    def page(seen: Seen) -> Reply:
        return listing(*[other] * 100) if seen.query["page"] == "1" else listing(RUN)

    wire.routes[RUNS] = page
    since = datetime(2026, 11, 29, 12, 10, tzinfo=UTC)
    found = github().find(REQUEST, since=since)
    assert (found.external_id, found.carried_id) == ("30433642/1", "bld_1")
    assert wire.last(RUNS).query == {
        "event": "workflow_dispatch",
        "created": ">=2026-11-29T12:00:00Z",
        "per_page": "100",
        "page": "2",
    }


@pytest.mark.parametrize("reply", [MESSAGE, LOGIN_PAGE, Reply({}), listing({"id": "x"})])
def test_a_search_that_failed_says_nothing(wire: Wire, github: Any, reply: Reply) -> None:
    wire.routes[RUNS] = reply
    assert failing(lambda: github().find(REQUEST, since=datetime.now(UTC))).outcome in (
        Outcome.UNCERTAIN,
        Outcome.REFUSED,
    )


def read(github: Any) -> Any:
    return github().read(BuildHandle(external_id="30433642/1"), build_id="bld_1")


@pytest.mark.parametrize(
    ("status", "conclusion", "expected"),
    [
        ("requested", None, "QUEUED"),
        ("queued", None, "QUEUED"),
        ("pending", None, "QUEUED"),
        ("waiting", None, "WAITING"),
        ("in_progress", None, "RUNNING"),
        ("something new", None, "RUNNING"),
        ("completed", "success", "SUCCESS"),
        ("completed", "failure", "FAILURE"),
        ("completed", "timed_out", "FAILURE"),
        ("completed", "startup_failure", "FAILURE"),
        ("completed", "stale", "FAILURE"),
        ("completed", "skipped", "FAILURE"),
        ("completed", "neutral", "FAILURE"),
        ("completed", "cancelled", "ABORTED"),
        ("completed", "action_required", "WAITING"),
        ("completed", "something new", "FAILURE"),
        ("completed", None, "FAILURE"),
    ],
)
def test_githubs_words_in_ours(
    wire: Wire, github: Any, status: str, conclusion: str | None, expected: str
) -> None:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    run = {**RUN, "status": status, "conclusion": conclusion, "run_started_at": now}
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1"] = Reply(run)
    wire.routes[f"{ACTIONS}/runs/30433642/artifacts"] = Reply({"artifacts": []})
    state = read(github)
    assert (state.status, state.number) == (expected, 562)
    assert (state.started_at is None) is (expected in ("QUEUED", "WAITING"))


def test_the_time_of_waiting_is_no_start(wire: Wire, github: Any) -> None:
    done = {**RUN, "status": "completed", "conclusion": "failure"}
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1"] = Reply(done)
    assert read(github).duration_ms == 600_000


@pytest.mark.parametrize(
    "deployment",
    [
        {"environment": {"name": "prod"}, "reviewers": [], "wait_timer": 30},
        {"environment": {"name": "prod"}, "reviewers": [{"reviewer": {"name": "Mobile team"}}]},
        {"environment": {"name": "prod"}},
        {"environment": None, "reviewers": "x"},
    ],
)
def test_what_an_environment_waits_for(wire: Wire, github: Any, deployment: dict[str, Any]) -> None:
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1"] = Reply({**RUN, "status": "waiting"})
    wire.routes[f"{ACTIONS}/runs/30433642/pending_deployments"] = Reply([deployment])
    words = {
        True: "The environment prod has a wait timer of 30 minutes.",
        False: "A protection rule of its environment is blocking it.",
    }
    reason = read(github).queue_reason
    if deployment.get("wait_timer"):
        assert reason == words[True]
    elif deployment.get("reviewers") and deployment["environment"]:
        assert reason == "Waiting for Mobile team to approve the environment prod."
    else:
        assert reason in ("Waiting for the environment prod.", words[False])


def test_a_reason_that_cannot_be_read_leaves_the_state(wire: Wire, github: Any) -> None:
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1"] = Reply({**RUN, "status": "waiting"})
    wire.routes[f"{ACTIONS}/runs/30433642/pending_deployments"] = MESSAGE
    assert read(github).status is BuildStatus.WAITING


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest", "file:///etc/passwd", "", "http://user:x@127.0.0.1/", "//x"],
)
def test_a_link_that_must_not_be_followed_is_none(wire: Wire, github: Any, location: str) -> None:
    wire.routes[f"{ACTIONS}/artifacts/7/zip"] = Reply(b"", 302, {"Location": location})
    assert failing(lambda: github().artifact_address("7")).outcome in (
        Outcome.UNCERTAIN,
        Outcome.REFUSED,
    )


def test_of_github_com_only_its_own_storage_is_followed(
    wire: Wire, github: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.providers.github_actions.client.PUBLIC_API", wire.url)
    address = "https://productionresults1.blob.core.windows.net/a/b?sig=x"
    for host, is_known in (("productionresults1.blob.core.windows.net", True), ("evil.io", False)):
        there = address.replace("productionresults1.blob.core.windows.net", host)
        wire.routes[f"{ACTIONS}/artifacts/7/zip"] = Reply(b"", 302, {"Location": there})
        if is_known:
            assert github().artifact_address("7") == there
        else:
            assert failing(lambda: github().artifact_address("7")).code == "storage_unknown"


def test_our_token_does_not_go_to_the_storage(wire: Wire, github: Any) -> None:
    job = {"id": 5, "name": "build", "conclusion": "failure", "steps": []}
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1/jobs"] = Reply({"jobs": [job]})
    wire.routes[f"{ACTIONS}/jobs/5/logs"] = Reply(b"", 302, {"Location": f"{wire.url}/store"})
    part = {"Content-Range": "bytes 0-3/4"}
    wire.routes["/store"] = Reply(b"Oops", 206, part)
    tail = github().log_tail(BuildHandle(external_id="30433642/1"))
    assert (tail.text, tail.headlines) == ("Oops", ("Job “build” failed.",))
    assert "authorization" not in wire.last("/store").headers


def test_a_log_that_is_gone_leaves_the_headlines(wire: Wire, github: Any) -> None:
    job = {"id": 5, "name": "build", "conclusion": "timed_out", "steps": None}
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1/jobs"] = Reply({"jobs": [job]})
    tail = github().log_tail(BuildHandle(external_id="30433642/1"))
    assert (tail.text, tail.headlines) == ("", ("Job “build” timed out.",))


def test_force_cancelling_may_fail_at_github(wire: Wire, github: Any) -> None:
    """https://github.com/actions/runner/issues/3329"""
    wire.routes[f"{ACTIONS}/runs/30433642"] = Reply({**RUN, "status": "in_progress"})
    wire.routes[f"{ACTIONS}/runs/30433642/force-cancel"] = MESSAGE
    error = failing(lambda: github().force_cancel(BuildHandle(external_id="30433642/1")))
    assert error.outcome is Outcome.UNCERTAIN


def test_a_conflict_of_an_ended_run_is_none(wire: Wire, github: Any) -> None:
    ended = {**RUN, "status": "completed", "conclusion": "success"}
    wire.routes[f"{ACTIONS}/runs/30433642"] = [Reply({**RUN, "status": "queued"}), Reply(ended)]
    wire.routes[f"{ACTIONS}/runs/30433642/cancel"] = Reply({"message": "completed"}, 409)
    github().cancel(BuildHandle(external_id="30433642/1"))
    assert wire.count(f"{ACTIONS}/runs/30433642/cancel") == 1


def test_the_age_of_a_waiting_run_counts_from_its_attempt(wire: Wire, github: Any) -> None:
    old = datetime.now(UTC) - timedelta(hours=26)
    run = {**RUN, "run_started_at": f"{old:%Y-%m-%dT%H:%M:%SZ}"}
    wire.routes[f"{ACTIONS}/runs/30433642/attempts/1"] = Reply(run)
    state = read(github)
    assert (state.status, "more than a day" in state.queue_reason) == (BuildStatus.LOST, True)
