"""The page of the workspace itself: rename, delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from delivr.tenants.decorators import tenant_required
from delivr.tenants.forms import CloseForm, RenameForm
from delivr.tenants.middleware import SESSION_KEY, TenantRequest
from delivr.tenants.models import Role


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(Role.OWNER)
def workspace(request: TenantRequest) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    form = RenameForm(posted, initial={"name": request.tenant.name})
    if form.is_valid() and form.rename(tenant=request.tenant, actor=request.user):
        messages.success(request, _("The workspace has its new name."))
        return redirect("settings_workspace")
    return _page(request, form, CloseForm())


@require_POST
@tenant_required(Role.OWNER)
def workspace_delete(request: TenantRequest) -> HttpResponse:
    form = CloseForm(request.POST)
    if not (form.is_valid() and form.close(tenant=request.tenant, actor=request.user)):
        return _page(request, RenameForm(initial={"name": request.tenant.name}), form)
    request.session.pop(SESSION_KEY, None)
    words = _("The workspace %(name)s is deleted.") % {"name": request.tenant.name}
    messages.success(request, words)
    return redirect("home")


def _page(request: TenantRequest, rename: RenameForm, close: CloseForm) -> HttpResponse:
    return render(request, "settings/workspace.html", {"rename": rename, "close": close})
