"""The page that shows an endpoint's signing secret once."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from delivr.tenants.middleware import TenantRequest
from integrations.models import CommunicationIntegration


def show_signing_secret(
    request: TenantRequest,
    endpoint: CommunicationIntegration,
    *,
    continue_url: str,
    is_new: bool,
) -> HttpResponse:
    """The answer to the POST that created the secret, so that it is in no URL, session or cache."""
    secret = endpoint.token.reveal() if endpoint.token else ""
    context = {
        "endpoint": endpoint,
        "secret": secret,
        "continue_url": continue_url,
        "is_new": is_new,
    }
    return render(request, "integrations/endpoint_secret.html", context)
