"""What jobs send, received by a server with its own signature check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.ci_jobs import Webhook
from sandbox.webhooks import is_loopback

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
VALUES = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "DELIVR_BUILD_ID": "bld_1"}


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.status = 202

    def next(self) -> tuple[dict[str, str], dict]:
        headers, body = self.received.get(timeout=5)
        return headers, json.loads(body)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.put((headers | {":path": self.path}, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def report(sandbox, receiver):
    """`report(style)`: ios-prod sends its reports to the receiver."""

    def configure(style: str, secret: str = SECRET) -> None:
        url = f"http://127.0.0.1:{receiver.server_port}/hooks/pipeline_1?x=1"
        sandbox.state.jenkins.job("ios-prod").webhook = Webhook(url, secret, style)

    return configure


def build(sandbox, result: str = "SUCCESS") -> None:
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.enqueue(ci.job("ios-prod"), VALUES, user="delivr", delay=0)
    ci.finish("ios-prod", ci.builds_of("ios-prod")[0].number, result)


def wait_for(sandbox, count: int) -> list[dict]:
    """The ledger's webhook entries, once there are `count` of them."""
    deadline = time.monotonic() + 5
    while len(found := sandbox.state.ledger.of("webhook.sent")) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} were sent"
        time.sleep(0.01)
    return found


def test_a_signed_report_can_be_verified(sandbox, receiver, report):
    report("signed")
    build(sandbox)
    seen = []
    for _ in range(2):
        headers, body = receiver.received.get(timeout=5)
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        assert headers["content-type"] == "application/json"
        seen.append((headers["webhook-id"], json.loads(body)))
    assert seen[0][0] != seen[1][0]
    build_url = f"{sandbox.url}/jenkins/job/ios-prod/245/"
    same = {"buildNumber": 245, "buildUrl": build_url, "queueId": 1001, "buildId": "bld_1"}
    assert seen[0][1] == {**same, "status": "RUNNING"}
    assert seen[1][1] == {**same, "status": "SUCCESS", "artifactUrl": "s3://builds/ios-245.ipa"}


def test_the_sandboxs_clock_does_not_age_signatures(sandbox, receiver, report):
    report("signed")
    sandbox.state.advance(86_400)
    build(sandbox)
    headers, _ = receiver.next()
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_a_failed_build_reports_no_artifact(sandbox, receiver, report):
    report("signed")
    build(sandbox, "FAILURE")
    receiver.next()
    _, body = receiver.next()
    assert body["status"] == "FAILURE"
    assert "artifactUrl" not in body


def test_the_notification_plugin_sends_four_events_under_basic(sandbox, receiver, report):
    report("notification", secret="s3cret:with:colons")
    build(sandbox)
    events = [receiver.next() for _ in range(4)]
    for headers, _ in events:
        kind, _, value = headers["authorization"].partition(" ")
        assert (kind, base64.b64decode(value)) == ("Basic", b"delivr:s3cret:with:colons")
        assert "webhook-signature" not in headers
    builds = [body["build"] for _, body in events]
    assert [b["phase"] for b in builds] == ["QUEUED", "STARTED", "COMPLETED", "FINALIZED"]
    assert [b.get("status") for b in builds] == [None, None, "SUCCESS", "SUCCESS"]
    last = events[-1][1]
    assert (last["name"], last["url"]) == ("ios-prod", "job/ios-prod/")
    assert last["build"]["full_url"] == f"{sandbox.url}/jenkins/job/ios-prod/245/"
    assert (last["build"]["number"], last["build"]["queue_id"]) == (245, 1001)
    assert last["build"]["parameters"] == VALUES
    archive = f"{sandbox.url}/jenkins/job/ios-prod/245/artifact/ios-245.ipa"
    assert last["build"]["artifacts"] == {"ios-245.ipa": {"archive": archive}}


def test_the_short_name_hides_the_folder(sandbox, receiver):
    job = sandbox.state.jenkins.job("mobile/ios-beta")
    job.webhook = Webhook(f"http://127.0.0.1:{receiver.server_port}/", "x", "notification")
    with sandbox.state.lock:
        sandbox.state.jenkins.enqueue(job, {}, user="delivr", delay=0)
    _, body = receiver.next()
    assert (body["name"], body["build"]["url"]) == ("ios-beta", "job/mobile/job/ios-beta/31/")


@pytest.mark.parametrize("status", [202, 500, 307])
def test_the_answer_is_recorded_and_ignored(sandbox, receiver, report, status):
    report("signed")
    receiver.status = status
    build(sandbox)
    entries = wait_for(sandbox, 2)
    assert [entry["answer"] for entry in entries] == [status, status]
    assert [entry["status"] for entry in entries] == ["RUNNING", "SUCCESS"]
    assert receiver.received.qsize() == 2


def test_no_secret_reaches_the_ledger(sandbox, receiver, report):
    report("notification", secret="canary-secret")
    build(sandbox)
    wait_for(sandbox, 4)
    assert "canary-secret" not in json.dumps(list(sandbox.state.ledger))
    assert "?x=1" not in json.dumps(list(sandbox.state.ledger))


def test_a_receiver_that_is_down_causes_no_error(sandbox):
    sandbox.state.jenkins.job("ios-prod").webhook = Webhook("http://127.0.0.1:9/", "x", "signed")
    build(sandbox)
    assert [entry["answer"] for entry in wait_for(sandbox, 2)] == ["ConnectionError"] * 2


def test_nothing_is_sent_beyond_this_computer(sandbox):
    url = "http://delivr.example/hooks"
    sandbox.state.jenkins.job("ios-prod").webhook = Webhook(url, "x", "signed")
    build(sandbox)
    assert {entry["answer"] for entry in wait_for(sandbox, 2)} == {
        "refused: only loopback addresses"
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost/x", True),
        ("https://[::1]:1/x", True),
        ("http://10.0.0.1/x", False),
        ("http://127.0.0.1.example/x", False),
        ("http://127.0.0.1@delivr.example/x", False),
        ("ftp://127.0.0.1/x", False),
        ("", False),
    ],
)
def test_loopback_is_recognised_by_its_address(url, expected):
    assert is_loopback(url) is expected


def test_a_job_without_a_webhook_sends_nothing(sandbox):
    build(sandbox)
    assert sandbox.state.ledger.of("build.finished")
    assert not sandbox.state.ledger.of("webhook.sent")
