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
from sandbox.apple.seed import APP

EVENTS = {
    "APP_STORE_VERSION_APP_VERSION_STATE_UPDATED": "appStoreVersionAppVersionStateUpdated",
    "BUILD_UPLOAD_STATE_UPDATED": "buildUploadStateUpdated",
    "BUILD_BETA_DETAIL_EXTERNAL_BUILD_STATE_UPDATED": "buildBetaDetailExternalBuildStateUpdated",
    "BETA_FEEDBACK_CRASH_SUBMISSION_CREATED": "betaFeedbackCrashSubmissionCreated",
    "BETA_FEEDBACK_SCREENSHOT_SUBMISSION_CREATED": "betaFeedbackScreenshotSubmissionCreated",
}
PING = "webhookPingCreated"
PAUSES = (5.0, 30.0, 120.0)  # seconds until a delivery that failed is tried again


def signature(secret: str, body: bytes) -> str:
    return f"hmacsha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def notify(store: Base, event: str, thing: Record, before: Any, after: Any) -> None:
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


def connect(store: Base, url: str, secret: str) -> Record:
    """A webhook for all events, as a person adds it; one for the same address gets the secret."""
    every = store.records.all("webhooks")
    hook = next((one for one in every if one["url"] == url), None)
    if hook is None:
        hook = store.records.add(
            "webhooks", name="delivr", url=url, enabled=True, eventTypes=list(EVENTS)
        )
        hook.one["app"] = ["apps", APP]
        store.record("webhook.created", url=url)
    hook.private["secret"] = secret
    return hook


def settle(store: Base) -> None:
    """Try again what failed. Apple does not say how often it does so, nor when."""
    for delivery in store.records.all("webhookDeliveries"):
        if (delivery.private.get("again_at") or store.now + 1) <= store.now:
            delivery.private["again_at"] = None
            hook = store.records.find("webhooks", delivery.one["webhook"][1])
            if hook is not None and hook["enabled"]:
                _queue(store, hook, delivery)


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
    made.private |= {"body": body, "tries": 0, "again_at": None}
    _queue(store, hook, made)
    return made


def _queue(store: Base, hook: Record, made: Record) -> None:
    made.private["tries"] += 1

    def answered(answer: int | str) -> None:
        is_good = isinstance(answer, int) and 200 <= answer < 300
        made.attributes |= {
            "deliveryState": "SUCCEEDED" if is_good else "FAILED",
            "errorMessage": None if is_good else str(answer),
            "sentDate": apple_time(store.now),
            "response": {"httpStatusCode": answer} if isinstance(answer, int) else None,
        }
        if not is_good and made.private["tries"] <= len(PAUSES):
            made.private["again_at"] = store.now + PAUSES[made.private["tries"] - 1]

    raw = made.private["body"].encode()
    headers = {
        "Content-Type": "application/json",
        "x-apple-signature": signature(hook.private["secret"], raw),
    }
    facts = {"delivery": made.id, "event": json.loads(raw)["data"]["type"]}
    store.sender.deliver(hook["url"], raw, headers, facts, provider="app_store", answered=answered)
