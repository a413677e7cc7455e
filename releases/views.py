"""The pages of releases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from delivr.effects.models import Effect
from delivr.pages.live import fingerprint, fragment, refresh
from delivr.pages.paging import paged
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role, Tenant
from integrations.expiry import expiry_notice
from releases.blockers import blockers, failing_integrations, sweeper_heartbeat
from releases.filters import ReleaseFilter
from releases.forms import ReleaseForm
from releases.models import Release, ReleaseQuerySet, ReleaseStatus
from releases.overview import Overview, overview
from releases.repository.card import repository_card

SENT_TWICE = timedelta(minutes=1)  # the same version from the same person: sent twice

TABS = {
    "active": (
        ReleaseStatus.KICKOFF_PENDING,
        ReleaseStatus.BUILDING,
        ReleaseStatus.BUILD_FAILED,
    ),
    "completed": (ReleaseStatus.BUILD_COMPLETE,),
    "cancelled": (ReleaseStatus.CANCELLED,),
}


@require_GET
@tenant_required()
def release_list(request: TenantRequest) -> HttpResponse:
    """Newest first. Without releases and with an unfinished setup, redirects to the setup."""
    every: ReleaseQuerySet = Release.objects.for_tenant(request.tenant)
    filters = ReleaseFilter(request)
    releases = filters.apply(every)
    counts = dict(releases.order_by().values_list("status").annotate(number=Count("pk")))
    if not counts and not filters.values and needs_setup(request.tenant):
        return redirect("setup")
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else _first_tab_with_rows(counts)
    page = paged(request, releases.filter(status__in=TABS[tab]).with_pipelines())
    context = {
        "page": page,
        "tabs": _tabs(tab, filters, counts),
        "tab": tab,
        "filter": filters,
        "chips": filters.chips(tab),
        "drops": () if page.items else filters.drops(tab, every.filter(status__in=TABS[tab])),
        "found": sum(counts.values()),
        "expiry": expiry_notice(request.tenant),
    }
    return render(request, "releases/list.html", context)


def _first_tab_with_rows(counts: dict[str, int]) -> str:
    """The first tab that is not empty."""
    full = [name for name, statuses in TABS.items() if any(counts.get(s) for s in statuses)]
    return next(iter(full), "active")


def needs_setup(tenant: Tenant) -> bool:
    from integrations.setup import is_complete

    return not is_complete(tenant)


def _tabs(current: str, filters: ReleaseFilter, counts: dict[str, int]) -> list[dict[str, Any]]:
    labels = {"active": _("Active"), "completed": _("Completed"), "cancelled": _("Cancelled")}
    return [
        {
            "label": labels[name],
            "href": filters.url(name),
            "current": name == current,
            "count": sum(counts.get(status, 0) for status in statuses),
        }
        for name, statuses in TABS.items()
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.MEMBER)
def release_new(request: TenantRequest) -> HttpResponse:
    form = ReleaseForm(request.tenant, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        release = form.submit(request.user) or _sent_twice(request, form)
        if release:
            messages.success(request, _("Release %(version)s created.") % {"version": release})
            return redirect("release", release.pk)
    return render(request, "releases/new.html", {"form": form})


@never_cache
@require_POST
@tenant_required(Role.MEMBER)
def release_preview(request: TenantRequest) -> HttpResponse:
    """What the posted form would cause, or its errors; nothing is written.

    Renders the fragment for htmx, else the whole page.
    """
    form = ReleaseForm(request.tenant, request.POST)
    is_live = "HX-Request" in request.headers
    found = form.preview(request.user)
    context = {"form": form, "preview": found, "is_previewed": True, "is_live": is_live}
    return render(request, "releases/_preview.html" if is_live else "releases/new.html", context)


def _sent_twice(request: TenantRequest, form: ReleaseForm) -> Release | None:
    """The release that the first of two identical requests has just created."""
    if set(form.errors) != {"version"}:
        return None
    since = timezone.now() - SENT_TWICE
    mine = [r for r in form.taken_by if r.created_by == request.user and r.created_at > since]
    return next(iter(mine), None)


@require_GET
@tenant_required()
def release_detail(request: TenantRequest, release_id: str) -> HttpResponse:
    release = _find(request, release_id)
    return render(request, "releases/detail.html", _context(release))


@fragment
@require_GET
@tenant_required()
def release_live(request: TenantRequest, release_id: str) -> HttpResponse:
    """The fragment of the page that refreshes itself."""
    context = _context(_find(request, release_id))
    shown: Overview = context["shown"]
    context["announce"] = not request.GET.get("seen", "").endswith(f".{shown.status}")
    return refresh(
        request,
        "releases/_live.html",
        context,
        seen=context["seen"],
        is_moving=shown.is_moving,
    )


def _find(request: TenantRequest, release_id: str) -> Release:
    releases: ReleaseQuerySet = Release.objects.for_tenant(request.tenant)
    found: Release = get_object_or_404(releases.with_everything(), pk=release_id)
    return found


def _context(release: Release) -> dict[str, Any]:
    rows = Effect.objects.for_tenant(release.tenant).filter(release_id=release.pk)
    effects, now = list(rows.order_by("created_at", "pk")), timezone.now()
    shown = overview(release, effects, now=now)
    found = blockers(
        release, effects, failing_integrations(release.tenant), sweeper_heartbeat(), now
    )
    found = [blocker for blocker in found if not shown.is_on_card(blocker)]
    card = repository_card(release, effects, now)
    seen = f"{fingerprint((shown, found, card))}.{shown.status}"
    return {"release": release, "shown": shown, "blockers": found, "card": card, "seen": seen}
