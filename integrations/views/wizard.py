"""The setup wizard: five steps, one for each family; the rows decide which step is next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from delivr.tenants.operations import skip_step
from integrations.forms import ConnectionForm, kinds_of
from integrations.models import Connection, PipelineIntegration
from integrations.providers.registry import needs_of
from integrations.setup import STEPS, StepState, current, is_complete, minutes_left, progress
from integrations.views import shared, streamed_checks
from integrations.views.connections import answer_saved, form_context
from integrations.views.once import Repeated
from integrations.views.webhook_secret import answer_again


def here(family: str) -> str:
    return reverse("setup_step", args=[family])


@require_GET
@tenant_required()
def home(request: TenantRequest) -> HttpResponse:
    """Redirect to the releases, or to the setup while it is incomplete."""
    return redirect("releases" if is_complete(request.tenant) else "setup")


@require_GET
@tenant_required()
def setup(request: TenantRequest) -> HttpResponse:
    """Redirect to the current step."""
    return redirect(_waiting(progress(request.tenant)))


def _waiting(steps: Sequence[StepState]) -> str:
    step = current(steps)
    return here(step.key) if step else reverse("setup_done")


@require_GET
@tenant_required()
def setup_done(request: TenantRequest) -> HttpResponse:
    """Show what is connected, and what to do next."""
    steps = progress(request.tenant)
    if current(steps) is not None:
        return redirect(_waiting(steps))
    families = [(s, list(shared.rows_of(s.key, request.tenant))) for s in steps]
    context = {
        "steps": steps,
        "families": families,
        "are_all_working": all(one.is_valid for _state, found in families for one in found),
    }
    return render(request, "setup/done.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.ADMIN)
@never_cache
def setup_step(request: TenantRequest, family: str) -> HttpResponseBase:
    """GET shows the family's connections and a form; POST connects or edits one and verifies it."""
    steps = progress(request.tenant)
    state = next((s for s in steps if s.key == family), None)
    if state is None:  # no step of the setup
        raise Http404
    if not state.is_open:
        return redirect(_waiting(steps))
    if request.method == "POST":
        return _send(request, steps, state)
    connections = list(shared.rows_of(family, request.tenant))
    return _show(request, steps, state, connections, _form(request, family, connections))


def _form(
    request: TenantRequest, family: str, connections: Sequence[Connection]
) -> ConnectionForm | None:
    """The form to show: the requested one, else that of a failing connection, else a new one."""
    if not request.role.covers(Role.ADMIN):
        return None
    if wanted := request.GET.get("edit"):
        return _edit_form(request, [c for c in connections if c.pk == wanted])
    if "kind" not in request.GET and connections:
        failing = [c for c in connections if not c.is_valid]
        return _edit_form(request, failing) if failing else None
    return shared.open_form(request, shared.chosen_provider(family, request.GET.get("kind")))


def _edit_form(request: TenantRequest, candidates: Sequence[Connection]) -> ConnectionForm:
    if not candidates:
        raise Http404
    return shared.open_form(request, candidates[0].provider_key, candidates[0])


def _send(request: TenantRequest, steps: Sequence[StepState], state: StepState) -> HttpResponseBase:
    edited = shared.named_connection(request, state.key, "connection")
    wanted = request.POST.get("kind")
    key = edited.provider_key if edited else shared.chosen_provider(state.key, wanted)
    form = shared.sent_form(request, key, edited)
    if streamed_checks.is_asked_for(request):
        return streamed_checks.save_streamed(request, form)
    try:
        connection = shared.save(request, form)
    except Repeated as repeated:
        return answer_again(request, repeated, default=here(state.key))
    if connection is None:
        connections = list(shared.rows_of(state.key, request.tenant))
        return _show(request, steps, state, connections, form)
    page = here(state.key)
    if shared.has_failed(connection):
        page += "?" + urlencode({"edit": connection.pk})
    return answer_saved(request, connection, page=page, is_new=edited is None)


def _show(
    request: TenantRequest,
    steps: Sequence[StepState],
    state: StepState,
    connections: Sequence[Connection],
    form: ConnectionForm | None,
) -> HttpResponse:
    place = list(steps).index(state)
    next_step = steps[place + 1] if place + 1 < len(steps) else None
    context: dict[str, Any] = {
        "steps": steps,
        "state": state,
        "step": state.step,
        "number": place + 1,
        "minutes_left": minutes_left(steps),
        "needs": needs_of(form.provider_key) if form else state.step.needs,
        "connections": connections,
        "verified": shared.show_result(request, connections),
        "has_tests": state.step.model is PipelineIntegration,
        "kinds": kinds_of(state.step.model),
        "next_step": next_step,
        "continue_url": next_step.url if next_step else reverse("setup_done"),
        **(form_context(form) if form else {}),
    }
    if form and connections and (form.connection is None or form.connection.is_valid):
        context["cancel_url"] = here(state.key)
    if state.step.model is PipelineIntegration:
        context["lonely_targets"] = shared.targets_without_pipeline(request.tenant)
    return render(request, "setup/step.html", context)


@tenant_required(role=Role.ADMIN)
@require_POST
def setup_skip(request: TenantRequest, family: str) -> HttpResponse:
    """Skip an optional step; it can be opened again at any time."""
    if family not in {step.key for step in STEPS if step.optional}:
        raise Http404
    skip_step(tenant=request.tenant, actor=request.user, step=family)
    return redirect("setup")
