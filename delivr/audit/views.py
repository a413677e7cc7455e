"""The audit log of a workspace: who did what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from delivr.audit.export import as_csv, as_json
from delivr.audit.forms import AuditFilter
from delivr.audit.models import AuditEvent, AuditEventQuerySet
from delivr.pages.paging import paged
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role

SEARCHED = 5000  # newest rows in which the page looks for a part of a name; the export, in all
Writer = Callable[[Iterable[AuditEvent]], Iterator[str]]
FORMATS: dict[str, tuple[str, Writer]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "json": ("application/json", as_json),
}


@require_GET
@tenant_required()
def audit(request: TenantRequest) -> HttpResponse:
    form = AuditFilter(request.GET)
    context = {
        "form": form,
        "page": paged(request, _found(request, form, within=SEARCHED)),
        "searched": SEARCHED if {"who", "subject"} & set(form.wanted) else 0,
        "is_filtered": bool(form.wanted),
        "may_export": request.role.covers(Role.ADMIN),
        "query": request.GET.urlencode(),
    }
    return render(request, "settings/audit.html", context)


@never_cache
@require_GET
@tenant_required(Role.ADMIN)
def export(request: TenantRequest, extension: str) -> StreamingHttpResponse:
    """Everything that the page would show, as a file."""
    if extension not in FORMATS:
        raise Http404
    content_type, write = FORMATS[extension]
    rows = _found(request, AuditFilter(request.GET))
    answer = StreamingHttpResponse(write(rows.in_chunks()), content_type=content_type)
    name = f"audit-{request.tenant.pk}-{timezone.now():%Y-%m-%d}.{extension}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _found(
    request: TenantRequest, form: AuditFilter, *, within: int | None = None
) -> AuditEventQuerySet:
    rows: AuditEventQuerySet = AuditEvent.objects.for_tenant(request.tenant)
    return rows.matching(**form.wanted, within=within)
