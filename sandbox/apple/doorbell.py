"""App Store Connect's webhooks: they say that something changed and its id, and no more.

https://developer.apple.com/documentation/appstoreconnectapi/webhook-notifications
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

from sandbox.apple.base import Base
from sandbox.apple.records import Record, apple_time

EVENTS = {
    "APP_STORE_VERSION_APP_VERSION_STATE_UPDATED": "appStoreVersionAppVersionStateUpdated",
    "BUILD_UPLOAD_STATE_UPDATED": "buildUploadStateUpdated",
    "BUILD_BETA_DETAIL_EXTERNAL_BUILD_STATE_UPDATED": "buildBetaDetailExternalBuildStateUpdated",
    "BETA_FEEDBACK_CRASH_SUBMISSION_CREATED": "betaFeedbackCrashSubmissionCreated",
    "BETA_FEEDBACK_SCREENSHOT_SUBMISSION_CREATED": "betaFeedbackScreenshotSubmissionCreated",
}
PING = "webhookPingCreated"


def signature(secret: str, body: bytes) -> str:
    return f"hmacsha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def ring(store: Base, event: str, thing: Record, before: Any, after: Any) -> None:
    for hook in store.records.all("webhooks"):
        if hook["enabled"] and event in hook["eventTypes"]:
            facts = {"oldValue": before, "newValue": after}
            _send(store, hook, _told(store, EVENTS[event], thing, facts))


def ping(store: Base, hook: Record) -> Record:
    made = store.records.add("webhookPings")
    made.one["webhook"] = hook.key
    _send(store, hook, _told(store, PING, made, {}))
    return made


def _told(store: Base, kind: str, thing: Record, facts: dict[str, Any]) -> str:
    url = f"{store.base_url}/v1/{thing.type}/{thing.id}"
    instance = {"data": {"type": thing.type, "id": thing.id}, "links": {"self": url}}
    data = {
        "type": kind,
        "id": str(uuid.uuid4()),
        "version": 1,
        "attributes": {**facts, "timestamp": apple_time(store.now)},
        "relationships": {"instance": instance},
    }
    return json.dumps({"data": data}, separators=(",", ":"))


def again(store: Base, delivery: Record) -> Record:
    """Send a delivery's body once more."""
    hook = store.records.get(*delivery.one["webhook"])
    return _send(store, hook, delivery.private["body"], is_again=True)


def _send(store: Base, hook: Record, body: str, *, is_again: bool = False) -> Record:
    made = store.records.add(
        "webhookDeliveries",
        createdDate=apple_time(store.now),
        deliveryState="PENDING",
        errorMessage=None,
        redelivery=is_again,
        sentDate=None,
        request={"url": hook["url"]},
        response=None,
    )
    made.one["webhook"] = hook.key
    made.private["body"] = body

    def answered(answer: int | str) -> None:
        is_good = isinstance(answer, int) and 200 <= answer < 300
        made.attributes |= {
            "deliveryState": "SUCCEEDED" if is_good else "FAILED",
            "errorMessage": None if is_good else str(answer),
            "sentDate": apple_time(store.now),
            "response": {"httpStatusCode": answer} if isinstance(answer, int) else None,
        }

    raw = body.encode()
    headers = {
        "Content-Type": "application/json",
        "x-apple-signature": signature(hook.private["secret"], raw),
    }
    facts = {"delivery": made.id, "event": json.loads(body)["data"]["type"]}
    store.sender.deliver(hook["url"], raw, headers, facts, provider="app_store", answered=answered)
    return made
