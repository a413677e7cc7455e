"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from delivr.monitoring.collecting import registry


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of the whole installation, whichever process responds. Needs METRICS_TOKEN as a
    bearer token; without that setting there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token, settings.METRICS_TOKEN):
        headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse("METRICS_TOKEN is needed.\n", status=401, headers=headers)
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)
