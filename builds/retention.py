"""Deletes what is kept for a limited time: bodies of deliveries, stored responses of idempotent
requests, rate counters, cache entries, the delivery logs of endpoints, presses of buttons, what
digests told, and replaced secrets."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from builds.buttons.models import ButtonPress, PressState
from builds.models import DeliveryState, WebhookDelivery
from delivr.batches import in_batches
from delivr.models import CacheEntry, RateCounter
from delivr.tenants.models import IdempotentRequest
from integrations import endpoint_secrets, store_webhooks
from integrations.endpoints import expired_attempts
from integrations.webhook_secrets import expired, expired_in_their_rows
from releases.messages.models import ReleaseNotice

KEEP_BODIES = timedelta(days=30)
KEEP_RESPONSES = timedelta(days=1)
KEEP_PRESSES = timedelta(days=30)  # the chat reports one again for some minutes
KEEP_NOTICES = timedelta(days=7)  # a digest looks back three days
ALL = "all"


def due() -> list[str]:
    """`["all"]` if there is anything to delete."""
    in_rows = (expired_in_their_rows(), endpoint_secrets.expired())
    old = (_old_bodies(), *in_rows, *_old_rows())
    return [ALL] if any(rows.exists() for rows in old) else []


def delete_expired(what: str = ALL) -> None:
    """Delete the bodies of deliveries (their rows are kept), delivery logs and presses of buttons
    after 30 days, notices of digests after 7, stored responses after one day, and everything else
    once it has expired."""
    in_batches(_old_bodies(), lambda rows: rows.update(body=b""))
    in_batches(expired_in_their_rows(), lambda rows: rows.update(previous_webhook_secret=None))
    in_batches(endpoint_secrets.expired(), lambda rows: rows.update(previous_token=None))
    for old in _old_rows():
        in_batches(old, lambda rows: rows.delete())


def _old_bodies() -> Any:
    waiting = [DeliveryState.NEW, DeliveryState.UNMATCHED]
    old = WebhookDelivery.objects.filter(received_at__lt=timezone.now() - KEEP_BODIES)
    return old.exclude(state__in=waiting).exclude(body=b"")


def _old_rows() -> list[Any]:
    now = timezone.now()
    return [
        IdempotentRequest.objects.filter(created_at__lt=now - KEEP_RESPONSES),
        ButtonPress.objects.filter(pressed_at__lt=now - KEEP_PRESSES).exclude(state=PressState.NEW),
        ReleaseNotice.objects.filter(at__lt=now - KEEP_NOTICES),
        RateCounter.objects.filter(ends_at__lt=time.time()),
        CacheEntry.objects.filter(expires__lt=now),
        expired(),
        store_webhooks.expired(),
        expired_attempts(),
    ]
