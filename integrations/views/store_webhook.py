"""The notifications of a store: where they go, whether they arrive, and the secret, shown once."""

from __future__ import annotations

import ipaddress
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from delivr.failures import Conflict, ProviderError
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations import demo, store_webhooks
from integrations.models import TargetIntegration
from integrations.throttle import throttled_call
from integrations.views.once import Repeated, new_token, once
from integrations.views.shared import find


def store_webhook_context(target: TargetIntegration) -> dict[str, Any]:
    """The context of templates/integrations/store_webhook.html."""
    return {
        "store_webhook": {
            "url": target.webhook_url,
            "heard": store_webhooks.heard(target),
            "is_reachable": is_reachable(settings.BASE_URL) or demo.is_offered(),
            "form_key": new_token(),
        }
    }


def is_reachable(base_url: str) -> bool:
    """False if an outside system cannot send anything to this address, by its looks alone."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host == "localhost" or host.endswith((".local", ".internal")):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host


@tenant_required(role=Role.ADMIN)
@never_cache
@require_POST
def store_secret(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Create a secret, or replace it, and show it: in the answer to the POST, so that it is in no
    URL, session or cache. A reload creates no other one."""
    target = cast(TargetIntegration, find(request, "targets", connection_id))
    page = reverse("integration", args=["targets", target.pk])
    had_one = store_webhooks.heard(target) is not None
    shown: list[str] = []

    def work() -> TargetIntegration:
        shown.append(store_webhooks.replace(target, actor=request.user))
        return target

    try:
        once(request, work)
    except Repeated:
        words = _("This secret was shown once already. Rotate it to get a new one.")
        messages.info(request, words)
        return redirect(page)
    except Conflict as conflict:
        messages.error(request, conflict.message)
        return redirect(page)
    context = {
        "target": target,
        "secret": shown[0],
        "had_one": had_one,
        "continue_url": page,
        "how": f"integrations/help/{target.slug}_webhook.html",
        **store_webhook_context(target),
    }
    return render(request, "integrations/store_webhook_secret.html", context)


@tenant_required(role=Role.ADMIN)
@require_POST
def store_to_sandbox(request: TenantRequest, connection_id: str) -> HttpResponse:
    """In the demo: enter a new secret in the stand-in of the store, as a person does there."""
    target = cast(TargetIntegration, find(request, "targets", connection_id))
    page = reverse("integration", args=["targets", target.pk])
    try:
        with throttled_call("sandbox", user=request.user):
            demo.notify_here(target, actor=request.user)
    except (ProviderError, Conflict) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The sandbox's store sends its notifications now."))
    return redirect(page)
