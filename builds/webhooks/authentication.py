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
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from builds.models import Trust
from delivr.effects import clock
from integrations.models import PipelineIntegration
from integrations.providers.registry import webhooks_of
from integrations.providers.webhooks import Scheme, Way
from integrations.webhook_secrets import live

Headers = Mapping[str, str]  # by name in any case, as Django's `request.headers`

TOLERANCE = 300  # seconds that a signed timestamp may be off
BASIC_USER = "delivr"
TIMESTAMP = "webhook-timestamp"
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,500}")
_EVENT = re.compile(r"[\x21-\x7e]{1,60}")


@dataclass(frozen=True)
class Authentication:
    """An authenticated delivery: how far its sender is trusted, and the key of its duplicates."""

    trust: Trust
    dedupe_key: str
    event: str = ""  # the event type, if the sender puts it into a header
    signed_at: int | None = None  # seconds since 1970, if the time is signed


def may_be_read(sender: str, headers: Headers, secrets: list[str]) -> bool:
    """False if the headers alone show that the sender is not authentic."""
    way = _way_of(sender, headers)
    return way.scheme in _OVER_THE_BODY or _SCHEMES[way.scheme](way, headers, b"", secrets)


def _way_of(sender: str, headers: Headers) -> Way:
    """The sender's first way whose header is present."""
    ways = webhooks_of(sender).ways
    return next((way for way in ways if way.header in headers), ways[-1])


def authenticate(
    sender: str, headers: Headers, body: bytes, secrets: list[str], *, is_polled: bool = True
) -> Authentication | None:
    """Authenticate by the sender's first scheme whose header is present; None if it is not
    valid. `is_polled`: the CI server is asked whether the report is true."""
    found = authenticate_at_any_time(sender, headers, body, secrets, is_polled=is_polled)
    if found is None or found.signed_at is None:
        return found
    return found if abs(clock.now().timestamp() - found.signed_at) <= TOLERANCE else None


def authenticate_at_any_time(
    sender: str, headers: Headers, body: bytes, secrets: list[str], *, is_polled: bool
) -> Authentication | None:
    """The same, but the caller checks that `signed_at` is within TOLERANCE of the database's
    clock."""
    webhooks, way = webhooks_of(sender), _way_of(sender, headers)
    if not _SCHEMES[way.scheme](way, headers, body, secrets):
        return None
    event = headers.get(webhooks.event_header, "")
    event = event if _EVENT.fullmatch(event) else ""
    message_id = headers.get(way.id_header, "")
    if way.scheme is Scheme.HEX_MAC and not is_polled:
        message_id = ""  # it is not signed, so a copy may have another one
    key = _key_of(sender, way, message_id, body, event)
    signed_at = int(headers[TIMESTAMP]) if way.scheme is Scheme.STANDARD else None
    return Authentication(_TRUST[way.scheme], key, event, signed_at)


def _key_of(sender: str, way: Way, message_id: str, body: bytes, event: str) -> str:
    if _MESSAGE_ID.fullmatch(message_id):
        space = "id" if way.scheme is Scheme.STANDARD else sender  # signed ids have their own space
        return f"{space}:{_short(message_id)}"
    return f"{sender}-body:{hashlib.sha256(f'{event}.'.encode() + body).hexdigest()}"


def _is_mac(way: Way, headers: Headers, body: bytes, secrets: list[str]) -> bool:
    """Neither the time nor the id of the delivery is signed, so a copy can be sent again under a
    new id. This is one more reason why such a delivery only causes a poll."""
    macs = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    return _is_among([f"{way.prefix}{mac}".encode() for mac in macs], way, headers)


def _is_token(way: Way, headers: Headers, body: bytes, secrets: list[str]) -> bool:
    return _is_among([secret.encode() for secret in secrets], way, headers)


def _is_among(wanted: list[bytes], way: Way, headers: Headers) -> bool:
    sent = headers.get(way.header, "").encode(errors="replace")
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


def _is_signed(way: Way, headers: Headers, body: bytes, secrets: list[str]) -> bool:
    """Standard Webhooks, at whatever time it was signed.

    https://github.com/standard-webhooks/standard-webhooks
    """
    message_id = headers.get(way.id_header, "")
    timestamp = headers.get(TIMESTAMP, "")
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15
    signed = f"{message_id}.{timestamp}.".encode() + body
    parts = headers.get(way.header, "").split(" ")[:10]
    sent = [part.removeprefix("v1,") for part in parts if part.startswith("v1,")]
    matches = [
        hmac.compare_digest(signature.encode(), sign(secret, signed).encode())
        for secret in secrets
        for signature in sent
    ]
    return bool(digits and _MESSAGE_ID.fullmatch(message_id) and any(matches))


def sign(secret: str, message: bytes) -> str:
    """The base64 HMAC-SHA256 of a message under a `whsec_…` secret."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _is_basic(way: Way, headers: Headers, body: bytes, secrets: list[str]) -> bool:
    scheme, _space, encoded = headers.get(way.header, "").partition(" ")
    try:
        user, _colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        user, password = b"", b""
    known = [hmac.compare_digest(password, secret.encode()) for secret in secrets]
    return scheme.lower() == "basic" and user == BASIC_USER.encode() and any(known)


_SCHEMES: dict[Scheme, Callable[[Way, Headers, bytes, list[str]], bool]] = {
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
