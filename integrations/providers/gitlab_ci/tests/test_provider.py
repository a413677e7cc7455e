"""What each answer of GitLab leads to, against a local server."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest

from delivr.outbound import OutboundError
from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildRequest, BuildStatus
from integrations.providers.gitlab_ci.client import PipelineClient
from integrations.providers.gitlab_ci.config import MAX_NAME, CiFile, parse_ci_file
from integrations.providers.gitlab_ci.pipelines import MOST_CHILDREN
from integrations.providers.gitlab_ci.provider import GitLabCi
from integrations.providers.gitlab_ci.reading import read_pipeline
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Wire, everything_in

TOKEN = "glpat-canary0123456789"
API = "/git/api/v4"
PROJECT = f"{API}/projects/group%2Fapp"
CREATE = f"{PROJECT}/pipeline"
PIPELINE = f"{PROJECT}/pipelines/61"
FILE = """\
spec:
  inputs:
    version:
    delivr_build_id: {default: ""}
    level: {type: number, default: 1}
---
workflow: {name: "$[[ inputs.delivr_build_id ]]"}
build: {script: make}
"""
REQUEST = BuildRequest(
    build_id="bld_1",
    version="1.5.0",
    branch="release/1.5.0",
    platform="IOS",
    parameters={"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "level": "2.5"},
)
HANDLE = BuildHandle(external_id="61/1")
MADE = {"id": 61, "iid": 21, "status": "created", "source": "api", "ref": "release/1.5.0"}
ENDED = {
    **MADE,
    "status": "failed",
    "name": "bld_1",
    "started_at": "2026-11-29T12:00:00.500Z",
    "finished_at": "2026-11-29T12:10:00.500Z",
}


class HastyGitLab(GitLabCi):
    deadline = 1.0


@pytest.fixture
def gitlab(wire: Wire, settings: Any) -> Any:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    content = base64.b64encode(FILE.encode()).decode()
    wire.routes |= {
        f"{API}/version": Reply({"version": "18.6.1-ee"}),
        PROJECT: Reply({"id": 1, "default_branch": "main", "ci_config_path": ""}),
        f"{PROJECT}/repository/files/.gitlab-ci.yml": Reply({"content": content}),
    }

    def make(kind: type[GitLabCi] = GitLabCi) -> GitLabCi:
        url = f"{wire.url}/git/group/app"
        return kind(repository_url=url, access_token=TOKEN, server=f"{wire.url}/git")

    return make


def failing(call: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    assert TOKEN not in everything_in(caught.value)
    return caught.value


def test_what_is_sent_is_what_gitlab_documents(wire: Wire, gitlab: Any) -> None:
    wire.routes[CREATE] = Reply(MADE, status=201)
    state = gitlab().trigger(REQUEST)
    assert (state.external_id, state.status) == ("61/1", BuildStatus.QUEUED)
    seen = wire.last(CREATE)
    assert seen.json == {
        "ref": "release/1.5.0",
        "inputs": {"version": "1.5.0", "delivr_build_id": "bld_1", "level": 2.5},
    }
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"


def base(words: str) -> Reply:
    return Reply({"message": {"base": [words]}}, status=400)


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (base("Something else"), Outcome.REFUSED, "refused"),
        (base("Reference not found"), Outcome.REFUSED, "branch_unknown"),
        (base("Pipeline filtered out by workflow rules."), Outcome.REFUSED, "no_jobs"),
        (base("Missing CI config file"), Outcome.REFUSED, "ci_file_missing"),
        (Reply({"message": "401 Unauthorized"}, 401), Outcome.CREDENTIALS, "bad_credentials"),
        (Reply({"message": "403 Forbidden"}, 403), Outcome.CREDENTIALS, "forbidden"),
        (Reply({"message": "404 Project Not Found"}, 404), Outcome.REFUSED, "project_not_found"),
        (Reply({"message": "Retry later"}, 429), Outcome.RATE_LIMITED, "rate_limited"),
        (Reply({"message": "500"}, 500), Outcome.UNCERTAIN, "server_error"),
        (Reply({}, status=201), Outcome.UNCERTAIN, "garbage"),
        (Reply({"id": True, "status": "x"}, status=201), Outcome.UNCERTAIN, "garbage"),
        (LOGIN_PAGE, Outcome.UNCERTAIN, "garbage"),
        (Reply({}, status=202), Outcome.UNCERTAIN, "garbage"),
        (Reply(b"<html>", status=403), Outcome.NOT_SENT, "not_the_system"),
        (Reply(fault="reset"), Outcome.UNCERTAIN, "connection_lost"),
        (Reply(fault="hang"), Outcome.UNCERTAIN, "timeout"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_each_answer_to_a_creation_means(
    wire: Wire, gitlab: Any, reply: Reply, outcome: Outcome, code: str
) -> None:
    wire.routes[CREATE] = reply
    error = failing(lambda: gitlab(HastyGitLab).trigger(REQUEST))
    assert (error.outcome, wire.count(CREATE)) == (outcome, 1)
    if code != "connection_lost":
        assert error.code == code


@pytest.mark.parametrize("path", [PROJECT, f"{API}/version"])
@pytest.mark.parametrize("reply", [LOGIN_PAGE, Reply({"m": 1}, 502), Reply(fault="reset")])
def test_trouble_before_the_creation_is_never_uncertain(
    wire: Wire, gitlab: Any, path: str, reply: Reply
) -> None:
    wire.routes[path] = reply
    error = failing(lambda: gitlab(HastyGitLab).trigger(REQUEST))
    assert (error.outcome, wire.count(CREATE)) == (Outcome.NOT_SENT, 0)


@pytest.mark.parametrize(
    ("replies", "result"),
    [
        ({PIPELINE: Reply({"message": "404 Not Found"}, 404), "list": Reply([])}, None),
        (
            {PIPELINE: Reply({"message": "404 Not Found"}, 404), "list": Reply({"m": 1}, 403)},
            "raises",
        ),
        ({PIPELINE: LOGIN_PAGE}, "raises"),
        ({PIPELINE: Reply({"id": 61})}, "raises"),
        ({PIPELINE: Reply({**MADE, "status": "a_new_word"})}, BuildStatus.RUNNING),
        # Bridges, and whatever is no job, are not needed to know how it ended.
        ({PIPELINE: Reply(ENDED), "jobs": Reply([{"id": 1}, "x", {}])}, BuildStatus.FAILURE),
    ],
    ids=range(6),
)
def test_what_each_answer_to_a_read_means(
    wire: Wire, gitlab: Any, replies: dict[str, Reply], result: Any
) -> None:
    wire.routes |= {
        PIPELINE: replies[PIPELINE],
        f"{PROJECT}/pipelines": replies.get("list", Reply([])),
        f"{PIPELINE}/jobs": replies.get("jobs", Reply([])),
        f"{PIPELINE}/bridges": Reply([]),
    }
    if result == "raises":
        error = failing(lambda: gitlab(HastyGitLab).read(HANDLE, build_id="bld_1"))
        assert error.outcome is not Outcome.REFUSED
        return
    state = gitlab().read(HANDLE, build_id="bld_1")
    assert (state and state.status) == result
    if result is BuildStatus.FAILURE:
        assert state.duration_ms == 600_000


def test_not_every_child_pipeline_is_asked_for_artifacts(wire: Wire, gitlab: Any) -> None:
    """All calls of a poll together have 20 seconds: it would never learn of the success."""
    bridges = [
        {
            "id": 100 + n,
            "name": f"child {n}",
            "status": "success",
            "created_at": "2026-11-29T12:00:00Z",
            "downstream_pipeline": {"id": 1000 + n, "source": "parent_pipeline"},
        }
        for n in range(30)
    ]
    asked: list[str] = []

    def nothing(seen: Any) -> Reply:
        asked.append(seen.path)
        return Reply([])

    wire.routes |= {
        PIPELINE: Reply({**ENDED, "status": "success"}),
        f"{PIPELINE}/jobs": Reply([]),
        f"{PIPELINE}/bridges": Reply(bridges),
        **{f"{PROJECT}/pipelines/{1000 + n}/jobs": nothing for n in range(30)},
        **{f"{PROJECT}/pipelines/{1000 + n}/bridges": Reply([]) for n in range(30)},
    }
    assert gitlab().read(HANDLE, build_id="bld_1").status is BuildStatus.SUCCESS
    assert len(asked) == MOST_CHILDREN


PLAIN = "build: {script: make}"  # it takes variables, our id among them


@pytest.mark.parametrize(
    ("file", "variables", "is_certain"),
    [
        (FILE, Reply({"message": "403 Forbidden"}, 403), True),  # its name would tell
        (FILE.replace("$[[ inputs.delivr_build_id ]]", "App"), Reply([]), False),
        (PLAIN, Reply([]), True),
        (PLAIN, Reply({"message": "403 Forbidden"}, 403), False),
        (PLAIN, Reply([{"key": "DELIVR_BUILD_ID", "value": "bld_2"}]), True),
    ],
    ids=range(5),
)
def test_what_may_be_there_unseen_is_not_created_again(
    wire: Wire, gitlab: Any, file: str, variables: Reply, is_certain: bool
) -> None:
    content = base64.b64encode(file.encode()).decode()
    make, now = gitlab(), "2026-11-29T12:00:00Z"
    wire.routes |= {
        f"{PROJECT}/repository/files/.gitlab-ci.yml": Reply({"content": content}),
        f"{PROJECT}/pipelines": Reply([{**MADE, "created_at": now}]),
        f"{PIPELINE}/variables": variables,
    }
    since = datetime.fromisoformat(now)
    if is_certain:
        make.check_absent(REQUEST, since=since)
    else:
        error = failing(lambda: make.check_absent(REQUEST, since=since))
        assert (error.code, error.outcome) == ("cannot_correlate", Outcome.REFUSED)
    lists = [seen for seen in wire.seen if seen.path == f"{PROJECT}/pipelines"]
    assert {seen.query["source"] for seen in lists} <= {"api"}  # a push starts some, too


def test_of_a_long_log_the_end_is_read(
    wire: Wire, gitlab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = PipelineClient(TOKEN, server=f"{wire.url}/git", deadline=10)
    wire.routes[f"{API}/trace"] = Reply(b"".join(b"%07d\n" % n for n in range(100_000)))
    assert client.end_of("/trace", 24) == b"0099997\n0099998\n0099999\n"
    monkeypatch.setattr("integrations.providers.gitlab_ci.client.LONGEST_LOG", 1000)
    assert client.end_of("/trace", 24) == b""


def test_a_file_leads_to_no_other_server_within_the_network(
    wire: Wire, gitlab: Any, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1", "localhost"]
    client = PipelineClient(TOKEN, server=f"{wire.url}/git", deadline=10)
    wire.routes["/storage"] = Reply(b"file")
    for host, is_opened in (("127.0.0.1", True), ("localhost", False)):
        there = f"{wire.url.replace('127.0.0.1', host)}/storage"
        wire.routes[f"{API}/artifacts"] = Reply(b"", 302, {"Location": there})
        if is_opened:
            client.open("/artifacts").close()
        else:
            with pytest.raises(OutboundError) as caught:
                client.open("/artifacts")
            assert caught.value.code == "address_refused"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FILE, True),
        (FILE.replace('"$[[ inputs.delivr_build_id ]]"', "App"), False),
        ("workflow: {name: 'Build $DELIVR_BUILD_ID'}", True),
        ("workflow: {name: 'Build ${DELIVR_BUILD_ID}'}\nbuild: !reference [.a, b]", True),
        ("workflow: {name: $DELIVR_BUILD_IDS}", False),
        # What follows the header need not be YAML before the inputs are put in.
        ("spec: {inputs: {delivr_build_id: }}\n---\n$[[ inputs.a ]]: [", False),
    ],
)
def test_whether_a_name_tells_our_id(text: str, expected: bool) -> None:
    assert parse_ci_file(text.encode()).names_build_id is expected


def test_a_header_alone_declares_nothing() -> None:
    """GitLab takes the first document for a header only where another one follows."""
    assert parse_ci_file(b"spec: {inputs: {a: {}}}") == CiFile()
    for text in (b"", b"- a", b"spec: [", b"\xff", b"a: &a [*a]\nb: " + b"*a " * 9):
        with pytest.raises(ValueError, match=r"YAML|no CI file"):
            parse_ci_file(text)


def test_only_the_beginning_of_a_long_name_is_searched() -> None:
    header = "spec: {inputs: {delivr_build_id: {default: ''}}}\n---\n"
    name = "$[[inputs.a" * 9000
    found = parse_ci_file(f"{header}workflow:\n  name: {name!r}".encode())
    assert len(found.name) == MAX_NAME
    assert not found.names_build_id


def test_waiting_between_two_jobs_is_running() -> None:
    for status in ("waiting_for_resource", "pending", "scheduled", "canceling"):
        data = {**ENDED, "status": status}
        assert read_pipeline(data).state is BuildStatus.RUNNING
