"""Notifications of the stores. One makes a look at its app due now, and nothing that it
says is believed.

So nothing of it has to be kept: by the time it is answered, the looks are due in the database. A
repeated one only causes another look, a lost one costs the time until the next.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import cast

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from delivr.api.problems import Problem, problem_response
from delivr.api.receiving import MAX_BYTES, MINUTE, check_head, read_body, refusal, slow_down
from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.effects.operations import wake
from delivr.effects.queue import enqueue_on_commit
from delivr.ids import webhook_secret
from delivr.security.ratelimit import hit
from integrations import store_webhooks
from integrations.models import StoreWebhookSecret, TargetIntegration
from integrations.providers.registry import provider_class
from integrations.providers.stores import StoreProvider
from submissions.effects import NOT_READY, STEP, TELL
from submissions.models import Preflight, Submission, store_of

A_MINUTE = 60  # notifications about one target; a busy day has some dozens
REFUSALS = 60  # 401 responses per minute and address; after that 429
MOST_LOOKS = 20  # that are enqueued at once; the sweeper finds the others
_ID = re.compile(r"[A-Za-z0-9_]{1,60}")
_NOBODY = webhook_secret()  # compared for an unknown target, so that it takes equally long


@csrf_exempt
def receive(request: HttpRequest, kind: str, target_id: str) -> JsonResponse:
    """A notification about a target: 202 `{"event"}`, 400, 401, 405, 413, 415 or 429."""
    try:
        check_head(request, longest=MAX_BYTES)
        body = read_body(request, longest=MAX_BYTES)
        store = cast("type[StoreProvider]", provider_class((TargetIntegration.family, kind)))
        row = _signer(request, store, target_id, body)
        if row is None:
            words = _("Unknown app, or not signed with its webhook secret.")
            raise refusal(request, words, limit=REFUSALS)
        if seconds := hit(f"store webhook:{row.target_id}", limit=A_MINUTE, window=MINUTE):
            raise slow_down(seconds)
        event = store.notified_of(body)
        hear(row, event)
    except Problem as problem:
        return problem_response(request, problem)
    return JsonResponse({"event": event}, status=202)


def _signer(
    request: HttpRequest, store: type[StoreProvider], target_id: str, body: bytes
) -> StoreWebhookSecret | None:
    """The secret that it is signed with. All are compared, so that the time does not tell which."""
    known = store_webhooks.live(target_id) if _ID.fullmatch(target_id) else []
    if not known:
        store.is_signed_with(_NOBODY, request.headers, body)
    proofs = [store.is_signed_with(secret, request.headers, body) for _row, secret in known]
    row = next(
        (row for (row, _secret), is_proven in zip(known, proofs, strict=True) if is_proven), None
    )
    return row if row is not None and store_of(row.target) is store else None


@transaction.atomic
def hear(row: StoreWebhookSecret, event: str) -> None:
    """Make everything due that waits for the target's store."""
    now, target = clock.now(), row.target
    StoreWebhookSecret.objects.filter(pk=row.pk).update(heard_at=now, heard_event=event)
    _look_at_submissions(target, now)
    waiting = Preflight.objects.for_tenant(target.tenant_id).filter(release_target__target=target)
    waiting = waiting.filter(look_at__gt=now)
    ids = list(waiting.values_list("pk", flat=True)[:MOST_LOOKS])
    waiting.update(look_at=now)
    for pk in ids:
        enqueue_on_commit("preflight", str(pk))
    steps = Effect.objects.for_tenant(target.tenant_id).filter(integration_id=target.pk)
    steps = steps.filter(kind__in=(STEP, TELL))
    wake(steps.filter(last_error_code__in=[NOT_READY, *store_of(target).ends_with_news]))


def _look_at_submissions(target: TargetIntegration, now: datetime) -> None:
    """Where the last look failed, the pause is kept: the store may have asked for it."""
    followed = Submission.objects.for_tenant(target.tenant_id).filter(
        target=target, read_at__isnull=False
    )
    ids = list(followed.filter(read_error="").values_list("pk", flat=True)[:MOST_LOOKS])
    followed.update(notified_at=now)
    followed.filter(read_error="").update(read_at=now)
    for pk in ids:
        enqueue_on_commit("submission", pk)
