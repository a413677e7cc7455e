"""Authenticates the senders of webhooks: each scheme over the raw bytes of the body. The sender's
provider declares which of them it uses.

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
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from builds.models import Trust
from delivr.effects import clock
from integrations.models import PipelineIntegration
from integrations.providers.registry import webhooks_of
from integrations.providers.webhooks import Scheme, Way
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


def may_be_read(sender: str, request: HttpRequest, secrets: list[str]) -> bool:
    """False if the headers alone show that the sender is not authentic."""
    way = _way_of(sender, request)
    return way.scheme in _OVER_THE_BODY or _SCHEMES[way.scheme](way, request, b"", secrets)


def _way_of(sender: str, request: HttpRequest) -> Way:
    """The sender's first way whose header is present."""
    ways = webhooks_of(sender).ways
    return next((way for way in ways if way.header in request.headers), ways[-1])


def authenticate(
    sender: str, request: HttpRequest, body: bytes, secrets: list[str], *, is_polled: bool = True
) -> Authentication | None:
    """Authenticate by the sender's first scheme whose header is present; None if it is not
    valid. `is_polled`: the CI server is asked whether the report is true."""
    webhooks, way = webhooks_of(sender), _way_of(sender, request)
    if not _SCHEMES[way.scheme](way, request, body, secrets):
        return None
    event = request.headers.get(webhooks.event_header, "")
    event = event if _EVENT.fullmatch(event) else ""
    message_id = request.headers.get(way.id_header, "")
    if way.scheme is Scheme.HEX_MAC and not is_polled:
        message_id = ""  # it is not signed, so a copy may have another one
    key = _key_of(sender, way, message_id, body, event)
    return Authentication(_TRUST[way.scheme], key, event)


def _key_of(sender: str, way: Way, message_id: str, body: bytes, event: str) -> str:
    if _MESSAGE_ID.fullmatch(message_id):
        space = "id" if way.scheme is Scheme.STANDARD else sender  # signed ids have their own space
        return f"{space}:{_short(message_id)}"
    return f"{sender}-body:{hashlib.sha256(f'{event}.'.encode() + body).hexdigest()}"


def _is_mac(way: Way, request: HttpRequest, body: bytes, secrets: list[str]) -> bool:
    """Neither the time nor the id of the delivery is signed, so a copy can be sent again under a
    new id. This is one more reason why such a delivery only causes a poll."""
    macs = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    return _is_among([f"{way.prefix}{mac}".encode() for mac in macs], way, request)


def _is_token(way: Way, request: HttpRequest, body: bytes, secrets: list[str]) -> bool:
    return _is_among([secret.encode() for secret in secrets], way, request)


def _is_among(wanted: list[bytes], way: Way, request: HttpRequest) -> bool:
    sent = request.headers.get(way.header, "").encode(errors="replace")
    matches = [hmac.compare_digest(sent, one) for one in wanted]
    return any(matches)


def live_secrets(pipeline: PipelineIntegration) -> list[str]:
    """The secrets that are valid now: the newest, and earlier ones until they expire."""
    return live(pipeline, clock.now)


def _short(message_id: str) -> str:
    """The id itself if it fits the column, else its hash."""
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


_SCHEMES: dict[Scheme, Callable[[Way, HttpRequest, bytes, list[str]], bool]] = {
    Scheme.STANDARD: _is_signed,
    Scheme.BASIC: _is_basic,
    Scheme.HEX_MAC: _is_mac,
    Scheme.HEADER: _is_token,
}
_OVER_THE_BODY = (Scheme.STANDARD, Scheme.HEX_MAC)
_TRUST = {
    Scheme.STANDARD: Trust.SIGNED,
    Scheme.BASIC: Trust.BASIC,
    Scheme.HEX_MAC: Trust.BODY,
    Scheme.HEADER: Trust.BASIC,
}
