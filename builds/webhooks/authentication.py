"""Authenticates the senders of webhooks in three ways, each over the raw bytes of the body.

A refusal takes equally long whether or not the pipeline exists: for an unknown one the caller
passes a random secret. All secrets are compared, so that the response time does not reveal which
one matched.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from django.http import HttpRequest

from builds.models import Trust
from delivr.effects import clock
from integrations.models import PipelineIntegration
from integrations.webhook_secrets import live

TOLERANCE = 300  # seconds that a signed timestamp may be off
BASIC_USER = "delivr"
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,500}")
_EVENT = re.compile(r"[\x21-\x7e]{1,60}")


@dataclass(frozen=True)
class Authentication:
    """An authenticated delivery: how far its sender is trusted, and the key of its duplicates."""

    trust: Trust
    dedupe_key: str
    event: str = ""  # the event type, if the sender puts it into a header


def authenticate_jenkins(
    request: HttpRequest, body: bytes, secrets: list[str]
) -> Authentication | None:
    """Standard Webhooks, or HTTP Basic for plugins that cannot sign; None if neither is valid."""
    if "webhook-signature" in request.headers:
        message_id = request.headers.get("webhook-id", "")
        genuine = _is_signed(request, body, message_id, secrets)
        proof = Authentication(Trust.SIGNED, f"id:{_short(message_id)}")
    else:
        genuine = _is_basic(request.headers.get("authorization", ""), secrets)
        proof = Authentication(Trust.BASIC, f"body:{hashlib.sha256(body).hexdigest()}")
    return proof if genuine else None


def authenticate_github(
    request: HttpRequest, body: bytes, secrets: list[str]
) -> Authentication | None:
    """GitHub's signature over the body; None if it is not valid.

    The key is the secret exactly as it was pasted into GitHub, including `whsec_`. Neither the time
    nor the id of the delivery is signed, so a copy can be sent again under a new id. This is one
    more reason why such a delivery only causes a poll.
    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    sent = request.headers.get("x-hub-signature-256", "").encode(errors="replace")
    wanted = [b"sha256=" + _hex_mac(secret, body) for secret in secrets]
    matches = [hmac.compare_digest(sent, signature) for signature in wanted]
    if not any(matches):
        return None
    event = request.headers.get("x-github-event", "")
    event = event if _EVENT.fullmatch(event) else ""
    delivery_id = request.headers.get("x-github-delivery", "")
    if _MESSAGE_ID.fullmatch(delivery_id):
        return Authentication(Trust.GITHUB, f"github:{_short(delivery_id)}", event)
    same = hashlib.sha256(f"{event}.".encode() + body).hexdigest()
    return Authentication(Trust.GITHUB, f"github-body:{same}", event)


def _hex_mac(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def live_secrets(pipeline: PipelineIntegration) -> list[str]:
    """The secrets that are valid now: the newest, and earlier ones until they expire."""
    return live(pipeline, clock.now)


def _short(message_id: str) -> str:
    """The id itself if it fits the column, else its hash."""
    if len(message_id) <= 150:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()


def _is_signed(request: HttpRequest, body: bytes, message_id: str, secrets: list[str]) -> bool:
    """Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks"""
    timestamp = request.headers.get("webhook-timestamp", "")
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15
    signed = f"{message_id}.{timestamp}.".encode() + body
    parts = request.headers["webhook-signature"].split(" ")[:10]
    sent = [part.removeprefix("v1,") for part in parts if part.startswith("v1,")]
    matches = [
        hmac.compare_digest(signature.encode(), sign(secret, signed).encode())
        for secret in secrets
        for signature in sent
    ]
    genuine = digits and _MESSAGE_ID.fullmatch(message_id) and any(matches)
    return bool(genuine and abs(clock.now().timestamp() - int(timestamp)) <= TOLERANCE)


def sign(secret: str, message: bytes) -> str:
    """The base64 HMAC-SHA256 of a message under a `whsec_…` secret."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _is_basic(header: str, secrets: list[str]) -> bool:
    scheme, _space, encoded = header.partition(" ")
    try:
        user, _colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        user, password = b"", b""
    known = [hmac.compare_digest(password, secret.encode()) for secret in secrets]
    return scheme.lower() == "basic" and user == BASIC_USER.encode() and any(known)
