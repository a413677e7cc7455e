"""The endpoint for webhooks of CI servers: authenticate, store the raw body, respond with 202.
Everything else happens in a job.

A plain Django view: no session, no serializer, few queries. No input may cause a 5xx.
"""

from __future__ import annotations

import json
import re

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from builds.models import WebhookDelivery
from builds.webhooks import known
from builds.webhooks.authentication import (
    Authentication,
    authenticate,
    live_secrets,
    may_be_read,
)
from builds.webhooks.deliveries import store
from delivr.api.problems import Problem, problem_response
from delivr.api.receiving import (
    MAX_BYTES,
    MINUTE,
    check_head,
    read_body,
    refusal,
    slow_down,
    too_large,
)
from delivr.ids import webhook_secret
from delivr.security.ratelimit import hit
from integrations.models import PipelineIntegration
from integrations.providers.registry import webhooks_of

MOST_READ = 2 * 1024 * 1024  # bytes, of a sender that is never refused
LARGE = 8 * 1024  # bytes; a report about a build has 1 to 3 KiB
LARGE_AN_HOUR = 600
REFUSALS = 60  # 401 responses per minute and address; after that 429
_ID = re.compile(r"[A-Za-z0-9_]{1,60}")
NOBODY = webhook_secret()  # checked for an unknown pipeline, so that it takes equally long


@csrf_exempt
def receive(request: HttpRequest, sender: str, pipeline_id: str = "") -> JsonResponse:
    """A report of a build from a sender: 202 `{"deliveryId"}`, 401, 405, 413, 415 or 429."""
    try:
        longest = MOST_READ if webhooks_of(sender).is_never_refused else MAX_BYTES
        check_head(request, longest=longest)
        pipeline, secrets = _look_up(pipeline_id)
        if pipeline_id and not may_be_read(sender, request.headers, secrets):
            raise _refusal(request)
        body = read_body(request, longest=longest)
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
        raise too_large()
    _count(pipeline, size=len(body))
    return store(
        pipeline=pipeline,
        dedupe_key=authentication.dedupe_key,
        trust=authentication.trust,
        event=authentication.event,
        sender=sender,
        body=body,
    )


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
    words = _("Unknown pipeline, or not signed with its webhook secret.")
    problem = refusal(request, words, limit=REFUSALS)
    if problem.status == 401:
        problem.headers = {"WWW-Authenticate": 'Basic realm="delivr webhooks"'}
    return problem


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
        raise slow_down(seconds)
    if size > LARGE:
        key = f"webhook large:{pipeline.tenant_id}"
        if seconds := hit(key, limit=LARGE_AN_HOUR, window=60 * MINUTE):
            raise slow_down(seconds)
