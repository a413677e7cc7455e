"""Bodies are kept for 30 days, stored responses for one day, rate counters for their window."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from builds.buttons.models import ButtonPress
from builds.models import WebhookDelivery
from builds.retention import delete_expired, due
from delivr.models import RateCounter
from delivr.tenants.models import IdempotentRequest
from delivr.tests import factories
from delivr.tests.wired import Wired
from releases.messages.models import ReleaseNotice

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("state", "days", "body"),
    [
        ("APPLIED", 29, b"{}"),
        ("APPLIED", 31, b""),
        ("REJECTED", 31, b""),
        ("UNMATCHED", 31, b"{}"),
    ],
)
def test_a_settled_body_goes_after_thirty_days(state: str, days: int, body: bytes) -> None:
    row = factories.DeliveryFactory(
        state=state, received_at=timezone.now() - timedelta(days=days), dedupe_key="kept"
    )
    delete_expired()
    kept = WebhookDelivery.objects.get(pk=row.pk)
    assert bytes(kept.body) == body
    assert kept.dedupe_key == "kept"


@pytest.mark.parametrize(("hours", "left"), [(23, 1), (25, 0)])
def test_an_answer_goes_after_a_day(tenant: object, hours: int, left: int) -> None:
    row = IdempotentRequest.objects.create(tenant=tenant, key="k", fingerprint="f")
    IdempotentRequest.objects.filter(pk=row.pk).update(
        created_at=timezone.now() - timedelta(hours=hours)
    )
    delete_expired()
    assert IdempotentRequest.objects.count() == left


@pytest.mark.parametrize(("seconds", "left"), [(-1, 0), (60, 1)])
def test_a_count_goes_with_its_window(seconds: int, left: int) -> None:
    RateCounter.objects.create(key="k", hits=1, ends_at=time.time() + seconds)
    assert bool(due()) is (left == 0)
    delete_expired()
    assert RateCounter.objects.count() == left


@pytest.mark.parametrize(
    ("state", "days", "left"), [("DONE", 29, 1), ("REFUSED", 31, 0), ("NEW", 31, 1)]
)
def test_a_press_goes_after_thirty_days(wired: Wired, state: str, days: int, left: int) -> None:
    ButtonPress.objects.create(
        tenant=wired.tenant,
        communication=wired.slack,
        envelope="e",
        state=state,
        pressed_at=timezone.now() - timedelta(days=days),
    )
    assert bool(due()) is (left == 0)
    delete_expired()
    assert ButtonPress.objects.count() == left


@pytest.mark.parametrize(("days", "left"), [(6, 1), (8, 0)])
def test_what_a_digest_told_goes_after_a_week(tenant: object, days: int, left: int) -> None:
    ReleaseNotice.objects.create(tenant=tenant, at=timezone.now() - timedelta(days=days))
    assert bool(due()) is (left == 0)
    delete_expired()
    assert ReleaseNotice.objects.count() == left
