"""F7: what an attacker or a broken proxy sends to the webhook endpoint of a real gunicorn."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from builds.models import Build, BuildEvent, DeliveryState, WebhookDelivery
from faults.clients import Client
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import click, open_work, reset, set_auto_finish, workspaces

LIMIT = 256 * 1024
SLOW = 3  # senders that never finish; fewer than gunicorn's threads
GONE = 0  # the connection was closed without an answer


@dataclass(frozen=True)
class Target:
    """A pipeline's webhook endpoint, and the secret that only Jenkins knows."""

    port: int
    pipeline_id: str
    secret: str

    def sign(self, body: bytes, *, name: str, age: int = 0, secret: str = "") -> dict[str, str]:
        stamp = str(int(time.time()) - age)
        key = base64.b64decode((secret or self.secret).removeprefix("whsec_"))
        mac = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
        return {
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
        }

    def head(self, headers: dict[str, str], length: str | None) -> bytes:
        lines = [
            f"POST /api/v1/webhooks/jenkins/{self.pipeline_id} HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
            *([] if length is None else [f"Content-Length: {length}"]),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def send(self, raw: bytes) -> int:
        """The status of the answer, or GONE. Nothing is sent after `raw`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            try:
                line.sendall(raw)
                line.shutdown(socket.SHUT_WR)
                answer = line.makefile("rb").readline()
            except OSError:
                return GONE
        return int(answer.split()[1]) if answer.startswith(b"HTTP/") else GONE

    def post(self, body: bytes, headers: dict[str, str], length: str | None = None) -> int:
        return self.send(self.head(headers, length or str(len(body))) + body)


def hostile_reports(stack: Stack, options: Options) -> Outcome:
    """F7: forged, stale, repeated, cut, oversized, chunked, nested and slow deliveries, odd numbers
    and lengths: no 5xx and no change; the genuine report after them is accepted."""
    reset(stack)
    set_auto_finish(stack, None)
    (space,) = workspaces(stack, 1)
    client, outcome = Client(stack.web_port), Outcome()
    build_id = click(client, space, space.wired.release("ios")).body["builds"][0]["id"]
    number = until(lambda: _running(build_id), seconds=SETTLE, what="the build runs")
    pipeline = space.wired.pipelines["ios"]
    target = Target(stack.web_port, pipeline.pk, pipeline.webhook_secret.reveal())
    before = _state(build_id)
    with _slow_senders(target):
        answers = {name: send() for name, send in attacks(target, number).items()}
        seconds = client.api(space.token, "GET", "releases").seconds
    until(lambda: not WebhookDelivery.objects.waiting().exists(), seconds=60, what="all read")
    outcome.expect(_state(build_id) == before, "something changed")
    for name, status in answers.items():
        outcome.expect(status < 500, f"{name}: {status}")
        outcome.expect(status == 202 or not name.startswith("signed"), f"{name}: {status}")
        outcome.expect(status != 202 or name.startswith("signed"), f"{name} was accepted")
    applied = WebhookDelivery.objects.filter(state=DeliveryState.APPLIED).count()
    outcome.expect(not applied, f"{applied} hostile reports were applied")
    stack.sandbox.finish("ios-prod", number)
    report = json.dumps({"buildNumber": number, "status": "SUCCESS"}).encode()
    headers = target.sign(report, name="genuine")
    accepted = [target.post(report, headers) for _n in range(3)]
    outcome.expect(accepted == [202] * 3, f"the genuine report: {accepted}")
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    kept = WebhookDelivery.objects.filter(dedupe_key="id:genuine").count()
    outcome.expect(kept == 1, f"the genuine report was kept {kept} times")
    outcome.expect(Build.objects.get(pk=build_id).status == "SUCCESS", "the genuine report is lost")
    judged = judge(stack, client)
    outcome.figures |= {"answers": answers, "others meanwhile s": round(seconds, 2)}
    outcome.expect(seconds < 5, f"others waited {seconds:.1f} s")
    return Outcome(judged.figures | outcome.figures, outcome.broken + judged.broken)


def _running(build_id: str) -> int | None:
    """The build's number once it is running, else None."""
    running = Build.objects.filter(pk=build_id, status="RUNNING")
    return running.values_list("number", flat=True).first()


def _state(build_id: str) -> Any:
    build = Build.objects.filter(pk=build_id).values("status", "number", "artifact_url", "url")
    return list(build), BuildEvent.objects.filter(source="WEBHOOK").count()


def attacks(target: Target, number: int) -> dict[str, Callable[[], int]]:
    """What is sent, by name. Those that begin with "signed" come from somebody who has the secret:
    they are stored as received and ignored."""
    body = json.dumps({"buildNumber": number, "status": "FAILURE"}).encode()
    good = target.sign(body, name="stolen")
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    signed = {
        "signed, not JSON": b"{",
        "signed, nested 100,000 deep": b"[" * 100_000,
        "signed, NaN for a number": b'{"buildNumber": NaN, "status": "FAILURE"}',
        "signed, a number of 5,000 digits": b'{"status":"FAILURE","buildNumber":%s}'
        % (b"9" * 5000),
        "signed, NUL in the words": b'{"buildId": "a\\u0000b", "status": "FAILURE"}',
        "signed, a lone surrogate": b'{"buildId": "\\ud800", "status": "FAILURE"}',
        "signed, no UTF-8": b'{"buildId": "\xff\xfe", "status": "FAILURE"}',
        "signed, a list": b"[1]",
        "signed, empty": b"",
        "signed, a status nobody knows": b'{"buildNumber": %d, "status": "EXPLODED"}' % number,
        "signed, negative number": b'{"buildNumber": -1, "status": "FAILURE"}',
    }
    return {
        **{name: _signed(target, text, f"s{n}") for n, (name, text) in enumerate(signed.items())},
        "unsigned": lambda: target.post(body, {}),
        "forged": lambda: target.post(body, target.sign(body, name="f", secret=other)),
        "body changed": lambda: target.post(body.replace(b"FAILURE", b"ABORTED"), good),
        "stale": lambda: target.post(body, target.sign(body, name="old", age=3600)),
        "from the future": lambda: target.post(body, target.sign(body, name="new", age=-3600)),
        "truncated": lambda: target.post(body[:10], good, length=str(len(body))),
        "oversized": lambda: target.post(b"x" * (LIMIT + 1), good),
        "oversized, as it says": lambda: target.post(b"", good, length="9" * 30),
        "chunked and oversized": lambda: target.send(_chunked(target, good, b"x" * (LIMIT + 1))),
        "chunked, cut": lambda: target.send(_chunked(target, good, body)[:-5]),
        "chunked, odd size": lambda: target.send(
            target.head({**good, "Transfer-Encoding": "chunked"}, None) + b"zz\r\nhello\r\n"
        ),
        "chunked with a length": lambda: target.send(
            target.head({**good, "Transfer-Encoding": "chunked"}, "5") + b"0\r\n\r\n"
        ),
        "length in words": lambda: target.post(body, good, length="many"),
        "negative length": lambda: target.post(body, good, length="-1"),
        "timestamp of 5,000 digits": lambda: target.post(
            body, {**good, "webhook-timestamp": "9" * 5000}
        ),
        "signature of odd bytes": lambda: target.post(
            body, {**good, "webhook-signature": "v1,\u00e4 v1 ,,"}
        ),
        "not HTTP": lambda: target.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    }


def _signed(target: Target, text: bytes, name: str) -> Callable[[], int]:
    return lambda: target.post(text, target.sign(text, name=name))


def _chunked(target: Target, headers: dict[str, str], body: bytes) -> bytes:
    head = target.head({**headers, "Transfer-Encoding": "chunked"}, None)
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@contextmanager
def _slow_senders(target: Target) -> Iterator[None]:
    """Meanwhile some senders send one byte a second and never finish."""
    ending = threading.Event()

    def drip() -> None:
        with socket.create_connection(("127.0.0.1", target.port), timeout=30) as line:
            line.sendall(target.head({}, "100"))
            while not ending.wait(1):
                line.sendall(b" ")

    threads = [threading.Thread(target=drip) for _n in range(SLOW)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()
