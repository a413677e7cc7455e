"""Send webhooks as CI servers do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from django.test import Client

from builds.models import WebhookDelivery
from integrations.models import PipelineIntegration

NOWHERE = "http://127.0.0.1:1"
SEED = {"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://builds/ios-245.ipa"}
PLUGIN = {
    "name": "ios-prod",
    "url": "job/ios-prod/",
    "build": {
        "full_url": "http://127.0.0.1:1/jenkins/job/ios-prod/245/",
        "number": 245,
        "queue_id": 1001,
        "phase": "COMPLETED",
        "status": "SUCCESS",
        "artifacts": {"ios-245.ipa": {"s3": "s3://builds/ios-245.ipa"}},
    },
}
_ids = count()
# What every request passes before Django: see `builds.tests.both_ways`.
around: Callable[[Any], Any] | None = None


def path(pipeline: Any) -> str:
    return f"/api/v1/webhooks/jenkins/{getattr(pipeline, 'pk', pipeline)}"


def raw(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def signed(
    secret: str, body: bytes, *, message_id: str | None = None, at: float | None = None
) -> dict[str, str]:
    """Headers of Standard Webhooks, computed independently of the code under test."""
    message_id = message_id if message_id is not None else f"msg_{next(_ids)}"
    moment = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def basic(password: str, user: str = "delivr") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def post(url: str, body: Any, headers: dict[str, str] | None = None, **extra: Any) -> Any:
    kind = extra.pop("content_type", "application/json")
    return client().post(url, raw(body), content_type=kind, headers=headers or {}, **extra)


def client() -> Client:
    found = Client()
    if around is not None:
        found.handler = around(found.handler)
    return found


def send(pipeline: PipelineIntegration, body: Any, **kwargs: Any) -> Any:
    """Post a correctly signed delivery to a pipeline's own address."""
    return post(path(pipeline), body, signed(pipeline.webhook_secret.reveal(), raw(body), **kwargs))


def stored(answer: Any) -> WebhookDelivery:
    assert answer.status_code == 202, answer.content
    found: WebhookDelivery = WebhookDelivery.objects.get(pk=answer.json()["deliveryId"])
    return found


def refused(answer: Any, status: int = 401) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert not WebhookDelivery.objects.exists()


MALFORMED = {
    "empty": b"",
    "blank": b"   \n",
    "NUL": b"\x00\x00\x00",
    "escaped NUL": b'{"buildNumber": 245, "status": "A\\u0000"}',
    "NaN": b'{"buildNumber": NaN, "status": "SUCCESS"}',
    "minus infinity": b'{"buildNumber": -Infinity, "status": "SUCCESS"}',
    "infinite": b'{"buildNumber": 1e999, "status": "SUCCESS"}',
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"build":' * 20_000 + b"1" + b"}" * 20_000,
    "huge number": b'{"buildNumber": ' + b"7" * 5000 + b', "status": "SUCCESS"}',
    "lone surrogate": b'{"buildNumber": 245, "status": "\\udfff"}',
    "surrogate key": b'{"\\ud800": 1, "buildNumber": 245, "status": "\\ud800"}',
    "not UTF-8": b'{"buildNumber": 245, "status": "\xe9\xff"}',
    "UTF-16": json.dumps(SEED).encode("utf-16"),
    "a list": b"[]",
    "a number": b"7",
    "a text": b'"SUCCESS"',
    "null": b"null",
    "truncated": b'{"buildNumber": 245, "sta',
    "two documents": b'{"buildNumber": 245, "status": "SUCCESS"}{}',
    "number as object": b'{"buildNumber": {}, "status": "SUCCESS"}',
    "status as list": b'{"buildNumber": 245, "status": ["SUCCESS"]}',
    "build as text": b'{"build": "245"}',
    "parameters as text": b'{"build": {"phase": "STARTED", "number": 245, "parameters": "x"}}',
    "artifacts as list": b'{"build": {"phase": "STARTED", "number": 245, "artifacts": [1]}}',
    "url as number": b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": 7}',
    "url broken": b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "http://[::1"}',
    "id as object": b'{"buildId": {"a": 1}, "status": "SUCCESS"}',
    "html": b"<html>login</html>",
}
