"""The page on which a member links an account in a chat."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from builds.buttons import linking
from builds.buttons.models import ChatAccount
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required()
@never_cache
def chat_account_link(request: TenantRequest) -> HttpResponse:
    """Confirm the link that was shown in the chat; without one, the accounts linked so far."""
    token = request.POST.get("token") or request.GET.get("token", "")
    found = linking.read(token) if token else None
    is_elsewhere = found is not None and found.tenant_id != request.tenant.pk
    if request.method == "POST" and found is not None and not is_elsewhere:
        linking.link(found, tenant=request.tenant, user=request.user)
        messages.success(request, _("Linked. Press the button again."))
        return redirect("chat_account_link")
    accounts = ChatAccount.objects.for_tenant(request.tenant).filter(user=request.user)
    context = {
        "found": None if is_elsewhere else found,
        "token": token,
        "is_dead": bool(token) and found is None,
        "is_elsewhere": is_elsewhere,
        "accounts": accounts,
    }
    return render(request, "settings/chat_accounts.html", context)


@require_POST
@tenant_required()
def chat_account_unlink(request: TenantRequest, account_id: int) -> HttpResponse:
    rows = ChatAccount.objects.for_tenant(request.tenant).filter(user=request.user)
    linking.unlink(get_object_or_404(rows, pk=account_id), actor=request.user)
    messages.success(request, _("Unlinked."))
    return redirect("chat_account_link")
