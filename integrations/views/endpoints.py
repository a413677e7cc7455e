"""The pages of endpoints: the delivery log, and the signing secret, shown once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from delivr.api.problems import Problem
from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.pages.paging import paged
from delivr.pages.redirects import next_address
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations import endpoints
from integrations.endpoints_api import MOST_PER_MINUTE
from integrations.models import CommunicationIntegration, EndpointAttempt
from integrations.throttle import throttle, throttled_call
from integrations.verification import verify
from integrations.views import shared
from integrations.views.endpoint_secret import show_signing_secret
from integrations.views.once import Repeated, once

LAST_ATTEMPTS = 5


def endpoint_context(endpoint: CommunicationIntegration) -> dict[str, object]:
    """The context of templates/integrations/endpoint.html."""
    until = endpoint.previous_token_until
    return {
        "is_endpoint": True,
        "attempts": list(endpoints.attempts_of(endpoint)[:LAST_ATTEMPTS]),
        "old_secret_until": until if until and until > timezone.now() else None,
    }


@require_GET
@tenant_required()
def endpoint_log(request: TenantRequest, endpoint_id: str) -> HttpResponse:
    """Every request of the last 30 days, with what was sent and answered."""
    endpoint = _find(request, endpoint_id)
    page = paged(request, endpoints.attempts_of(endpoint).order_by("-at", "-pk"))
    return render(request, "integrations/endpoint_log.html", {"connection": endpoint, "page": page})


@tenant_required(role=Role.ADMIN)
@require_POST
def endpoint_resend(request: TenantRequest, endpoint_id: str, attempt_id: str) -> HttpResponse:
    endpoint = _find(request, endpoint_id)
    rows = EndpointAttempt.objects.for_tenant(request.tenant)
    attempt = get_object_or_404(rows, pk=attempt_id, integration_id=endpoint.pk)
    return _sent(request, endpoint, partial(endpoints.resend, attempt))


@tenant_required(role=Role.ADMIN)
@require_POST
def endpoint_test(request: TenantRequest, endpoint_id: str) -> HttpResponse:
    endpoint = _find(request, endpoint_id)
    return _sent(request, endpoint, partial(endpoints.send_test, endpoint))


def _sent(
    request: TenantRequest, endpoint: CommunicationIntegration, operation: Callable[..., Effect]
) -> HttpResponse:
    try:
        throttle("event", user=request.user, limit=MOST_PER_MINUTE)
        operation(actor=request.user)
    except (Conflict, Problem) as error:
        messages.error(request, shared.in_words(error))
    else:
        messages.success(request, _("It is being sent. The result is in the delivery log."))
    return redirect(next_address(request, default=_page_of(endpoint)))


@tenant_required(role=Role.ADMIN)
@require_POST
def endpoint_turn_on(request: TenantRequest, endpoint_id: str) -> HttpResponse:
    """Turn it on again and verify it (network)."""
    endpoint = _find(request, endpoint_id)
    try:
        with throttled_call("verify", user=request.user):
            endpoint = endpoints.turn_on(endpoint, actor=request.user)
            shared.add_result_message(request, verify(endpoint, actor=request.user))
    except (Conflict, Problem) as error:
        messages.error(request, shared.in_words(error))
    return redirect(_page_of(endpoint))


@tenant_required(role=Role.ADMIN)
@never_cache
@require_POST
def endpoint_rotate(request: TenantRequest, endpoint_id: str) -> HttpResponse:
    """Create a new signing secret and show it; the old one signs, too, for one more day."""
    endpoint = _find(request, endpoint_id)
    page = _page_of(endpoint)
    try:
        rotate = partial(endpoints.rotate_secret, endpoint, actor=request.user)
        endpoint = once(request, rotate) or endpoint
    except Repeated:
        messages.info(request, _("This was already done, and was not repeated."))
        return redirect(page)
    except Conflict as conflict:
        messages.error(request, conflict.message)
        return redirect(page)
    return show_signing_secret(request, endpoint, continue_url=page, is_new=False)


def _find(request: TenantRequest, endpoint_id: str) -> CommunicationIntegration:
    found = shared.find(request, "communication", endpoint_id)
    if not isinstance(found, CommunicationIntegration) or not found.is_endpoint:
        raise Http404
    return found


def _page_of(endpoint: CommunicationIntegration) -> str:
    return reverse("integration", args=["communication", endpoint.pk])
