"""Where CI servers report: authenticate, store raw, answer 202. Everything else happens after.

A plain Django view: no session, no serializer, few queries. No input may end in a 5xx.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import re
import time
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from builds.deliveries import store
from builds.models import Trust
from delivr.ids import webhook_secret
from delivr.problems import Problem, problem_response
from delivr.secrets import SecretUnreadable
from integrations.models import PipelineIntegration

MAX_BYTES = 256 * 1024
TOLERANCE = 300  # seconds that a signed timestamp may be off
BASIC_USER = "delivr"
_ID = re.compile(r"[A-Za-z0-9_]{1,60}")
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,500}")
_NOBODY = webhook_secret()  # an unknown endpoint costs as much time as a known one


@csrf_exempt
def jenkins(request: HttpRequest, pipeline_id: str = "") -> JsonResponse:
    """A report of a Jenkins build: 202 `{"deliveryId"}`, 401, 405, 413 or 415."""
    try:
        body = _body(request)
        pipeline = _pipeline(pipeline_id or _pipeline_in(body))
        trust, dedupe_key = _authenticate(request, body, pipeline)
    except Problem as problem:
        return problem_response(request, problem)
    assert pipeline is not None  # noqa: S101 # nobody authenticates as an unknown pipeline
    delivery = store(pipeline=pipeline, dedupe_key=dedupe_key, trust=trust, body=body)
    return JsonResponse({"deliveryId": delivery.pk}, status=202)


def _body(request: HttpRequest) -> bytes:
    if request.method != "POST":
        raise Problem(405, "method_not_allowed", _("Send a POST."), headers={"Allow": "POST"})
    if request.content_type not in ("application/json", ""):
        raise Problem(415, "unsupported_media_type", _("Send application/json."))
    too_large = Problem(413, "too_large", _("At most 256 KiB."))
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > MAX_BYTES):
        raise too_large
    body: bytes = _stream(request).read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise too_large
    return body


def _stream(request: HttpRequest) -> Any:
    """Django reads nothing of a chunked body; a server that ends it by itself says so.

    https://gunicorn.org/reference/settings/ and https://peps.python.org/pep-3333/
    """
    is_chunked = "chunked" in request.headers.get("transfer-encoding", "").lower()
    if is_chunked and request.META.get("wsgi.input_terminated"):
        return request.META["wsgi.input"]
    return request


def _pipeline(pipeline_id: str) -> PipelineIntegration | None:
    if not _ID.fullmatch(pipeline_id):
        return None
    return PipelineIntegration.objects.filter(pk=pipeline_id, disconnected_at=None).first()


def _pipeline_in(body: bytes) -> str:
    """The `pipelineId` of the body, for senders that have one address for all pipelines."""
    try:
        named = json.loads(body)["pipelineId"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return ""
    return named if isinstance(named, str) else ""


def _authenticate(
    request: HttpRequest, body: bytes, pipeline: PipelineIntegration | None
) -> tuple[Trust, str]:
    """How far the sender is trusted, and the key by which repeats are known. Raises Problem 401."""
    secrets = (live_secrets(pipeline) if pipeline else []) or [_NOBODY]
    if "webhook-signature" in request.headers:
        message_id = request.headers.get("webhook-id", "")
        genuine = _is_signed(request, body, message_id, secrets)
        trust, key = Trust.SIGNED, f"id:{_short(message_id)}"
    else:
        genuine = _is_basic(request.headers.get("authorization", ""), secrets)
        trust, key = Trust.BASIC, f"body:{hashlib.sha256(body).hexdigest()}"
    if not genuine or pipeline is None:
        raise Problem(
            401,
            "not_authenticated",
            _("Unknown pipeline, or not signed with its webhook secret."),
            headers={"WWW-Authenticate": 'Basic realm="delivr webhooks"'},
        )
    return trust, key


def live_secrets(pipeline: PipelineIntegration) -> list[str]:
    """The secret, and the one before it while its day lasts; those that can be decrypted."""
    found = [pipeline.webhook_secret]
    until = pipeline.previous_webhook_secret_until
    if until is not None and until > timezone.now():
        found.append(pipeline.previous_webhook_secret)
    readable = []
    for secret in filter(None, found):
        with contextlib.suppress(SecretUnreadable):  # fails closed; /readyz says why
            readable.append(secret.reveal())
    return readable


def _short(message_id: str) -> str:
    """The id itself if it fits its column, else what stands for it alone."""
    if len(message_id) <= 150:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()


def _is_signed(request: HttpRequest, body: bytes, message_id: str, secrets: list[str]) -> bool:
    """Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks"""
    timestamp = request.headers.get("webhook-timestamp", "")
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 15
    fresh = digits and abs(time.time() - int(timestamp)) <= TOLERANCE
    signed = f"{message_id}.{timestamp}.".encode() + body
    parts = request.headers["webhook-signature"].split(" ")[:10]
    sent = [part.removeprefix("v1,") for part in parts if part.startswith("v1,")]
    matches = [
        hmac.compare_digest(signature.encode(), sign(secret, signed).encode())
        for secret in secrets
        for signature in sent
    ]
    return bool(fresh and _MESSAGE_ID.fullmatch(message_id) and any(matches))


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
