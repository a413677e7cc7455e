"""API tokens; switching to another workspace."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from delivr.pages.paging import paged
from delivr.pages.redirects import next_address
from delivr.security.ratelimit import hit
from delivr.tenants.decorators import tenant_required
from delivr.tenants.forms import TokenForm, WorkspaceForm
from delivr.tenants.middleware import SESSION_KEY, TenantRequest
from delivr.tenants.models import ApiToken, Role
from delivr.tenants.operations import revoke_token

FORM_KEY = "token_form"
WORKSPACES_A_DAY, A_DAY = 10, 24 * 3600  # per user; seconds


# --- Tokens ---------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(Role.OWNER)
def tokens(request: TenantRequest) -> HttpResponse:
    """The list and the form; only the response to a POST shows the new token."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if not _is_first_post(request):
            messages.info(request, _("This form was sent already. A token is shown only once."))
            return redirect("settings_tokens")
        created = form.create(tenant=request.tenant, user=request.user)
        if created is not None:
            context = {"token": created[0], "text_of_token": created[1]}
            return render(request, "settings/token_created.html", context)
    return render(request, "settings/tokens.html", _tokens(request, form))


def _tokens(request: TenantRequest, form: TokenForm) -> dict[str, Any]:
    rows = ApiToken.objects.for_tenant(request.tenant).select_related("user")
    if FORM_KEY not in request.session:
        request.session[FORM_KEY] = secrets.token_urlsafe(8)
    key = request.session[FORM_KEY]
    return {"form": form, "form_key": key, "page": paged(request, rows)}


def _is_first_post(request: HttpRequest) -> bool:
    """False if the page that shows a token is reloaded, which would create another token."""
    wanted = request.session.pop(FORM_KEY, None)
    return wanted is not None and wanted == request.POST.get("form_key")


@require_POST
@tenant_required(Role.OWNER)
def token_revoke(request: TenantRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.for_tenant(request.tenant), pk=token_id)
    revoke_token(token=token, actor=request.user)
    messages.success(request, _("The token %(token)s is revoked.") % {"token": token})
    return redirect("settings_tokens")


# --- Workspaces -----------------------------------------------------------------------------------


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
    words = _("At most %d workspaces can be made in a day. Try again tomorrow.")
    form.add_error(None, words % WORKSPACES_A_DAY)
    return False
