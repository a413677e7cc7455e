"""The page of one effect, and the list of build results that only polling found."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from builds.activity.content import content_of
from builds.activity.lists import sent_lines
from builds.activity.tracing import causes_of, consequences_of, subject_of
from builds.models import BuildEvent, Source
from builds.polling.poller import POLLED
from delivr.effects.models import Effect
from delivr.effects.next_attempt import what_next
from delivr.pages.paging import paged
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Tenant


@require_GET
@tenant_required()
def effect_detail(request: TenantRequest, effect_id: str) -> HttpResponse:
    """One effect: its state, its next attempt, its causes and its consequences."""
    effect = get_object_or_404(Effect.objects.for_tenant(request.tenant), pk=effect_id)
    release, build = subject_of(effect)
    [line] = sent_lines(request.tenant, [effect])
    next_words, next_at = what_next(effect)
    context = {
        "effect": effect,
        "line": line,
        "next_words": next_words,
        "next_at": next_at,
        "causes": causes_of(effect, release, build),
        "consequences": consequences_of(effect, build),
        "content": content_of(effect, release, build, line.url),
        "may_adopt": effect.kind == "build.trigger" and effect.may_retry,
    }
    return render(request, "activity/effect.html", context)


@require_GET
@tenant_required()
def activity_polled(request: TenantRequest) -> HttpResponse:
    """Build results that no webhook reported and that polling found."""
    page = paged(request, found_by_polling(request.tenant))
    return render(request, "activity/polled.html", {"page": page, "tab": "polled"})


def found_by_polling(tenant: Tenant) -> QuerySet[BuildEvent]:
    """The events in which polling corrected a build, newest first; `detail` says how."""
    events: QuerySet[BuildEvent] = BuildEvent.objects.for_tenant(tenant)
    ends: Any = events.filter(source=Source.POLL, applied=True).exclude(to_status__in=POLLED)
    found: QuerySet[BuildEvent] = (
        ends.exclude(detail="")
        .select_related("build__release_pipeline__release")
        .order_by("-at", "-pk")
    )
    return found
