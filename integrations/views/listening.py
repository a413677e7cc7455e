"""A fragment of a page that polls until the first webhook delivery arrives."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from delivr.date_bounds import read_datetime
from delivr.pages.live import HTTP_STOP_POLLING, fragment
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from integrations.models import PipelineIntegration
from integrations.views.shared import find

TIMEOUT = timedelta(minutes=10)  # then polling stops


def listening_context(
    pipeline: PipelineIntegration,
    since: datetime | None = None,
    *,
    heard_since: datetime | None = None,
) -> dict[str, Any]:
    """The context of templates/integrations/listening.html: the first delivery since, if any.
    `heard_since` is earlier where what came in before the page was made counts too."""
    since = since or timezone.now()
    deliveries = pipeline.deliveries.defer("body").filter(received_at__gte=heard_since or since)
    return {
        "pipeline": pipeline,
        "since": since.isoformat(),
        "heard": deliveries.order_by("received_at").first(),
        "is_over": timezone.now() - since > TIMEOUT,
    }


@fragment
@require_GET
@tenant_required()
def listening(request: TenantRequest, connection_id: str) -> HttpResponse:
    """The fragment, or 204 while nothing has arrived since the page was rendered."""
    pipeline = find(request, "pipelines", connection_id)
    assert isinstance(pipeline, PipelineIntegration)  # noqa: S101 # the family's model
    context = listening_context(pipeline, read_datetime(request.GET.get("since", "")))
    if context["heard"] is None and not context["is_over"]:
        return HttpResponse(status=204)
    response = render(request, "integrations/listening.html", context)
    response.status_code = HTTP_STOP_POLLING
    return response
