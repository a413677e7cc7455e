"""The secrets with which a store signs its notifications about a target.

A secret that is replaced works for another 24 hours, however often that happens: a person enters
the new one in the store's console some time later.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from delivr import ids
from delivr.audit.operations import record
from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.models import StoreWebhookSecret, TargetIntegration

EARLIER_LIVES = timedelta(hours=24)
MOST = 50  # that work at a time; each costs an HMAC over the body of every notification


@dataclass(frozen=True)
class Heard:
    """How the notifications stand. `heard_with_earlier`: the store still signs with a secret that
    was replaced."""

    since: datetime
    heard_at: datetime | None
    event: str
    earlier_until: datetime | None
    heard_with_earlier: datetime | None


@transaction.atomic
def replace(target: TargetIntegration, *, actor: User | None) -> str:
    """Give the target a new secret, or its first one; returns it, to be shown once.

    Raises Conflict: `no_notifications`, `disconnected` or `rotated_too_often`.
    """
    locked: TargetIntegration = TargetIntegration.objects.select_for_update().get(pk=target.pk)
    if locked.disconnected_at is not None:
        raise Conflict("disconnected", _("This connection was disconnected."))
    if not locked.webhook_url:
        words = _("%(store)s sends no notifications to delivr.") % {"store": locked.kind_label}
        raise Conflict("no_notifications", words)
    now, mine = timezone.now(), StoreWebhookSecret.objects.for_tenant(locked.tenant_id)
    mine = mine.filter(target=locked)
    if mine.filter(_works(now)).count() >= MOST:
        words = _("This secret was rotated too often within a day. Try again tomorrow.")
        raise Conflict("rotated_too_often", words)
    mine.filter(until=None).update(until=now + EARLIER_LIVES)
    secret = ids.webhook_secret()
    StoreWebhookSecret.objects.create(tenant=locked.tenant, target=locked, secret=secret)
    changes = {"webhook_secret": "changed"}
    record(actor=actor, action="webhook_secret.rotated", subject=locked, changes=changes)
    return secret


def _works(now: datetime) -> Q:
    return Q(until=None) | Q(until__gt=now)


def live(target_id: str) -> list[tuple[StoreWebhookSecret, str]]:
    """The rows whose secrets work now and can be decrypted, with the secrets."""
    rows = StoreWebhookSecret.objects.filter(
        _works(timezone.now()), target=target_id, target__disconnected_at=None
    )
    found = []
    for row in rows.select_related("target"):
        with contextlib.suppress(SecretUnreadable):  # /readyz reports the missing key
            found.append((row, row.secret.reveal()))
    return found


def heard(target: TargetIntegration) -> Heard | None:
    """None if it has no secret yet."""
    rows = StoreWebhookSecret.objects.for_tenant(target.tenant_id).filter(target=target)
    works = list(rows.filter(_works(timezone.now())).defer("secret"))
    newest = next((row for row in works if row.until is None), None)
    if newest is None:
        return None
    earlier = [row for row in works if row.until is not None]
    times = [row.heard_at for row in earlier if row.heard_at and row.heard_at > newest.created_at]
    return Heard(
        since=newest.created_at,
        heard_at=newest.heard_at,
        event=newest.heard_event,
        earlier_until=max((row.until for row in earlier if row.until), default=None),
        heard_with_earlier=max(times, default=None),
    )


def forget_all(target: TargetIntegration) -> None:
    StoreWebhookSecret.objects.filter(target=target).delete()


def expired() -> Any:
    """Rows with expired secrets, of all targets."""
    return StoreWebhookSecret.objects.filter(until__lte=timezone.now())
