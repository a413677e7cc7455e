"""Builds and webhook deliveries in the operator's overview."""

from __future__ import annotations

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from builds.models import Build, DeliveryState, WebhookDelivery
from delivr.admin_site.panels import LATELY, Line, Panel, by_state, list_url, row_url
from delivr.effects.models import Effect, EffectState
from delivr.pages.statuses import look_of
from releases.models import MOVING
from releases.wording import KINDS, describe_effect

SHOWN = 5  # effects that gave up last


def panels() -> list[Panel]:
    now = timezone.now()
    moving = Build.objects.moving()
    late = moving.due(now).order_by("poll_at").first()
    received = WebhookDelivery.objects.filter(received_at__gte=now - LATELY)
    waiting = WebhookDelivery.objects.waiting().filter(next_at__lt=now).order_by("next_at").first()
    words = [(status.value, look_of(status.value, "build").label) for status in MOVING]
    return [
        *_for_a_person(),
        Panel(
            title=_("Builds in progress"),
            lines=by_state(moving, "status", words),
            oldest_label=_("Oldest poll that is due"),
            oldest=late and late.poll_at,
            oldest_url=row_url(late) if late else "",
        ),
        Panel(
            title=_("Deliveries of the last 7 days"),
            lines=by_state(received, "state", DeliveryState.choices, bad=[DeliveryState.REJECTED]),
            oldest_label=_("Oldest that is due"),
            oldest=waiting and waiting.next_at,
            oldest_url=row_url(waiting) if waiting else "",
        ),
    ]


def _for_a_person() -> list[Panel]:
    """Effects that gave up and that nobody has retried or cancelled yet, however old."""
    # `done_at` is set with the state; the index of the effects that ended needs it.
    dead = Effect.objects.filter(state=EffectState.DEAD, done_at__isnull=False)
    counts = dict(dead.order_by().values_list("kind").annotate(Count("pk")))
    url = f"{list_url(Effect)}?state__exact={EffectState.DEAD}"
    kinds = [
        Line(str(KINDS.get(kind, kind)), count, f"{url}&kind__exact={kind}", is_bad=True)
        for kind, count in sorted(counts.items())
    ]
    last = dead.select_related("tenant")[:SHOWN]
    return [
        Panel(title=_("Waiting for a person"), lines=tuple(kinds), nothing=_("Nothing failed.")),
        Panel(
            title=_("Last failure"),
            lines=tuple(_failed(effect) for effect in last),
            nothing=_("Nothing failed."),
        ),
    ]


def _failed(effect: Effect) -> Line:
    label = f"{effect.tenant}: {describe_effect(effect)}"
    return Line(label, 1, row_url(effect), at=effect.done_at or effect.created_at)
