"""The buttons of one effect: retry, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from delivr.effects.models import Effect
from delivr.effects.operations import cancel_effect, retry_effect
from delivr.pages.redirects import next_address
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role


@require_POST
@tenant_required(Role.ADMIN)
def effect_retry(request: TenantRequest, effect_id: str) -> HttpResponse:
    return _do(request, effect_id, retry_effect, _("It is being retried now."))


@require_POST
@tenant_required(Role.ADMIN)
def effect_cancel(request: TenantRequest, effect_id: str) -> HttpResponse:
    return _do(request, effect_id, cancel_effect, _("It will not be sent."))


def _do(
    request: TenantRequest, effect_id: str, operation: Callable[..., Any], done: str
) -> HttpResponse:
    effect = get_object_or_404(Effect.objects.for_tenant(request.tenant), pk=effect_id)
    try:
        operation(effect=effect, actor=request.user)
        messages.success(request, done)
    except ValidationError as error:
        messages.warning(request, " ".join(error.messages))
    return redirect(next_address(request, default="activity"))
