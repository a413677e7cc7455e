"""The receiver of docs/any-ci.md, run as it stands there: between delivr's provider and a local
server that answers as each CI does."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from integrations.providers.any_ci.provider import AnyCi
from integrations.providers.any_ci.tests.test_provider import REQUEST, SECRET
from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle
from integrations.providers.tests.wire import Reply, Wire

DOCUMENT = Path(__file__).resolve().parents[4] / "docs/any-ci.md"
SOURCE = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

# For each CI: its project, where a build is started and asked for, their answers, the header that
# it wants, what the body has to contain, and what delivr makes of the build then.
CIS: dict[str, dict[str, Any]] = {
    "bitrise": {
        "project": "app1",
        "start": "/apps/app1/builds",
        "made": {"build_slug": "s1", "build_number": 7, "build_url": "https://ci.example.com/7"},
        "status": "/apps/app1/builds/s1",
        "told": {"data": {"status": 1, "is_on_hold": False}},
        "auth": ("authorization", "t0ken"),
        "body": {"mapped_to": "DELIVR_BUILD_ID", "value": "bld_1", "is_expand": False},
        "is": ("SUCCESS", 7),
    },
    "circleci": {
        "project": "gh/dream11/app",
        "start": "/project/gh/dream11/app/pipeline/run",
        "made": {"id": "p1", "number": 8, "state": "pending"},
        "status": "/pipeline/p1/workflow",
        "told": {"items": [{"status": "success"}, {"status": "on_hold"}]},
        "auth": ("circle-token", "t0ken"),
        "body": {"delivr_build_id": "bld_1"},
        "is": ("WAITING", 8),
    },
    "codemagic": {
        "project": "a1",
        "start": "/builds",
        "made": {"buildId": "b1"},
        "status": "/builds/b1",
        "told": {"build": {"status": "fetching"}},
        "auth": ("x-auth-token", "t0ken"),
        "body": {"appId": "a1", "workflowId": "w1", "branch": "release/1.5.0"},
        "is": ("RUNNING", None),
    },
    "buildkite": {
        "project": "dream11/app",
        "start": "/organizations/dream11/pipelines/app/builds",
        "made": {"id": "u1", "number": 9, "web_url": "https://ci.example.com/9"},
        "status": "/organizations/dream11/pipelines/app/builds/9",
        "told": {"state": "failed"},
        "auth": ("authorization", "Bearer t0ken"),
        "body": {"commit": "c0ffee", "meta_data": {"delivr": "bld_1"}},
        "is": ("FAILURE", 9),
    },
    "azure": {
        "project": "dream11/app",
        "start": "/dream11/app/_apis/pipelines/w1/runs",
        "made": {"id": 10, "_links": {"web": {"href": "https://ci.example.com/10"}}},
        "status": "/dream11/app/_apis/pipelines/w1/runs/10",
        "told": {"state": "completed", "result": "canceled"},
        "auth": ("authorization", "Basic " + base64.b64encode(b":t0ken").decode()),
        "body": {"DELIVR_BUILD_ID": {"value": "bld_1"}},
        "is": ("ABORTED", 10),
    },
    "teamcity": {
        "project": "",
        "start": "/app/rest/buildQueue",
        "made": {"id": 11, "state": "queued", "webUrl": "https://ci.example.com/11"},
        "status": "/app/rest/builds/id:11",
        "told": {"state": "queued"},
        "auth": ("authorization", "Bearer t0ken"),
        "body": {"name": "env.DELIVR_BUILD_ID", "value": "bld_1"},
        "is": ("QUEUED", None),
    },
}


@pytest.fixture
def relay(
    wire: Wire, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], AnyCi]]:
    """delivr's provider, whose receiver is a running relay for the CI."""
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    servers = []

    def run(name: str) -> AnyCi:
        given = {"CI": name, "CI_API": wire.url, "CI_TOKEN": "t0ken", "CI_WORKFLOW": "w1"}
        given |= {"CI_PROJECT": CIS[name]["project"], "DELIVR_SECRET": SECRET}
        for setting, value in {**given, "RELAY_DB": str(tmp_path / "relay.db")}.items():
            monkeypatch.setenv(setting, value)
        assert SOURCE is not None
        program: dict[str, Any] = {"__name__": "relay"}
        exec(compile(SOURCE[1], str(DOCUMENT), "exec"), program)  # noqa: S102 # ours
        monkeypatch.setattr(program["Handler"], "log_message", lambda *_: None)
        server = program["serve"](0)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.005,)).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        return AnyCi(
            trigger_url=url,
            secrets=[SECRET],
            callback_url="https://delivr.example.com/callback",
            status_url=url + "{buildId}",
        )

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()
        server.relay.db.close()


