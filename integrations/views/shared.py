"""Helpers of the pages of connections: find one, show and process a form, report the result."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.failures import Conflict, ProviderError
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role, Tenant
from integrations import demo, operations, webhook_secrets
from integrations.choices import Verification
from integrations.forms import ConnectionForm, kinds_of
from integrations.models import (
    FAMILIES,
    Connection,
    HealthIntegration,
    PipelineIntegration,
    TargetIntegration,
)
from integrations.providers.registry import ProviderKey
from integrations.rotating import change, tries_first
from integrations.throttle import throttled_call
from integrations.verification import schedule_verification, verify
from integrations.views.once import new_token, once

VERIFIED = "verified"  # query parameter: the connection that was just verified


def rows_of(family: str, tenant: Tenant) -> Any:
    """The connections of one family, with the related rows that cards and pages show."""
    rows = FAMILIES[family].objects.for_tenant(tenant)
    if FAMILIES[family] is PipelineIntegration:
        rows = rows.select_related("scm", "target").prefetch_related("test_builds")
    elif FAMILIES[family] is HealthIntegration:
        rows = rows.select_related("target")
    return rows


def find(request: TenantRequest, family: str, connection_id: str) -> Connection:
    """The workspace's connection. Raises Http404, also for one of another workspace."""
    rows = rows_of(family, request.tenant)
    found: Connection | None = None
    if "\x00" not in connection_id:
        found = rows.filter(pk=connection_id).first()
    if found is None:
        raise Http404
    return found


def chosen_provider(family: str, wanted: str | None) -> ProviderKey:
    """The one of the requested kind, or the family's first. Raises Http404 for an unknown kind."""
    kinds = [kind for kind, _words in kinds_of(FAMILIES[family])]
    if wanted and wanted not in kinds:
        raise Http404
    return family, wanted or kinds[0]


def named_connection(request: TenantRequest, family: str, name: str) -> Connection | None:
    """The connection whose id the form contains as `name`. Raises Http404."""
    wanted = request.POST.get(name) or ""
    return find(request, family, wanted) if wanted else None


# --- Forms ----------------------------------------------------------------------------------------


def open_form(
    request: TenantRequest, key: ProviderKey, connection: Connection | None = None
) -> ConnectionForm:
    """A form to fill in; `?sandbox=1` fills in the demo's values, including fake secrets."""
    is_demo = demo.is_offered() and "sandbox" in request.GET and request.role.covers(Role.ADMIN)
    initial = {} if connection else _suggested(request.tenant, key)
    if is_demo:
        initial |= demo.sandbox_values(key, platform=_platform(request, initial, connection))
    form = ConnectionForm(
        tenant=request.tenant,
        key=key,
        connection=connection,
        initial=initial,
        show_secrets=is_demo,
        token=new_token(),
    )
    if connection is not None and not connection.is_valid and not is_demo:
        form.mark_failures()
    return form


def _suggested(tenant: Tenant, key: ProviderKey) -> dict[str, Any]:
    """Initial values: for a new pipeline the first target without a pipeline."""
    if key[0] != PipelineIntegration.family:
        return {}
    lonely = next(iter(targets_without_pipeline(tenant)), None)
    return {"target": lonely.pk} if lonely else {}


def targets_without_pipeline(tenant: Tenant) -> list[TargetIntegration]:
    served = PipelineIntegration.objects.for_tenant(tenant).values("target")
    return list(TargetIntegration.objects.for_tenant(tenant).exclude(pk__in=served))


def _platform(
    request: TenantRequest, initial: dict[str, Any], connection: Connection | None
) -> str:
    if isinstance(connection, PipelineIntegration):
        return str(connection.platform)
    targets = TargetIntegration.objects.for_tenant(request.tenant)
    target = targets.filter(pk=initial.get("target", "")).first() if initial else None
    return str(target.platform) if target else ""


def sent_form(
    request: TenantRequest, key: ProviderKey, connection: Connection | None = None
) -> ConnectionForm:
    return ConnectionForm(
        request.POST, tenant=request.tenant, key=key, connection=connection, token=new_token()
    )


def save(request: TenantRequest, form: ConnectionForm) -> Connection | None:
    """Connect or edit by the form, then verify (network, up to about 20 s).

    None if the form has errors. Verified later if all slots are taken. Raises Repeated if the form
    was sent before.
    """
    done = store(request, form)
    if done is None or _was_just_verified(form, done):
        return done
    with suppress(Problem), throttled_call("verify", user=request.user):
        return verify(done, actor=request.user)
    return done


def store(request: TenantRequest, form: ConnectionForm) -> Connection | None:
    """`save` without verifying now; a verification is scheduled."""
    done = _store(request, form)
    if done is not None and not done.is_valid:
        schedule_verification(done)
    return done


def _store(request: TenantRequest, form: ConnectionForm) -> Connection | None:
    if form.connection is None:
        return once(request, partial(_connect, request, form))
    operation = partial(change, form.connection, actor=request.user)
    if not tries_first(form.connection, form.values()):
        return form.submit(operation)
    try:
        with throttled_call("verify", user=request.user):
            return form.submit(operation)
    except Problem as problem:
        form.add_error(None, problem.detail)
    return None


def _was_just_verified(form: ConnectionForm, done: Connection) -> bool:
    """True if a new credential replaced one that worked, since it was verified before."""
    before = form.connection
    if before is None or not done.is_valid:
        return False
    return before.last_verified_at != done.last_verified_at


def _connect(request: TenantRequest, form: ConnectionForm) -> Connection | None:
    operation = partial(
        operations.connect, form.model, tenant=request.tenant, actor=request.user, kind=form.kind
    )
    made = form.submit(operation)
    if isinstance(made, PipelineIntegration):
        webhook_secrets.mark_unseen(made)
    return made


# --- Answers --------------------------------------------------------------------------------------


def has_failed(connection: Connection) -> bool:
    """True if the last verification found something to fix, which the connection's form shows."""
    status = connection.verification_status
    return status in (Verification.INVALID, Verification.EXPIRED)


def is_secret_due(connection: Connection) -> bool:
    """True for a pipeline that works and whose webhook secret was not shown yet."""
    if not isinstance(connection, PipelineIntegration) or has_failed(connection):
        return False
    return connection.is_secret_unseen


def add_result_message(request: TenantRequest, connection: Connection) -> None:
    """Add a message with the result of the verification to the next page. A failure needs none: the
    page shows the form, with the failed checks beside the fields."""
    words = {"name": str(connection)}
    if connection.verification_status == Verification.PENDING:
        text = _(
            "%(name)s is saved and will be verified in a few minutes: too many checks are running."
        )
        messages.warning(request, text % words)
    elif has_failed(connection):
        return
    elif connection.warnings:
        messages.warning(request, _("%(name)s works, but has a warning.") % words)
    else:
        messages.success(request, _("%(name)s is connected and working.") % words)


def in_words(error: ProviderError | Problem | ValidationError | Conflict) -> str:
    """What failed, in one line."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, Problem):
        return str(error.detail)
    return " ".join(filter(None, [error.message, getattr(error, "hint", "")]))


def page_with_result(address: str, connection: Connection) -> str:
    """The URL of a page that is to show the result of a streamed verification."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode({VERIFIED: connection.pk})}"


def show_result(request: TenantRequest, connections: Iterable[Connection]) -> str:
    """Add the message for a URL of `page_with_result`; the id of its connection, or ""."""
    wanted = request.GET.get(VERIFIED, "")
    found = next((one for one in connections if one.pk == wanted), None)
    if found is None:
        return ""
    add_result_message(request, found)
    return str(found.pk)
