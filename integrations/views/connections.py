"""The list of a workspace's connections, and the page of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from delivr.api.problems import Problem
from delivr.failures import Conflict, ProviderError
from delivr.pages.redirects import next_address
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role, User
from integrations import demo, operations, webhook_secrets
from integrations.expiry import expiry_words, with_expiry
from integrations.forms import ConnectionForm, kinds_of
from integrations.in_short import connections_in_short
from integrations.models import (
    CommunicationIntegration,
    Connection,
    PipelineIntegration,
    TargetIntegration,
)
from integrations.providers.registry import fields_of, provider_class, provider_for, slug_of
from integrations.setup import SECTIONS, STEP
from integrations.throttle import throttle, throttled_call
from integrations.verification import verify
from integrations.views import shared, streamed_checks
from integrations.views.endpoint_secret import show_signing_secret
from integrations.views.endpoints import endpoint_context
from integrations.views.once import Repeated, new_token
from integrations.views.store_webhook import store_webhook_context
from integrations.views.webhook_secret import answer_again, show_secret

LAST_DELIVERIES = 10


@require_GET
@tenant_required()
def integrations(request: TenantRequest) -> HttpResponse:
    """Every family with its connections and the kinds that can be added."""
    connections = with_expiry(connections_in_short(request.tenant))
    families = [
        {
            "step": step,
            "kinds": kinds_of(step.model),
            "connections": [row for row in connections if row.family == step.key],
        }
        for step in SECTIONS
    ]
    return render(request, "integrations/list.html", {"families": families})


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(role=Role.ADMIN)
@never_cache
def integration_new(request: TenantRequest, family: str) -> HttpResponseBase:
    key = shared.chosen_provider(family, request.POST.get("kind") or request.GET.get("kind"))
    if request.method != "POST":
        return _form_page(request, shared.open_form(request, key))
    form = shared.sent_form(request, key)
    if streamed_checks.is_asked_for(request):
        return streamed_checks.save_streamed(request, form)
    try:
        connection = shared.save(request, form)
    except Repeated as repeated:
        made = repeated.connection_id
        page = reverse("integration", args=[family, made]) if made else reverse("integrations")
        return answer_again(request, repeated, default=page)
    if connection is None:
        return _form_page(request, form)
    return answer_saved(request, connection, page=page_of(connection), is_new=True)


def answer_saved(
    request: TenantRequest, connection: Connection, *, page: str, is_new: bool
) -> HttpResponse:
    """The secret that was generated if it is to be shown now, else a redirect."""
    shared.add_result_message(request, connection)
    if isinstance(connection, PipelineIntegration) and _may_show_secret(connection):
        return show_secret(request, connection, continue_url=page, is_new=True)
    if isinstance(connection, CommunicationIntegration) and is_new and connection.is_endpoint:
        return show_signing_secret(request, connection, continue_url=page, is_new=True)
    return redirect(page)


def _may_show_secret(pipeline: PipelineIntegration) -> bool:
    return shared.is_secret_due(pipeline) and webhook_secrets.claim_unseen(pipeline)


def _form_page(request: TenantRequest, form: ConnectionForm) -> HttpResponse:
    family = form.model.family
    context = {
        "step": STEP[family],
        "kinds": kinds_of(form.model),
        "cancel_url": reverse("integrations"),
        **form_context(form),
    }
    return render(request, "integrations/new.html", context)


def form_context(form: ConnectionForm) -> dict[str, Any]:
    """The context of templates/integrations/form.html."""
    return {
        "form": form,
        "kind_label": dict(kinds_of(form.model))[form.kind],
        "help_templates": [
            f"integrations/help/{slug_of(form.provider_key)}.html",
            "integrations/help/none.html",
        ],
        "sandbox_query": _sandbox_query(form) if _has_values(form) else "",
        "app_url": _app_url(form),
        "new_app_url": provider_class(form.provider_key).new_app_url,
    }


def _has_values(form: ConnectionForm) -> bool:
    return demo.is_offered() and demo.has_values(form.provider_key)


def _app_url(form: ConnectionForm) -> str:
    """Where an app can be registered in place of a credential; "" if there is no such thing."""
    if form.connection is not None or not provider_class(form.provider_key).registers_apps:
        return ""
    return f"{reverse('app_new', args=[form.model.family])}?kind={form.kind}"


def _sandbox_query(form: ConnectionForm) -> str:
    """The query of the same form, filled in with the sandbox's values."""
    same = {"edit": form.connection.pk} if form.connection else {"kind": form.kind}
    return "?" + urlencode({**same, "sandbox": 1})


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.ADMIN)
@never_cache
def integration(request: TenantRequest, family: str, connection_id: str) -> HttpResponseBase:
    """One connection with the result of its verification; with its form if requested (`?edit=1`),
    if it has errors, or if the connection does not work."""
    connection = shared.find(request, family, connection_id)
    if request.method != "POST":
        is_wanted = "edit" in request.GET or not connection.is_valid
        may_edit = is_wanted and request.role.covers(Role.ADMIN)
        form = shared.open_form(request, connection.provider_key, connection) if may_edit else None
        return _page(request, connection, form)
    form = shared.sent_form(request, connection.provider_key, connection)
    if streamed_checks.is_asked_for(request):
        return streamed_checks.save_streamed(request, form)
    saved = shared.save(request, form)
    if saved is None:
        return _page(request, shared.find(request, family, connection_id), form)
    return answer_saved(request, saved, page=page_of(saved), is_new=False)


