"""The buttons that start and cancel a test build, and the page fragment that shows its state."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.forms.models import model_to_dict
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from builds.models import TestBuild
from builds.testbuilds.operations import MAX_PER_MINUTE, cancel_test, start_test
from builds.views import refusals_as_messages
from delivr.api.problems import Problem
from delivr.effects.models import Effect
from delivr.pages.live import fingerprint, fragment, refresh
from delivr.pages.redirects import next_address
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations.models import PipelineIntegration
from integrations.throttle import throttle
from integrations.views.connections import page_of
from integrations.views.shared import find


@fragment
@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.ADMIN)
def test_build(request: TenantRequest, connection_id: str) -> HttpResponse:
    """GET renders the fragment of the page, POST starts a test build."""
    pipeline = find(request, "pipelines", connection_id)
    assert isinstance(pipeline, PipelineIntegration)  # noqa: S101 # the family's model
    if request.method == "POST":
        return _start(request, pipeline)
    test = pipeline.test_builds.first()
    context = {**_context(pipeline, test), "next": request.GET.get("next", "")}
    template = "integrations/test_build.html"
    is_moving = test is not None and test.is_followed
    return refresh(request, template, context, seen=context["seen"], is_moving=is_moving)


def _start(request: TenantRequest, pipeline: PipelineIntegration) -> HttpResponse:
    version, branch = (request.POST.get(name, "") for name in ("version", "branch"))
    try:
        throttle("test build", user=request.user, limit=MAX_PER_MINUTE)
        with refusals_as_messages(request):
            start_test(pipeline=pipeline, actor=request.user, version=version, branch=branch)
    except Problem as problem:
        messages.error(request, problem.detail)
    return redirect(next_address(request, default=page_of(pipeline)))


@require_POST
@tenant_required(Role.ADMIN)
def test_build_cancel(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Cancel the test build that the page showed, or the newest one if the form names none."""
    pipeline = find(request, "pipelines", connection_id)
    assert isinstance(pipeline, PipelineIntegration)  # noqa: S101 # the family's model
    shown = request.POST.get("test", "")
    test = next((one for one in pipeline.test_builds.all() if shown in ("", one.pk)), None)
    if test is None:
        raise Http404
    with refusals_as_messages(request):
        cancel_test(test=test, actor=request.user)
    return redirect(next_address(request, default=page_of(pipeline)))


def _context(pipeline: PipelineIntegration, test: TestBuild | None) -> dict[str, Any]:
    trigger = None
    if test is not None and test.status == "TRIGGERING":
        effects = Effect.objects.for_tenant(pipeline.tenant_id)
        trigger = effects.filter(dedupe_key=f"test:{test.pk}:trigger").first()
    awaits = test is not None and test.awaits_webhook
    shown = (model_to_dict(test) if test else None, trigger and trigger.last_error, awaits)
    return {"pipeline": pipeline, "test": test, "trigger": trigger, "seen": fingerprint(*shown)}
