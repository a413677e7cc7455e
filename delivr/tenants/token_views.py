"""API tokens."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from delivr.pages.paging import paged
from delivr.tenants.decorators import tenant_required
from delivr.tenants.forms import TokenForm
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import ApiToken, Role
from delivr.tenants.operations import revoke_token

FORM_KEY = "token_form"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(Role.OWNER)
def tokens(request: TenantRequest) -> HttpResponse:
    """The list and the form; only the response to a POST shows the new token."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if not _is_first_post(request):
            messages.info(request, _("This form was already sent. A token is shown only once."))
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
