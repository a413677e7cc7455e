"""The workspace itself: rename, delete, create another, switch to another."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from delivr.pages.redirects import next_address
from delivr.security.ratelimit import hit
from delivr.tenants.decorators import tenant_required
from delivr.tenants.forms import CloseForm, RenameForm, WorkspaceForm
from delivr.tenants.middleware import SESSION_KEY, TenantRequest
from delivr.tenants.models import Role

WORKSPACES_A_DAY, A_DAY = 10, 24 * 3600  # per user; seconds


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(Role.OWNER)
def workspace(request: TenantRequest) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    form = RenameForm(posted, initial={"name": request.tenant.name})
    if form.is_valid() and form.rename(tenant=request.tenant, actor=request.user):
        messages.success(request, _("The workspace was renamed."))
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


@require_POST
@login_required
def switch(request: HttpRequest) -> HttpResponse:
    """Make another of the user's workspaces the current one."""
    wanted = request.POST.get("tenant", "")
    mine = {m.tenant_id for m in request.memberships}  # type: ignore[attr-defined]
    if wanted not in mine:
        raise Http404
    request.session[SESSION_KEY] = wanted
    return redirect(next_address(request, default="home"))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_workspace(request: HttpRequest) -> HttpResponse:
    form = WorkspaceForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _may_create_workspace(request, form):
        tenant = form.create(request.user)  # type: ignore[arg-type]
        request.session[SESSION_KEY] = tenant.pk
        return redirect("home")
    return render(request, "settings/new_workspace.html", {"form": form})


def _may_create_workspace(request: HttpRequest, form: WorkspaceForm) -> bool:
    """Limits new workspaces, since each gets its own share of workers and mails."""
    if hit(f"workspaces:{request.user.pk}", limit=WORKSPACES_A_DAY, window=A_DAY) is None:
        return True
    words = _("At most %d workspaces can be created in a day. Try again tomorrow.")
    form.add_error(None, words % WORKSPACES_A_DAY)
    return False