def _page(
    request: TenantRequest, connection: Connection, form: ConnectionForm | None
) -> HttpResponse:
    context = {
        "connection": connection,
        "step": STEP[connection.family],
        "details": details(connection),
        "verified": shared.show_result(request, [connection]),
        "expiry": expiry_words(connection),
        "kind_label": connection.kind_label,
        "is_editing": form is not None and connection.is_valid,
        "cancel_url": page_of(connection) if connection.is_valid else "",
        **(form_context(form) if form else {}),
    }
    if isinstance(connection, PipelineIntegration):
        context |= _webhook_context(connection)
    if isinstance(connection, TargetIntegration) and connection.webhook_url:
        context |= store_webhook_context(connection)
    if isinstance(connection, CommunicationIntegration) and connection.is_endpoint:
        context |= {**endpoint_context(connection), "rotate_token": new_token()}
    return render(request, "integrations/detail.html", context)


def _webhook_context(pipeline: PipelineIntegration) -> dict[str, Any]:
    deliveries = pipeline.deliveries.defer("body").prefetch_related("events")
    deliveries = deliveries.select_related("build__release_pipeline__release")[:LAST_DELIVERIES]
    return {
        "has_tests": True,
        "webhook_url": pipeline.webhook_url,
        "rotate_token": new_token(),
        "old_secret_until": _old_secret_until(pipeline),
        "deliveries": list(deliveries),
    }


def _old_secret_until(pipeline: PipelineIntegration) -> datetime | None:
    """Until when the previous webhook secret still works; None if it does not."""
    until = pipeline.previous_webhook_secret_until
    return until if pipeline.previous_webhook_secret and until and until > timezone.now() else None


def details(connection: Connection) -> list[tuple[str, str]]:
    """The labels and values of a connection's filled-in fields; of a secret only whether there is
    one."""
    shown: list[tuple[str, str]] = []
    if isinstance(connection, PipelineIntegration):
        shown = [(_("Builds for"), str(connection.target)), (_("Builds from"), str(connection.scm))]
    elif "target" in connection.provider_class.references:
        shown = [(_("App"), str(connection.value_of("target")))]
    for field in fields_of(connection.provider_key):
        value = field.in_words(field.read(connection))
        if field.secret:
            value = _("stored") if value else _("not stored")
        elif isinstance(connection, CommunicationIntegration) and isinstance(value, list):
            value = [_with_id(connection.channel_name(one), one) for one in value]
        if value:
            shown.append((str(field.label), _in_words(value)))
    if connection.credential_changed_at:
        shown.append((_("Credential entered"), _day(connection.credential_changed_at)))
    if connection.credential_expires_at:
        shown.append((_("Credential expires"), _day(connection.credential_expires_at)))
    return shown


def _with_id(name: str, one: str) -> str:
    return one if name == one else f"{name} ({one})"


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "j M Y")


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}={text}" for name, text in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def page_of(connection: Connection) -> str:
    return reverse("integration", args=[connection.family, connection.pk])


@tenant_required(role=Role.ADMIN)
@require_POST
def integration_verify(request: TenantRequest, family: str, connection_id: str) -> HttpResponseBase:
    """Verify and redirect back, or stream each check as it ends if the page asks for that."""
    connection = shared.find(request, family, connection_id)
    back = next_address(request, default=page_of(connection))
    try:
        if streamed_checks.is_asked_for(request):
            throttle("verify", user=request.user)
            then = {"location": shared.page_with_result(back, connection)}
            return streamed_checks.stream_checks(connection, actor=request.user, then=then)
        with throttled_call("verify", user=request.user):
            shared.add_result_message(request, verify(connection, actor=request.user))
    except Problem as problem:
        if streamed_checks.is_asked_for(request):
            return HttpResponse(status=streamed_checks.NO_CONTENT)
        messages.error(request, problem.detail)
    return redirect(back)


@tenant_required(role=Role.ADMIN)
@require_POST
def integration_move(request: TenantRequest, family: str, connection_id: str) -> HttpResponse:
    """Take the new address of what was renamed over, and verify (network)."""
    connection = shared.find(request, family, connection_id)
    if not connection.has_moved:
        return redirect(page_of(connection))
    try:
        with throttled_call("verify", user=request.user):
            verified = _moved(connection, request.user)
    except (Problem, ProviderError, ValidationError, Conflict) as error:
        messages.error(request, shared.in_words(error))
    else:
        shared.add_result_message(request, verified)
    return redirect(next_address(request, default=page_of(connection)))


def _moved(connection: Connection, actor: User) -> Connection:
    provider = provider_for(connection)
    address = provider.address_now()
    if not address:
        raise ProviderError.refused(
            "unknown_address", _("The new address is not known. Enter it by hand.")
        )
    values = {provider.address_field: address}
    return verify(operations.edit(connection, actor=actor, values=values), actor=actor)


@tenant_required(role=Role.ADMIN)
@require_POST
def integration_disconnect(request: TenantRequest, family: str, connection_id: str) -> HttpResponse:
    """Disconnect, or show what still uses the connection."""
    connection = shared.find(request, family, connection_id)
    try:
        operations.disconnect(connection, actor=request.user)
    except ValidationError as error:
        messages.error(request, _("Not disconnected. %s") % " ".join(error.messages))
        return redirect(next_address(request, default=page_of(connection)))
    messages.success(request, _("%(name)s is disconnected.") % {"name": connection})
    return redirect(next_address(request, default="integrations"))
