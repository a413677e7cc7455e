"""The endpoint for webhooks of CI servers: authenticate, store the raw body, respond with 202.
Everything else happens in a job.

A plain Django view: no session, no serializer, few queries. No input may cause a 5xx.
"""

from __future__ import annotations

import json
import re
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from gunicorn.http.errors import ParseException

from builds.models import WebhookDelivery
from builds.webhooks import known
from builds.webhooks.authentication import (
    Authentication,
    authenticate,
    live_secrets,
    may_be_read,
)
from builds.webhooks.deliveries import store
from delivr.api.problems import Problem, problem_response, throttled
from delivr.ids import webhook_secret
from delivr.security.ratelimit import hit
from delivr.signin.clients import address_of
from integrations.models import PipelineIntegration
from integrations.providers.registry import webhooks_of

MAX_BYTES = 256 * 1024
MOST_READ = 2 * 1024 * 1024  # bytes, of a sender that is never refused
LARGE = 8 * 1024  # bytes; a report about a build has 1 to 3 KiB
LARGE_AN_HOUR = 600
MINUTE = 60
REFUSALS = 60  # 401 responses per minute and address; after that 429
_ID = re.compile(r"[A-Za-z0-9_]{1,60}")
NOBODY = webhook_secret()  # checked for an unknown pipeline, so that it takes equally long


@csrf_exempt
def receive(request: HttpRequest, sender: str, pipeline_id: str = "") -> JsonResponse:
    """A report of a build from a sender: 202 `{"deliveryId"}`, 401, 405, 413, 415 or 429."""
    try:
        longest = MOST_READ if webhooks_of(sender).is_never_refused else MAX_BYTES
        _check_head(request, longest=longest)
        pipeline, secrets = _look_up(pipeline_id)
        if pipeline_id and not may_be_read(sender, request.headers, secrets):
            raise _refusal(request)
        body = _body(request, longest=longest)
        if not pipeline_id:
            pipeline, secrets = _look_up(_pipeline_in(body))
        is_polled = pipeline is None or pipeline.silence is None
        authentication = authenticate(sender, request.headers, body, secrets, is_polled=is_polled)
        if authentication is None or pipeline is None:
            raise _refusal(request)
        known.remember(pipeline, secrets)
        delivery = _keep_or_drop(pipeline, sender, authentication, body)
    except Problem as problem:
        return problem_response(request, problem)
    return JsonResponse(answer(delivery.pk if delivery else None), status=202)


def answer(delivery_id: str | None) -> dict[str, str | None]:
    """The body of a 202."""
    return {"deliveryId": delivery_id}


def _keep_or_drop(
    pipeline: PipelineIntegration, sender: str, authentication: Authentication, body: bytes
) -> WebhookDelivery | None:
    """None if it is dropped. Raises Problem 413 or 429."""
    try:
        return _keep(pipeline, sender, authentication, body)
    except Problem:
        if webhooks_of(sender).is_never_refused:
            return None
        raise


@transaction.atomic
def _keep(
    pipeline: PipelineIntegration, sender: str, authentication: Authentication, body: bytes
) -> WebhookDelivery:
    """Count and store in one transaction, to wait for one commit only. Raises Problem."""
    if len(body) > MAX_BYTES:
        raise _too_large()
    _count(pipeline, size=len(body))
    return store(
        pipeline=pipeline,
        dedupe_key=authentication.dedupe_key,
        trust=authentication.trust,
        event=authentication.event,
        sender=sender,
        body=body,
    )


def _check_head(request: HttpRequest, *, longest: int) -> None:
    """Raises Problem 405, 413 or 415."""
    if request.method != "POST":
        raise Problem(
            405, "method_not_allowed", _("Send a POST request."), headers={"Allow": "POST"}
        )
    if request.content_type not in ("application/json", ""):
        raise Problem(415, "unsupported_media_type", _("Send application/json."))
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > longest):
        raise _too_large()


def _body(request: HttpRequest, *, longest: int) -> bytes:
    """Raises Problem 400 or 413."""
    try:
        body: bytes = _stream(request).read(longest + 1)
    except (OSError, ParseException) as error:  # malformed chunks, or a closed connection
        raise Problem(400, "unreadable", _("The body is incomplete.")) from error
    if len(body) > longest:
        raise _too_large()
    return body


def _too_large() -> Problem:
    return Problem(413, "too_large", _("At most 256 KiB."))


def _stream(request: HttpRequest) -> Any:
    """Django does not read chunked bodies, but the WSGI stream can be read if the server ends it.

    https://gunicorn.org/reference/settings/ and https://peps.python.org/pep-3333/
    """
    is_chunked = "chunked" in request.headers.get("transfer-encoding", "").lower()
    if is_chunked and request.META.get("wsgi.input_terminated"):
        return request.META["wsgi.input"]
    return request


def _look_up(pipeline_id: str) -> tuple[PipelineIntegration | None, list[str]]:
    """The pipeline and its secrets; for an unknown one a secret that nobody has."""
    pipeline = _pipeline(pipeline_id)
    return pipeline, (live_secrets(pipeline) if pipeline else []) or [NOBODY]


def _pipeline(pipeline_id: str) -> PipelineIntegration | None:
    if not _ID.fullmatch(pipeline_id):
        return None
    return PipelineIntegration.objects.filter(pk=pipeline_id, disconnected_at=None).first()


def _pipeline_in(body: bytes) -> str:
    """The `pipelineId` in the body, for senders that use one address for all pipelines."""
    try:
        named = json.loads(body)["pipelineId"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return ""
    return named if isinstance(named, str) else ""


# --- Rate limits ----------------------------------------------------------------------------------
# Counted after authentication, in two separate counters: requests without a valid secret never
# block a sender that has one, even behind the same proxy or NAT. A refused request stores nothing;
# it costs one query and one hash over at most 256 KiB.


def _refusal(request: HttpRequest) -> Problem:
    """The response to an unauthenticated sender: the same for known and unknown pipelines."""
    if seconds := hit(f"webhook refused:{address_of(request)}", limit=REFUSALS, window=MINUTE):
        return _slow_down(seconds)
    return Problem(
        401,
        "not_authenticated",
        _("Unknown pipeline, or not signed with its webhook secret."),
        headers={"WWW-Authenticate": 'Basic realm="delivr webhooks"'},
    )


def key_of(pipeline_id: str) -> str:
    """The counter of what a pipeline sends."""
    return f"webhook:{pipeline_id}"


def _count(pipeline: PipelineIntegration, *, size: int) -> None:
    """Raises Problem 429. If the sender then gives up, nothing is lost: polling finds the result.

    Bodies are kept for 30 days, so large ones also count towards a limit of the whole workspace:
    otherwise one sender could fill the disk.
    """
    limit = settings.WEBHOOKS_PER_MINUTE
    if seconds := hit(key_of(pipeline.pk), limit=limit, window=MINUTE):
        raise _slow_down(seconds)
    if size > LARGE:
        key = f"webhook large:{pipeline.tenant_id}"
        if seconds := hit(key, limit=LARGE_AN_HOUR, window=60 * MINUTE):
            raise _slow_down(seconds)


def _slow_down(seconds: int) -> Problem:
    words = _("Too many requests at once. Try again in %(seconds)d seconds.") % {"seconds": seconds}
    return throttled(words, seconds)
