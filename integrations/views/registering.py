"""Have an app registered at the vendor, which then is the connection's credential.

The browser goes to the vendor's page and comes back twice: with a code, for which the vendor hands
out the app's secret, and once the app is installed. What the browser brings is believed only where
it comes with the random state of this session; no id that it names is used.
"""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from delivr.api.problems import Problem
from delivr.failures import ProviderError
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations import operations
from integrations.models import FAMILIES, Connection
from integrations.providers.base import Links, Registered
from integrations.providers.fields import MAX_TEXT, ConnectionField
from integrations.providers.registry import fields_of, provider_class
from integrations.setup import is_complete
from integrations.throttle import throttled_call
from integrations.verification import schedule_verification, verify
from integrations.views import shared
from integrations.wording import FORM_ERRORS

BEGUN, INSTALLING = "app_begun", "app_installing"  # keys of the session
AN_HOUR = 3600  # seconds that a vendor's code is valid


def _provider(family: str, kind: str) -> Any:
    return provider_class((family, kind))


class AddressForm(forms.Form):
    """Asks for the value of the provider's address field."""

    def __init__(self, data: Any, *, field: ConnectionField) -> None:
        super().__init__(data)
        self.field = field
        self.fields["address"] = forms.CharField(
            label=str(field.label),
            help_text=escape(field.help),
            max_length=MAX_TEXT,
            error_messages=FORM_ERRORS,
            widget=forms.TextInput({"placeholder": field.placeholder}),
        )

    def clean_address(self) -> str:
        try:
            return str(self.field.clean(self.cleaned_data["address"]))
        except ValueError as error:
            raise ValidationError(str(error)) from None


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(role=Role.ADMIN)
@never_cache
def app_new(request: TenantRequest, family: str) -> HttpResponse:
    """Ask for the address, then show the form that leads to the vendor."""
    key = shared.chosen_provider(family, request.POST.get("kind") or request.GET.get("kind"))
    kind, provider = key[1], _provider(*key)
    if not provider.registers_apps:
        return redirect(f"{reverse('integration_new', args=[family])}?kind={kind}")
    field = next(field for field in fields_of(key) if field.name == provider.address_field)
    form = AddressForm(request.POST or None, field=field)
    context = {"kind": kind, "provider": provider, "family": family, "form": form}
    if request.method == "POST" and form.is_valid():
        return _lead_there(request, context, form.cleaned_data["address"])
    return render(request, "integrations/app.html", context)


def _lead_there(request: TenantRequest, context: dict[str, Any], address: str) -> HttpResponse:
    state = secrets.token_urlsafe(24)
    request.session[BEGUN] = {
        "state": state,
        "tenant": request.tenant.pk,
        "family": context["family"],
        "kind": context["kind"],
        "address": address,
        "at": time.time(),
    }
    base, family = settings.BASE_URL, [context["family"]]
    links = Links(
        home=base,
        registered=base + reverse("app_registered", args=family),
        installed=base + reverse("app_installed", args=family),
    )
    made = context["provider"].registration(address, links=links, state=state)
    answer = render(request, "integrations/app.html", {**context, "registration": made})
    parts = urlsplit(made.buttons[0][1])
    answer._csp_update = {"form-action": [f"{parts.scheme}://{parts.netloc}"]}  # type: ignore[attr-defined]
    return answer


@tenant_required(role=Role.ADMIN)
@require_GET
@never_cache
def app_registered(request: TenantRequest, family: str) -> HttpResponse:
    """Back with a code: connect with what the vendor hands out for it, and lead to where the app is
    installed."""
    begun = _taken(request, BEGUN, family)
    if begun is None or time.time() - begun["at"] > AN_HOUR or not request.GET.get("code"):
        messages.error(request, _("This was started elsewhere or too long ago. Start again."))
        return redirect("integrations")
    state = secrets.token_urlsafe(24)
    try:
        with throttled_call("verify", user=request.user):
            found: Registered = _provider(family, begun["kind"]).registered(
                begun["address"], code=request.GET["code"], state=state
            )
        made = _connect(request, family, begun, found)
    except (ProviderError, Problem, ValidationError) as error:
        messages.error(request, shared.in_words(error))
        return redirect(f"{reverse('app_new', args=[family])}?kind={begun['kind']}")
    request.session[INSTALLING] = {
        "state": state,
        "tenant": request.tenant.pk,
        "family": family,
        "connection": made.pk,
    }
    return redirect(found.page)


def _connect(
    request: TenantRequest, family: str, begun: dict[str, Any], found: Registered
) -> Connection:
    kind = begun["kind"]
    values = {_provider(family, kind).address_field: begun["address"], **found.values}
    made: Connection = operations.connect(
        FAMILIES[family], tenant=request.tenant, actor=request.user, kind=kind, values=values
    )
    schedule_verification(made)
    return made


@tenant_required(role=Role.ADMIN)
@require_GET
@never_cache
def app_installed(request: TenantRequest, family: str) -> HttpResponse:
    """Back from the installation: verify the connection (network, up to about 20 s)."""
    waiting = _taken(request, INSTALLING, family)
    if waiting is None:
        messages.info(request, _("Verify the connection whose app was installed."))
        return redirect("integrations")
    connection = shared.find(request, family, waiting["connection"])
    try:
        with throttled_call("verify", user=request.user):
            connection = verify(connection, actor=request.user)
    except Problem as problem:
        messages.warning(request, problem.detail)
    shared.add_result_message(request, connection)
    if is_complete(request.tenant) or shared.has_failed(connection):
        return redirect("integration", family, connection.pk)
    return redirect("setup_step", family)


def _taken(request: TenantRequest, key: str, family: str) -> dict[str, Any] | None:
    """What was noted when the browser left, once; None unless it comes back with its state, to the
    same workspace and family."""
    noted: dict[str, Any] | None = request.session.pop(key, None)
    given = request.GET.get("state", "")
    if noted is None or not secrets.compare_digest(given.encode(), noted["state"].encode()):
        return None
    is_same = (noted["tenant"], noted.get("family")) == (request.tenant.pk, family)
    return noted if is_same else None
