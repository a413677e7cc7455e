"""The page of a release's changes, and the workspace's release settings."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from delivr.pages.paging import paged
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations.models import ScmIntegration
from releases.models import Release
from releases.repository.acts import host_of, part_of
from releases.repository.card import ChangeLine
from releases.repository.forms import SettingsForm
from releases.repository.steps import change_settings, settings_of, steps_of
from releases.repository.summary import summary_of
from releases.tickets.steps import ticket_steps_of


@require_GET
@tenant_required()
def release_changes(request: TenantRequest, release_id: str) -> HttpResponse:
    rows = Release.objects.for_tenant(request.tenant).select_related("scm", "repository_part")
    release = get_object_or_404(rows, pk=release_id)
    page = paged(request, release.changes.all())
    context = {
        "release": release,
        "part": part_of(release),
        "summary": summary_of(release),
        "page": page,
        "lines": [ChangeLine.of(change, host_of(release).pull_mark) for change in page.items],
    }
    return render(request, "releases/changes.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(Role.ADMIN)
def release_settings(request: TenantRequest) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    defaults = settings_of(request.tenant)
    form = SettingsForm(posted, initial=steps_of(defaults) | ticket_steps_of(defaults))
    form.tell_of_drafts(ScmIntegration.objects.for_tenant(request.tenant))
    if form.is_valid():
        change_settings(tenant=request.tenant, actor=request.user, steps=form.cleaned_data)
        messages.success(request, _("Saved. New releases use these settings."))
        return redirect("settings_releases")
    return render(request, "settings/releases.html", {"form": form})
