"""The pages of releases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.pages.live import fingerprint, fragment, refresh
from delivr.pages.paging import paged
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role, Tenant
from releases import tabs
from releases.blockers import (
    FAMILY_OF,
    MESSAGES,
    Blocker,
    blockers,
    failing_integrations,
    sweeper_heartbeat,
    with_surroundings,
)
from releases.filters import ReleaseFilter
from releases.forms import ReleaseForm
from releases.marks import mark_changes, remove_mark, set_mark
from releases.models import Mark, Release, ReleaseQuerySet
from releases.overview import Overview, overview
from releases.palette import search
from releases.repository.card import SHOWN, repository_card, with_changes
from releases.tickets.card import ticket_card

SENT_TWICE = timedelta(minutes=1)  # the same version from the same person: sent twice


@require_GET
@tenant_required()
def release_list(request: TenantRequest) -> HttpResponse:
    """Newest first. Without releases and with an unfinished setup, redirects to the setup."""
    every: ReleaseQuerySet = Release.objects.for_tenant(request.tenant)
    filters = ReleaseFilter(request)
    releases = filters.apply(every)
    counts = tabs.counts(request.tenant, releases)
    if not counts and not filters.values and needs_setup(request.tenant):
        return redirect("setup")
    tab = request.GET.get("tab", "")
    tab = tab if tab in tabs.LABELS else _first_tab_with_rows(counts)
    page = paged(request, tabs.in_tab(releases, tab).with_pipelines())
    context = {
        "page": page,
        "tabs": _tabs(tab, filters, counts),
        "tab": tab,
        "filter": filters,
        "chips": filters.chips(tab),
        "drops": () if page.items else filters.drops(tab, tabs.in_tab(every, tab)),
        "found": sum(counts.values()),
    }
    return render(request, "releases/list.html", context)


def _first_tab_with_rows(counts: dict[str, int]) -> str:
    """The first tab that is not empty."""
    return next((name for name in tabs.LABELS if counts.get(name)), tabs.NEEDS_YOU)


def needs_setup(tenant: Tenant) -> bool:
    from integrations.setup import is_complete

    return not is_complete(tenant)


def _tabs(current: str, filters: ReleaseFilter, counts: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "href": filters.url(name),
            "current": name == current,
            "count": tabs.words_of(counts.get(name, 0)),
        }
        for name, label in tabs.LABELS.items()
    ]


@require_GET
@tenant_required()
def palette(request: TenantRequest) -> HttpResponse:
    """The lines of the command palette for `?q=`, as a fragment."""
    groups = search(request.tenant, request.role, request.GET.get("q", ""))
    response = render(request, "releases/_palette.html", {"groups": groups})
    response["Cache-Control"] = "no-store"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.MEMBER)
def release_new(request: TenantRequest) -> HttpResponse:
    form = ReleaseForm(request.tenant, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        release = form.submit(request.user) or _sent_twice(request, form)
        if release:
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


@require_POST
@tenant_required(Role.MEMBER)
def release_mark(request: TenantRequest, release_id: str) -> HttpResponse:
    """Set the posted `mark`, or take it back with `undo`."""
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    mark = request.POST.get("mark", "")
    if mark not in Mark.values:
        raise BadRequest
    change = remove_mark if request.POST.get("undo") else set_mark
    try:
        change(release=release, mark=Mark(mark), actor=request.user)
    except Conflict as conflict:
        messages.warning(request, conflict.message)
    return redirect("release", release.pk)


@fragment
@require_GET
@tenant_required()
def release_live(request: TenantRequest, release_id: str) -> HttpResponse:
    """The fragment of the page that refreshes itself."""
    context = _context(_find(request, release_id))
    shown: Overview = context["shown"]
    context["announce"] = not request.GET.get("seen", "").endswith(f".{shown.stage}")
    return refresh(
        request,
        "releases/_live.html",
        context,
        seen=context["seen"],
        is_moving=shown.is_moving,
        release=release_id,
    )


def _find(request: TenantRequest, release_id: str) -> Release:
    releases: ReleaseQuerySet = Release.objects.for_tenant(request.tenant)
    rows = with_changes(with_surroundings(releases.with_everything()), SHOWN + 1)
    found: Release = get_object_or_404(rows, pk=release_id)
    return found


def _context(release: Release) -> dict[str, Any]:
    rows = Effect.objects.for_tenant(release.tenant).filter(release_id=release.pk)
    effects, now = list(rows.order_by("created_at", "pk")), timezone.now()
    shown = overview(release, effects, mark_changes(release), now=now)
    found = blockers(
        release, effects, failing_integrations(release), sweeper_heartbeat(release), now
    )
    held_up = [blocker for blocker in found if blocker.is_held_up(now)]
    card = repository_card(release, effects, now)
    tickets = ticket_card(release, effects, now)
    stores = import_string(settings.STORE_CARDS)(release, effects, now)
    seen = f"{fingerprint((shown, found, card, tickets, stores, release.muted_at))}.{shown.stage}"
    return {
        "release": release,
        "shown": shown,
        "blockers": held_up,
        "may_try": any(blocker.may_try for blocker in held_up),
        "waits": {family: _waits(found, effects, family) for family in set(FAMILY_OF.values())},
        "card": card,
        "tickets": tickets,
        "store_cards": stores,
        "seen": seen,
    }


def _waits(found: list[Blocker], effects: list[Effect], family: str) -> dict[str, Any] | None:
    """Why messages (or epics) wait; failed ones are explained in their place in the list."""
    mine = [effect for effect in effects if FAMILY_OF.get(effect.kind) == family]
    waiting = [
        b
        for b in found
        if b.area == MESSAGES and b.family in ("", family) and b.code != "waiting_for_person"
    ]
    if not waiting or not any(effect.is_open for effect in mine):
        return None
    return {"blockers": waiting, "may_try": any(blocker.may_try for blocker in waiting)}
