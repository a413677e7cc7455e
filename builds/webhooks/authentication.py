"""Who sends a webhook: each way to prove it, over the bytes as they came. Which of them a sender
has stands with its provider.

A refusal costs as long whether or not the pipeline exists: the caller hands in a secret that
nobody has. Every secret is compared, so none tells by its time that it was the right one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from builds.models import Trust
from delivr.effects import clock
from integrations.models import PipelineIntegration
from integrations.providers.base import Proof, Way
from integrations.providers.registry import webhooks_of
from integrations.webhook_secrets import live

TOLERANCE = 300  # seconds that a signed timestamp may be off
BASIC_USER = "delivr"
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,500}")
_EVENT = re.compile(r"[\x21-\x7e]{1,60}")


@dataclass(frozen=True)
class Authentication:
    """A genuine sender: how far it is trusted, and by what its repeats are known."""

    trust: Trust
    dedupe_key: str
    event: str = ""  # of the header, where the sender names it there


def authenticate(
    sender: str, request: HttpRequest, body: bytes, secrets: list[str]
) -> Authentication | None:
    """By the first of the sender's ways whose header came along; None where it does not hold."""
    webhooks = webhooks_of(sender)
    way = next((way for way in webhooks.ways if way.header in request.headers), webhooks.ways[-1])
    if not _PROOFS[way.proof](way, request, body, secrets):
        return None
    event = request.headers.get(webhooks.event_header, "")
    event = event if _EVENT.fullmatch(event) else ""
    return Authentication(_TRUST[way.proof], _key_of(sender, way, request, body, event), event)


def _key_of(sender: str, way: Way, request: HttpRequest, body: bytes, event: str) -> str:
    message_id = request.headers.get(way.id_header, "")
    if _MESSAGE_ID.fullmatch(message_id):
        space = "id" if way.proof is Proof.STANDARD else sender  # what is signed is apart
        return f"{space}:{_short(message_id)}"
    return f"{sender}-body:{hashlib.sha256(f'{event}.'.encode() + body).hexdigest()}"


def _is_mac(way: Way, request: HttpRequest, body: bytes, secrets: list[str]) -> bool:
    """Neither the time nor the id of the delivery is signed, so a copy can be sent again under a
    new id: one more reason why such a delivery is a doorbell only."""
    return _is_among([way.prefix.encode() + _hex_mac(s, body) for s in secrets], way, request)


def _is_token(way: Way, request: HttpRequest, body: bytes, secrets: list[str]) -> bool:
    return _is_among([secret.encode() for secret in secrets], way, request)


def _is_among(wanted: list[bytes], way: Way, request: HttpRequest) -> bool:
    sent = request.headers.get(way.header, "").encode(errors="replace")
    matches = [hmac.compare_digest(sent, one) for one in wanted]
    return any(matches)


def _hex_mac(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def live_secrets(pipeline: PipelineIntegration) -> list[str]:
    """The secrets that prove a sender now: the newest, and the earlier ones while they last."""
    return live(pipeline, clock.now)


def _short(message_id: str) -> str:
    """The id itself if it fits its column, else what stands for it alone."""
    if len(message_id) <= 150:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()


def _is_signed(way: Way, request: HttpRequest, body: bytes, secrets: list[str]) -> bool:
    """Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks"""
    message_id = request.headers.get(way.id_header, "")
    timestamp = request.headers.get("webhook-timestamp", "")
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15
    signed = f"{message_id}.{timestamp}.".encode() + body
    parts = request.headers.get(way.header, "").split(" ")[:10]
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


def _is_basic(way: Way, request: HttpRequest, body: bytes, secrets: list[str]) -> bool:
    scheme, _space, encoded = request.headers.get(way.header, "").partition(" ")
    try:
        user, _colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        user, password = b"", b""
    known = [hmac.compare_digest(password, secret.encode()) for secret in secrets]
    return scheme.lower() == "basic" and user == BASIC_USER.encode() and any(known)


_PROOFS: dict[Proof, Callable[[Way, HttpRequest, bytes, list[str]], bool]] = {
    Proof.STANDARD: _is_signed,
    Proof.BASIC: _is_basic,
    Proof.HEX_MAC: _is_mac,
    Proof.HEADER: _is_token,
}
_TRUST = {
    Proof.STANDARD: Trust.SIGNED,
    Proof.BASIC: Trust.BASIC,
    Proof.HEX_MAC: Trust.BODY,
    Proof.HEADER: Trust.BASIC,
}
