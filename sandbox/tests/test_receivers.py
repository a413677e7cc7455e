"""The receivers of Any CI: they check signatures, build each id once, and report."""

from __future__ import annotations

import base64
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from sandbox.accounts import ANY_CI_SECRET, ANY_CI_TOKEN
from sandbox.webhooks import signature

NOWHERE = "http://127.0.0.1:1/callback"


def trigger(web: Any, build_id: str = "bld_1", *, callback: str = NOWHERE, **changes: Any) -> Any:
    data = {"buildId": build_id, "version": "1.5.0", "branch": "release/1.5.0", "commit": None}
    data |= {"platform": "IOS", "parameters": {}, "callbackUrl": callback}
    body = json.dumps({"type": "build.trigger", "data": {**data, **changes}}).encode()
    return web.post("/anyci/hooks/ios", data=body, headers=signed(build_id, body))


def signed(message_id: str, body: bytes, *, secret: str = ANY_CI_SECRET) -> dict[str, str]:
    now = str(int(time.time()))
    mac = signature(secret, f"{message_id}.{now}.".encode() + body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,of-an-earlier-secret v1,{base64.b64encode(mac).decode()}",
        "Authorization": f"Bearer {ANY_CI_TOKEN}",
    }


def status(web: Any, build_id: str) -> Any:
    return web.get(f"/anyci/status/{build_id}", headers=signed(build_id, b""))


def test_each_id_is_built_once(sandbox: Any, web: Any) -> None:
    first, again = trigger(web), trigger(web)
    assert (first.status_code, again.status_code) == (202, 202)
    assert (
        first.json()
        == again.json()
        == {
            "buildNumber": 501,
            "buildUrl": f"{sandbox.url}/anyci/builds/501",
        }
    )
    ledger = sandbox.state.ledger
    assert len(ledger.of("build.queued")) == len(ledger.of("trigger.repeated")) == 1
    sandbox.state.receivers.all["ios"].builds_repeats = True
    assert trigger(web).json()["buildNumber"] == 502


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed("bld_1", b"{}", secret="another"),
        {**signed("bld_1", b"{}"), "webhook-timestamp": "1"},
        {**signed("bld_1", b"{}"), "Authorization": "Bearer wrong"},
    ],
)
def test_what_is_not_signed_is_refused(sandbox: Any, web: Any, headers: dict[str, str]) -> None:
    assert web.post("/anyci/hooks/ios", data=b"{}", headers=headers).status_code == 401
    assert web.get("/anyci/status/bld_1", headers=headers).status_code == 401
    assert sandbox.state.receivers.builds == []


def test_another_body_is_refused(sandbox: Any, web: Any) -> None:
    assert trigger(web, extra=1).status_code == 400
    assert web.post("/anyci/hooks/none").status_code == 404


def test_a_build_goes_on_by_the_clock_and_is_told(sandbox: Any, web: Any) -> None:
    receiver = sandbox.state.receivers.all["ios"]
    receiver.queue_seconds, receiver.auto_finish_seconds = 10, 20
    assert status(web, "bld_1").status_code == 404
    trigger(web)
    seen = []
    for _step in range(3):
        seen.append(status(web, "bld_1").json()["status"])
        sandbox.state.advance(15)
    assert seen == ["QUEUED", "RUNNING", "RUNNING"]
    told = status(web, "bld_1").json()
    assert (told["status"], told["artifactUrl"]) == ("SUCCESS", "s3://builds/ios-501.zip")
    receiver.has_status = False
    assert status(web, "bld_1").status_code == 404


def test_its_reports_are_signed_unless_it_is_silent(sandbox: Any, web: Any) -> None:
    seen: list[Any] = []

    class Callback(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(("webhook-signature" in self.headers, json.loads(body)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Callback) as server:
        server.timeout = 5
        thread = Thread(target=lambda: [server.handle_request() for _n in range(2)])
        thread.start()
        trigger(web, callback=f"http://127.0.0.1:{server.server_port}/")
        form = {"number": "501", "result": "FAILURE"}
        assert web.post("/sandbox/receivers/finish", data=form).status_code == 303
        thread.join()
    assert [(is_signed, body["status"], body["buildId"]) for is_signed, body in seen] == [
        (True, "RUNNING", "bld_1"),
        (True, "FAILURE", "bld_1"),
    ]
    form = {"name": "ios", "isSilent": "on", "hasStatus": "on", "secret": "whsec_bmV3"}
    assert web.post("/settings/receiver", data=form).status_code == 303
    receiver = sandbox.state.receivers.all["ios"]
    assert (receiver.is_silent, receiver.builds_repeats) == (True, False)
    assert receiver.secret == "whsec_bmV3"


def test_the_pages_show_its_builds(sandbox: Any, web: Any) -> None:
    trigger(web)
    board = web.get("/").text
    for words in ("Any CI", "#501", "bld_1", "release/1.5.0"):
        assert words in board
    assert "bld_1" in web.get("/anyci/builds/501").text
    assert "It never reports" in web.get("/settings").text
    assert "/anyci/hooks/ios" in web.get("/credentials").text


def test_the_control_api_changes_and_ends(sandbox: Any, web: Any) -> None:
    path = "/sandbox/api/webhook"
    changed = web("PATCH", f"{path}/jobs/127.0.0.1:1/anyci/hooks/ios", json={"silent": True})
    assert changed.json()["silent"] is True
    assert web("PATCH", f"{path}/jobs/ios", json={"loud": True}).status_code == 400
    assert web("PATCH", f"{path}/jobs/none", json={}).status_code == 404
    trigger(web)
    assert web.post(f"{path}/builds/501/finish", json={"result": "PERFECT"}).status_code == 400
    assert web.post(f"{path}/builds/501/finish", json={}).json()["result"] == "SUCCESS"
    [ios, android] = web.get(f"{path}/jobs").json()["jobs"]
    assert ([b["number"] for b in ios["builds"]], android["builds"]) == ([501], [])
