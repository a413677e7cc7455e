"""A pipeline's webhook secrets: the newest one, and earlier ones until they expire.

The pipeline's row holds the newest two (an older version of delivr only knows these), the table
`webhook_secrets` the earlier ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from delivr import ids
from delivr.encryption.fields import Secret, SecretUnreadable
from delivr.failures import Conflict
from integrations.models import EarlierWebhookSecret, PipelineIntegration

EARLIER_LIVES = timedelta(hours=24)
MAX_EARLIER = 50  # earlier secrets at a time; each costs an HMAC over the body of every delivery


def claim_unseen(pipeline: PipelineIntegration) -> bool:
    """True for the one who may show a secret that was not shown yet."""
    rows = PipelineIntegration.objects.filter(pk=pipeline.pk, is_secret_unseen=True)
    is_mine = bool(rows.update(is_secret_unseen=False))
    pipeline.is_secret_unseen = False
    return is_mine


def mark_unseen(pipeline: PipelineIntegration) -> None:
    """Remember that the secret still has to be shown. Its row need not be locked."""
    pipeline.is_secret_unseen = True
    PipelineIntegration.objects.filter(pk=pipeline.pk).update(is_secret_unseen=True)


def replace(pipeline: PipelineIntegration) -> None:
    """Give the pipeline a new secret. Its row must be locked; it is not saved here.

    Raises Conflict if too many earlier ones still work.
    """
    now = timezone.now()
    EarlierWebhookSecret.objects.filter(pipeline=pipeline, until__lte=now).delete()
    if pipeline.earlier_secrets.count() >= MAX_EARLIER - 1:
        raise _too_often(pipeline.earlier_secrets.order_by("until")[0].until - now)
    _put_aside(pipeline, now)
    pipeline.previous_webhook_secret = _readable(pipeline.webhook_secret)
    pipeline.previous_webhook_secret_until = now + EARLIER_LIVES
    pipeline.webhook_secret = ids.webhook_secret()


def since(pipeline: PipelineIntegration) -> datetime:
    """Since when the pipeline has its newest secret."""
    until = pipeline.previous_webhook_secret_until
    return until - EARLIER_LIVES if until else pipeline.created_at


def _put_aside(pipeline: PipelineIntegration, now: datetime) -> None:
    """Move the previous secret to the table, if it still works."""
    until = pipeline.previous_webhook_secret_until
    secret = _readable(pipeline.previous_webhook_secret)
    if secret and until and until > now:
        EarlierWebhookSecret.objects.create(
            tenant=pipeline.tenant, pipeline=pipeline, secret=secret, until=until
        )


def _too_often(wait: timedelta) -> Conflict:
    return Conflict(
        "rotated_too_often",
        _(
            "This secret was rotated %(count)d times within a day, and all of the earlier ones "
            "still work. Try again in %(minutes)d minutes, when the first of them expires."
        )
        % {"count": MAX_EARLIER, "minutes": wait.total_seconds() // 60 + 1},
    )


def live(pipeline: PipelineIntegration, clock: Callable[[], datetime]) -> list[str]:
    """The secret and the earlier ones that have not expired, if they can be decrypted."""
    found = [pipeline.webhook_secret]
    until = pipeline.previous_webhook_secret_until
    if until is not None and until > (now := clock()):  # the last one to expire
        found.append(pipeline.previous_webhook_secret)
        found += [row.secret for row in pipeline.earlier_secrets.filter(until__gt=now)]
    return [text for secret in found if (text := _readable(secret))]


def _readable(secret: Secret | None) -> str | None:
    """None if no key decrypts it: then nothing can be signed with it. /readyz reports the key."""
    with contextlib.suppress(SecretUnreadable):
        return secret.reveal() if secret else None
    return None


def forget_all(pipeline: PipelineIntegration) -> None:
    pipeline.earlier_secrets.all().delete()


def expired() -> Any:
    """The table's rows with expired secrets, of all pipelines."""
    return EarlierWebhookSecret.objects.filter(until__lte=timezone.now())


def expired_in_their_rows() -> Any:
    """Pipelines that still hold an expired secret."""
    ended = PipelineIntegration.objects.filter(previous_webhook_secret_until__lte=timezone.now())
    return ended.filter(previous_webhook_secret__isnull=False)
