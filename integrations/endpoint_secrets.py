"""The signing secrets of an endpoint: the newest one, and the one before it for a day, so that its
receiver can take over the new one while both sign."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from delivr import ids
from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Conflict
from integrations.models import CommunicationIntegration

EARLIER_LIVES = timedelta(hours=24)


def live(endpoint: CommunicationIntegration) -> list[str]:
    """The secrets that sign now, the newest first. Raises SecretUnreadable."""
    found = [endpoint.token]
    until = endpoint.previous_token_until
    if until is not None and until > timezone.now():
        found.append(endpoint.previous_token)
    return [secret.reveal() for secret in found if secret]


def replace(endpoint: CommunicationIntegration) -> None:
    """Give it a new secret. Its row must be locked; it is not saved here. Raises Conflict while
    the one before still signs."""
    now, until = timezone.now(), endpoint.previous_token_until
    if until is not None and until > now:
        minutes = (until - now).total_seconds() // 60 + 1
        raise Conflict(
            "rotated_too_often",
            _(
                "It was rotated within the last 24 hours, and the secret before it still signs. "
                "Try again in %(minutes)d minutes."
            )
            % {"minutes": minutes},
        )
    before = None
    with contextlib.suppress(SecretUnreadable):  # without its key it cannot sign any more
        before = endpoint.token.reveal() if endpoint.token else None
    endpoint.previous_token, endpoint.previous_token_until = before, now + EARLIER_LIVES
    endpoint.token = ids.webhook_secret()
    endpoint.credential_changed_at = now


def expired() -> Any:
    """Endpoints that still hold an expired secret."""
    ended = CommunicationIntegration.objects.filter(previous_token_until__lte=timezone.now())
    return ended.filter(previous_token__isnull=False)
