"""GitHub Actions of the stand-in: by PyGithub, unchanged, and by plain HTTP where it is strict."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import github
import pytest
from github import Auth, Github
from github.Requester import Requester

from sandbox import accounts

BRANCH = "release/1.5.0"
INPUTS = {"version": "1.5.0", "delivr_build_id": "bld_one"}


@pytest.fixture(autouse=True)
def _plain_pygithub() -> Iterator[None]:
    """Restore PyGithub's own connection classes, which other code in this process may have
    replaced."""
    hung_in = (
        Requester._Requester__httpConnectionClass,
        Requester._Requester__httpsConnectionClass,
    )
    Requester.resetConnectionClasses()
    yield
    Requester.injectConnectionClasses(*hung_in)


@pytest.fixture
def repository(sandbox) -> Iterator[Any]:
    with Github(
        auth=Auth.Token(accounts.GITHUB_PUSH_TOKEN),
        base_url=f"{sandbox.url}/github",
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    ) as hub:
        yield hub.get_repo("dream11/app")


@pytest.fixture
def ask(sandbox, web) -> Callable[..., Any]:
    """`ask("POST", "/runs/1/cancel")` below the repository's Actions; `base` for an Enterprise."""

    def send(method: str, path: str, *, base: str = "/github", token: str = "", **more: Any) -> Any:
        headers = {
            "Authorization": f"Bearer {token or accounts.GITHUB_PUSH_TOKEN}",
            **more.pop("headers", {}),
        }
        url = f"{base}/repos/dream11/app/actions{path}"
        return web(method, url, headers=headers, **more)

    return send


def dispatch(ask: Any, file: str = "ios.yml", *, ref: str = BRANCH, **more: Any) -> Any:
    body = {"ref": ref, "inputs": more.pop("inputs", INPUTS), **more.pop("body", {})}
    return ask("POST", f"/workflows/{file}/dispatches", json=body, **more)


def only_run(sandbox: Any) -> Any:
    [run] = sandbox.state.actions.runs
    return run


# --- PyGithub -------------------------------------------------------------------------------------


def test_pygithub_starts_reads_and_cancels_runs(sandbox, repository) -> None:
    workflow = repository.get_workflow("ios.yml")
    assert (workflow.path, workflow.state) == (".github/workflows/ios.yml", "active")
    assert workflow.create_dispatch(BRANCH, INPUTS)
    [run] = workflow.get_runs(event="workflow_dispatch", branch=BRANCH)
    assert (run.run_number, run.run_attempt, run.status) == (57, 1, "in_progress")
    assert run.display_title == "iOS 1.5.0 bld_one"
    [job] = run.jobs()
    assert job.name == "build-ios"
    assert run.cancel()
    again = repository.get_workflow_run(run.id)
    assert (again.status, again.conclusion) == ("completed", "cancelled")
    assert again.rerun()
    assert repository.get_workflow_run(run.id).run_attempt == 2


def test_pygithub_reads_a_workflow_file_and_lists_workflows(repository) -> None:
    file = repository.get_contents(".github/workflows/ios.yml", ref=BRANCH)
    assert b"workflow_dispatch" in file.decoded_content
    files = {workflow.path.rpartition("/")[2] for workflow in repository.get_workflows()}
    assert {"ios.yml", "checks.yml"} <= files
    with pytest.raises(github.UnknownObjectException):
        repository.get_contents(".github/workflows/none.yml", ref=BRANCH)


def test_pygithub_lists_artifacts(sandbox, repository) -> None:
    repository.get_workflow("ios.yml").create_dispatch(BRANCH, INPUTS)
    sandbox.state.actions.finish(only_run(sandbox))
    [artifact] = repository.get_workflow_run(only_run(sandbox).id).get_artifacts()
    assert (artifact.name, artifact.expired) == ("ios-app", False)


