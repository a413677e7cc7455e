"""The effects in the operator's overview."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from delivr.admin_site.panels import LATELY, Line, Panel, by_state, list_url, row_url
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, IntegrationHealth


def panels() -> list[Panel]:
    now = clock.now()
    lately = Effect.objects.filter(created_at__gte=timezone.now() - LATELY)
    due = Effect.objects.due(now).order_by("next_at").first()
    return [
        Panel(
            title=_("Effects of the last 7 days"),
            lines=by_state(lately, "state", EffectState.choices, bad=[EffectState.DEAD]),
            oldest_label=_("Oldest that is due"),
            oldest=due and due.next_at,
            oldest_url=row_url(due) if due else "",
        ),
        Panel(title=_("Connections in trouble"), lines=_unhealthy_connections()),
    ]


def _unhealthy_connections() -> tuple[Line, ...]:
    rows, now = IntegrationHealth.objects, clock.now()
    url = list_url(IntegrationHealth)
    resting = rows.filter(open_until__gt=now).count()
    limited = rows.filter(rate_limited_until__gt=now).count()
    refused = rows.filter(credentials_refused_at__isnull=False).count()
    return (
        Line(_("Breaker open"), resting, url, is_bad=bool(resting)),
        Line(_("Rate limited"), limited, url),
        Line(_("Credentials refused"), refused, url, is_bad=bool(refused)),
    )
