"""Builds and webhook deliveries in the operator's overview."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from builds.models import Build, DeliveryState, WebhookDelivery
from delivr.panels import LATELY, Panel, by_state
from delivr.statuses import look_of
from releases.models import MOVING


def panels() -> list[Panel]:
    now = timezone.now()
    moving = Build.objects.moving()
    late = moving.due(now).order_by("poll_at").values_list("poll_at", flat=True)
    received = WebhookDelivery.objects.filter(received_at__gte=now - LATELY)
    waiting = WebhookDelivery.objects.waiting().filter(next_at__lt=now).order_by("next_at")
    words = [(status.value, look_of(status.value, "build").label) for status in MOVING]
    return [
        Panel(
            title=_("Builds on the way"),
            lines=by_state(moving, "status", words),
            oldest_label=_("Oldest question that is due"),
            oldest=late.first(),
        ),
        Panel(
            title=_("Deliveries of the last 7 days"),
            lines=by_state(received, "state", DeliveryState.choices, bad=[DeliveryState.REJECTED]),
            oldest_label=_("Oldest that is due"),
            oldest=waiting.values_list("next_at", flat=True).first(),
        ),
    ]