# --- Dispatch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "body", "headers", "status"),
    [
        ("/github", {}, {}, 204),
        ("/github", {"return_run_details": True}, {}, 200),
        ("/github", {"return_run_details": False}, {}, 204),
        ("/github", {}, {"X-GitHub-Api-Version": "2026-03-10"}, 200),
        ("/api/v3", {}, {}, 204),
        ("/api/v3", {"return_run_details": True}, {}, 422),
    ],
)
def test_the_answer_to_a_dispatch(sandbox, ask, base, body, headers, status) -> None:
    answer = dispatch(ask, base=base, body=body, headers=headers)
    assert answer.status_code == status
    assert len(sandbox.state.actions.runs) == (status != 422)
    if status == 200:
        assert answer.json()["workflow_run_id"] == only_run(sandbox).id
    if status == 422:
        assert '"return_run_details" is not a permitted key' in answer.json()["message"]


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"ref": "nothing"}, 422, "No ref found for: nothing"),
        ({"file": "checks.yml"}, 422, "does not have 'workflow_dispatch' trigger"),
        ({"file": "none.yml"}, 404, "Not Found"),
        ({"inputs": {}}, 422, "Required input 'version' not provided"),
        ({"inputs": {**INPUTS, "x": "1"}}, 422, 'Unexpected inputs provided: ["x"]'),
        ({"inputs": {**INPUTS, "version": "1" * 65_600}}, 422, "inputs are too large."),
        ({"file": "beta.yml", "inputs": {**INPUTS, "track": "x"}}, 422, "allowed values"),
        ({"token": accounts.GITHUB_READ_TOKEN}, 403, "Resource not accessible"),
    ],
)
def test_a_dispatch_that_github_refuses_starts_nothing(sandbox, ask, more, status, words) -> None:
    answer = dispatch(ask, **more)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True)
    assert not sandbox.state.actions.runs


def test_a_fine_grained_token_is_told_what_it_lacks(sandbox, ask, monkeypatch) -> None:
    from sandbox.providers.github import TOKENS, Token

    monkeypatch.setitem(TOKENS, "github_pat_reads", Token("delivr-bot", False, None))
    answer = dispatch(ask, token="github_pat_reads")
    assert answer.headers["X-Accepted-GitHub-Permissions"] == "actions=write"


def test_the_file_of_the_branch_counts(sandbox, ask) -> None:
    workflow = sandbox.state.actions.workflows["ios.yml"]
    workflow.texts[BRANCH] = workflow.text.replace("version:", "release:")
    assert "Unexpected inputs" in dispatch(ask).json()["message"]
    inputs = {"release": "1.5.0", "delivr_build_id": "bld_one"}
    assert dispatch(ask, inputs=inputs).status_code == 204


# --- Runs -----------------------------------------------------------------------------------------


def test_runs_are_filtered_and_at_most_a_thousand(sandbox, ask) -> None:
    for number in range(3):
        dispatch(ask, inputs={**INPUTS, "version": f"1.{number}"})
    listed = ask("GET", "/workflows/ios.yml/runs?branch=main").json()
    assert listed == {"total_count": 0, "workflow_runs": []}
    page = ask("GET", f"/runs?branch={BRANCH}&per_page=2").json()
    assert (page["total_count"], len(page["workflow_runs"])) == (3, 2)
    assert page["workflow_runs"][0]["display_title"] == "iOS 1.2 bld_one"
    assert ask("GET", "/runs?created=>=2099-01-01").json()["total_count"] == 0
    first = sandbox.state.actions.runs[0]
    sandbox.state.actions.runs = [first] * 1005
    assert ask("GET", "/runs?event=workflow_dispatch").json()["total_count"] == 1000
    assert ask("GET", "/runs").json()["total_count"] == 1005


def test_an_ended_run_cannot_be_cancelled(sandbox, ask) -> None:
    dispatch(ask)
    run = only_run(sandbox)
    assert ask("POST", f"/runs/{run.id}/cancel").status_code == 202
    answer = ask("POST", f"/runs/{run.id}/cancel")
    assert (answer.status_code, "completed" in answer.json()["message"]) == (409, True)


def test_a_run_without_a_job_hangs(sandbox, ask, web) -> None:
    web.post("/sandbox/api/github_actions/runners", json={"hang": True})
    dispatch(ask)
    run = only_run(sandbox)
    sandbox.state.advance(90_000)
    assert ask("GET", f"/runs/{run.id}").json()["status"] == "queued"
    assert ask("GET", f"/runs/{run.id}/attempts/1/jobs").json()["total_count"] == 0
    for verb in ("cancel", "force-cancel"):
        answer = ask("POST", f"/runs/{run.id}/{verb}")
        assert (answer.status_code, "queued yet" in answer.json()["message"]) == (409, True)
    assert ask("POST", f"/runs/{run.id}/rerun").status_code == 403


def test_a_run_is_too_old_to_be_run_again(sandbox, ask) -> None:
    dispatch(ask)
    run = only_run(sandbox)
    sandbox.state.actions.finish(run, "failure")
    assert ask("POST", f"/runs/{run.id}/rerun").status_code == 201
    sandbox.state.actions.finish(run, "failure")
    sandbox.state.advance(31 * 86_400)
    answer = ask("POST", f"/runs/{run.id}/rerun")
    assert (answer.status_code, "over a month ago" in answer.json()["message"]) == (403, True)