def contains(document: Any, part: Any) -> bool:
    """True if one of the objects in a document has all that is in `part`."""
    if isinstance(document, dict):
        if all(document.get(name) == value for name, value in part.items()):
            return True
        return any(contains(one, part) for one in document.values())
    return isinstance(document, list) and any(contains(one, part) for one in document)


@pytest.mark.parametrize("name", CIS)
def test_each_ci_is_started_once_and_followed(wire: Wire, relay: Any, name: str) -> None:
    known, ci = CIS[name], relay(name)
    wire.routes = {known["start"]: Reply(known["made"], 201), known["status"]: Reply(known["told"])}
    assert [check.code for check in ci.verify()] == ["ok", "not_testable", "ok"]
    first, repeat = ci.trigger(REQUEST), ci.trigger(REQUEST)
    assert first == repeat
    assert wire.count(known["start"]) == 1
    sent = wire.last(known["start"])
    header, value = known["auth"]
    assert sent.headers[header] == value
    assert contains(sent.json, known["body"]), sent.json
    assert "release/1.5.0" in json.dumps(sent.json)
    assert "beta" in json.dumps(sent.json)
    state = ci.read(BuildHandle(), build_id="bld_1")
    assert (str(state.status), state.number) == known["is"]
    assert state.url.startswith("https://")


def test_what_the_ci_refuses_is_told_and_may_be_sent_again(wire: Wire, relay: Any) -> None:
    known, ci = CIS["buildkite"], relay("buildkite")
    wire.routes[known["start"]] = [Reply({"message": "No"}, 422), Reply(known["made"], 201)]
    with pytest.raises(ProviderError) as caught:
        ci.trigger(REQUEST)
    assert caught.value.outcome is Outcome.REFUSED
    assert ci.find(REQUEST, since=datetime.now(UTC)) is None
    assert ci.trigger(REQUEST).number == 9


def test_what_may_have_started_is_not_started_again(wire: Wire, relay: Any) -> None:
    known, ci = CIS["buildkite"], relay("buildkite")
    wire.routes[known["start"]] = Reply({"message": "Oops"}, 500)
    for call in (
        lambda: ci.trigger(REQUEST),
        lambda: ci.trigger(REQUEST),
        lambda: ci.find(REQUEST, since=datetime.now(UTC)),
    ):
        with pytest.raises(ProviderError) as caught:
            call()
        assert caught.value.outcome is Outcome.UNCERTAIN
    assert wire.count(known["start"]) == 1


def test_nothing_is_started_without_the_secret(wire: Wire, relay: Any) -> None:
    ci = relay("buildkite")
    forged = AnyCi(
        trigger_url=ci._trigger_url,
        secrets=["whsec_YW5vdGhlci1hbm90aGVyLWFub3RoZXI="],
        callback_url="",
        status_url=ci._status_url,
    )
    with pytest.raises(ProviderError, match="HTTP 401"):
        forged.trigger(REQUEST)
    assert requests.post(ci._trigger_url, data=b"{}", timeout=5).status_code == 401
    assert wire.seen == []
