"""The page on which a member links an account in a chat."""

from __future__ import annotations

import re

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from builds.buttons import linking
from builds.buttons.models import ChatAccount
from delivr.failures import Conflict
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest

_ID = re.compile(r"[0-9]{1,18}")


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required()
@never_cache
def chat_accounts(request: TenantRequest) -> HttpResponse:
    """Confirm the link that was shown in the chat, and unlink accounts."""
    own = ChatAccount.objects.for_tenant(request.tenant).filter(user=request.user)
    if request.method == "POST" and (unlinked := request.POST.get("unlink", "")):
        account = get_object_or_404(own, pk=int(unlinked) if _ID.fullmatch(unlinked) else 0)
        linking.unlink(account, actor=request.user)
        messages.success(request, _("Unlinked."))
        return redirect("chat_accounts")
    token = request.POST.get("token") or request.GET.get("token", "")
    found = linking.read(token) if token else None
    is_elsewhere = found is not None and found.tenant_id != request.tenant.pk
    if request.method == "POST" and found is not None and not is_elsewhere:
        try:
            linking.link(found, user=request.user)
        except Conflict as conflict:
            messages.error(request, conflict.message)
        else:
            messages.success(request, _("Linked. Press the button again."))
        return redirect("chat_accounts")
    shown = None if is_elsewhere else found
    context = {
        "found": shown,
        "where": shown.communication.full_name_of(shown.channel) if shown else "",
        "token": token,
        "is_dead": bool(token) and found is None,
        "is_elsewhere": is_elsewhere,
        "accounts": own,
    }
    return render(request, "settings/chat_accounts.html", context)