def test_concurrency_groups_are_not_on_enterprise_servers(sandbox, ask) -> None:
    for _n in range(2):
        dispatch(ask, "queued.yml")
    run = sandbox.state.actions.runs[-1]
    path = f"/runs/{run.id}/concurrency_groups"
    new = {"X-GitHub-Api-Version": "2026-03-10"}
    [group] = ask("GET", path, headers=new).json()["concurrency_groups"]
    assert [member["run_id"] for member in group["group_members"]][-1] == run.id
    assert ask("GET", path, headers=new, base="/api/v3").status_code == 404
    assert ask("GET", path).status_code == 404


# --- Files ----------------------------------------------------------------------------------------


def test_a_files_address_takes_no_token_and_lasts_a_minute(sandbox, ask, web) -> None:
    dispatch(ask)
    run = only_run(sandbox)
    path = f"/jobs/{run.job_id(run.last)}/logs"
    assert ask("GET", path).status_code == 404  # while it runs
    sandbox.state.actions.finish(run, "failure")
    answer = ask("GET", path)
    assert answer.status_code == 302
    where = answer.headers["Location"].removeprefix(sandbox.url)
    assert web.get(where, headers={"Authorization": "Bearer x"}).status_code == 400
    whole = web.get(where).content
    assert b"##[error]Process completed with exit code 65." in whole
    part = web.get(where, headers={"Range": "bytes=10-"})
    assert (part.status_code, part.content) == (206, whole[10:])
    assert part.headers["Content-Range"] == f"bytes 10-{len(whole) - 1}/{len(whole)}"
    sandbox.state.advance(61)
    assert web.get(where).status_code == 403


# --- Webhooks -------------------------------------------------------------------------------------


class Receiver(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def told(sandbox: Any, receiver: Receiver, count: int) -> list[tuple[str, str, str]]:
    """(event, action, delivery id) of the first `count` deliveries."""
    deadline = threading.Event()
    for _n in range(500):
        if len(receiver.seen) >= count:
            break
        deadline.wait(0.01)
    return [
        (h["x-github-event"], json.loads(body)["action"], h["x-github-delivery"])
        for h, body in receiver.seen
    ]


@pytest.mark.parametrize("trouble", ["", "doubled", "shuffled", "dropped"])
def test_runs_are_reported_with_githubs_signature(sandbox, ask, web, receiver, trouble) -> None:
    hook = {"url": f"http://127.0.0.1:{receiver.server_port}/", "secret": "whsec_x"}
    change = {"webhook": {**hook, "trouble": trouble}}
    assert web.post("/sandbox/api/github_actions/jobs/ios.yml", json=change).status_code == 200
    dispatch(ask)
    sandbox.state.actions.finish(only_run(sandbox), "failure")
    usual = [
        ("workflow_run", "requested"),
        ("workflow_run", "in_progress"),
        ("workflow_job", "in_progress"),
        ("workflow_run", "completed"),
        ("workflow_job", "completed"),
    ]
    count = {"": 5, "doubled": 10, "shuffled": 4, "dropped": 0}[trouble]
    seen = told(sandbox, receiver, count)
    for headers, body in receiver.seen:
        mac = hmac.new(b"whsec_x", body, hashlib.sha256).hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={mac}"
    names = [(event, action) for event, action, _id in seen]
    if trouble == "shuffled":
        assert names[:2] == [usual[1], usual[0]]
    elif trouble == "doubled":
        assert len({delivery for _e, _a, delivery in seen}) == 5
        assert names[::2] == usual
    else:
        assert names == (usual if not trouble else [])


# --- Pages and control ----------------------------------------------------------------------------


def test_the_page_ends_approves_and_runs_again(sandbox, ask, web) -> None:
    dispatch(ask, "release.yml")
    run = only_run(sandbox)
    page = web.get("/sandbox/board").text
    assert "Approve production" in page

    def act(verb: str, **form: Any) -> int:
        return web.post(f"/sandbox/actions/{verb}", data={"run": run.id, **form}).status_code

    assert (act("approve"), run.last.status) == (303, "in_progress")
    assert (act("finish", result="failure"), run.last.conclusion) == (303, "failure")
    assert (act("rerun"), run.last.number) == (303, 2)
    assert act("rerun") == 400
    assert act("finish", result="well") == 400
    assert (act("runners"), sandbox.state.actions.runners_work) == (303, False)
    assert web.get(f"/dream11/app/actions/runs/{run.id}").status_code == 200
    assert web.get("/dream11/app/actions/runs/7").status_code == 404


def test_runs_survive_a_restart(sandbox, ask) -> None:
    dispatch(ask)
    sandbox.state.actions.finish(only_run(sandbox))
    kept = json.loads(json.dumps(sandbox.state.actions.dump()))
    before = only_run(sandbox)
    sandbox.state.reset()
    sandbox.state.actions.load(kept)
    assert only_run(sandbox) == before
