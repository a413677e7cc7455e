"""The options of a field's picker, from the provider, with the values entered so far."""

from __future__ import annotations

import itertools
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from delivr.api.problems import Problem, problem_response
from delivr.failures import ProviderError
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations import operations, sharing
from integrations.forms import ConnectionForm
from integrations.providers.registry import fields_of
from integrations.throttle import throttled_call
from integrations.views.shared import chosen_provider, named_connection, sent_form

A_MINUTE = 30


@tenant_required(role=Role.ADMIN)
@require_POST
def integration_options(request: TenantRequest, family: str) -> HttpResponse:
    """`{"options": [{"value", "label"}], "note"}`, or a problem whose `detail` is for a person."""
    try:
        with throttled_call("options", user=request.user, limit=A_MINUTE):
            return JsonResponse(_options(request, family))
    except Http404:
        return problem_response(request, Problem(404, "not_found", _("Not found.")))
    except Problem as problem:
        return problem_response(request, problem)


def _options(request: TenantRequest, family: str) -> dict[str, Any]:
    connection = named_connection(request, family, "connection")
    wanted = request.POST.get("kind")
    key = connection.provider_key if connection else chosen_provider(family, wanted)
    form = sent_form(request, key, connection)
    name = request.GET.get("field", "")
    _ask_for_what_comes_before(name, form)
    try:
        draft = operations.draft(
            form.model,
            tenant=request.tenant,
            kind=form.kind,
            values=form.values(),
            stored=connection,
        )
        return operations.options(draft, field=name)
    except ValidationError as error:
        raise Problem(400, "invalid", _in_one_line(form, error)) from None
    except ProviderError as error:
        words = " ".join(filter(None, [error.message, error.hint]))
        raise Problem(422, error.code, words) from None


def _ask_for_what_comes_before(name: str, form: ConnectionForm) -> None:
    """Raises ValidationError while fields before this one, such as credentials, have errors."""
    before = itertools.takewhile(lambda field: field.name != name, fields_of(form.provider_key))
    values, stored = form.values(), form.connection
    is_taken_over = bool(values.get(sharing.FIELD))
    missing = [
        str(field.label)
        for field in before
        if field.required
        and field.is_wanted(
            lambda name: bool(values.get(name) or (stored and stored.value_of(name)))
        )
        and not (field.shared and is_taken_over)
        and not (values.get(field.name) or (stored and field.read(stored)))
    ]
    if missing:
        words = _("Fill this in first: %(fields)s.") % {"fields": ", ".join(missing)}
        raise Problem(400, "incomplete", words)


def _in_one_line(form: ConnectionForm, error: ValidationError) -> str:
    return " ".join(
        f"{form.fields[name].label}: {' '.join(messages)}"
        for name, messages in error.message_dict.items()
    )
