"""Connect, edit and disconnect: one layer for the wizard, the API and the admin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from delivr import ids
from delivr.audit.operations import CHANGED, difference, record
from delivr.encryption.fields import secret_fields
from delivr.failures import Conflict
from delivr.outbound import origin
from delivr.tenants.models import Tenant, User
from delivr.tenants.operations import skip_step
from integrations import sharing, store_webhooks, webhook_secrets
from integrations.choices import Verification
from integrations.models import (
    FAMILIES,
    Connection,
    HealthIntegration,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
)
from integrations.parameters import declared_options
from integrations.providers.base import Option, Options
from integrations.providers.fields import MAX_TEXT, ConnectionField, is_empty
from integrations.providers.health import HealthProvider
from integrations.providers.http import vendor_words
from integrations.providers.registry import (
    entered_fields_of,
    fields_of,
    generated_fields_of,
    provider_class,
    provider_for,
    secrets_of,
)
from integrations.wording import FILL_IN, NO_CONNECTION

C = TypeVar("C", bound=Connection)
Errors = dict[str, list[str]]

MOST_OPTIONS = 10_000  # of a picker; the largest chats have that many channels


def connect(
    model: type[C],
    *,
    tenant: Tenant,
    actor: User | None,
    kind: str,
    values: Mapping[str, Any],
    known_errors: Errors | None = None,
) -> C:
    """Store a new connection, not verified yet. A returned pipeline's `webhook_secret` and
    generated fields can be revealed. With `same_server` among the values, shared fields that are
    empty are taken over from that connection. Raises ValidationError with all errors by field,
    including the caller's `known_errors` (such as text instead of a list)."""
    connection = model(tenant=tenant, **{model.type_field: kind})
    connection.pk = ids.new_id(connection.id_prefix)
    source, values, errors = sharing.take_over(connection, values)
    errors |= known_errors or {}
    cleaned = _clean(connection, values, creating=True, known_errors=errors)
    return _store_new(connection, cleaned, actor, source)


@transaction.atomic
def _store_new(
    connection: C, cleaned: Mapping[str, Any], actor: User | None, source: Connection | None
) -> C:
    changes = _difference(connection, cleaned)
    _fill(connection, cleaned)
    if source is not None:
        changes |= _hold_source(source)
        if sharing.has_same_secrets(source, cleaned):
            connection.credential_changed_at = source.credential_changed_at
            connection.credential_expires_at = source.credential_expires_at
    if isinstance(connection, PipelineIntegration):
        connection.webhook_secret = ids.webhook_secret()
    for field in generated_fields_of(connection.provider_key):
        connection.set_value(field.name, ids.webhook_secret())
    _hold_references(connection)
    _check_columns(connection)
    connection.save(force_insert=True)
    if connection.family in connection.tenant.skipped_steps:  # no longer skipped, even if it fails
        skip_step(tenant=connection.tenant, actor=actor, step=connection.family, skipped=False)
    record(actor=actor, action="integration.connected", subject=connection, changes=changes)
    return connection


def _hold_source(source: Connection) -> dict[str, Any]:
    """Lock what was taken over from, so that no credential outlives its removal; the change for the
    audit log. Raises ValidationError."""
    rows = type(source).objects.for_tenant(source.tenant_id).select_for_update(no_key=True)
    held = rows.filter(pk=source.pk).values_list("revision", flat=True).first()
    if held != source.revision:
        raise ValidationError({sharing.FIELD: [str(NO_CONNECTION)]})
    return {sharing.FIELD: [None, source.pk]}


@transaction.atomic
def edit(
    connection: C,
    *,
    actor: User | None,
    values: Mapping[str, Any],
    known_errors: Errors | None = None,
) -> C:
    """Change the fields in `values`; a secret that is missing is kept, as is a required one that is
    empty. An optional one that is empty is removed.

    Any change except of the name requires a new verification. To change an address to which a
    stored secret is sent, the secret must be entered again. Raises ValidationError, and Conflict if
    the connection was disconnected meanwhile.
    """
    connection = _locked(connection)
    cleaned = _clean(connection, values, creating=False, known_errors=known_errors)
    changes = _difference(connection, cleaned)
    if not changes:
        return connection
    _fill(connection, cleaned)
    if set(changes) - {"display_name"}:
        connection.verification_status = Verification.PENDING
        connection.verification_error = ""
        connection.checks = []
    _hold_references(connection)
    _check_columns(connection)
    _save(connection)
    _record_edit(connection, actor, changes)
    return connection


def _record_edit(connection: Connection, actor: User | None, changes: Mapping[str, Any]) -> None:
    common: Any = {"tenant": connection.tenant, "actor": actor, "changes": changes}
    if any(changes.get(name) == CHANGED for name in secrets_of(connection.provider_key)):
        record(action="credential.rotated", subject=connection, **common)
    else:
        record(action="integration.edited", subject=connection, **common)


@transaction.atomic
def disconnect(connection: Connection, *, actor: User | None) -> None:
    """Delete the credentials and hide the connection; past releases still refer to it.

    Raises ValidationError({"inUse"}) with the names of what still uses it.
    """
    try:
        connection = _locked(connection)
    except Conflict:
        return
    users = [*_connections_using(connection), *import_string(settings.CONNECTION_USERS)(connection)]
    if users:
        raise ValidationError(
            {"inUse": [_("Still used by %(names)s.") % {"names": ", ".join(users)}]}
        )
    held = [one for one in secret_fields(type(connection)) if getattr(connection, one.attname)]
    for field in held:
        setattr(connection, field.attname, None)
    connection.credential_expires_at = None
    connection.disconnected_at = timezone.now()
    before = connection.verification_status
    connection.verification_status = Verification.PENDING
    connection.verify_at = None
    _save(connection)
    if isinstance(connection, PipelineIntegration):
        webhook_secrets.forget_all(connection)
    if isinstance(connection, TargetIntegration):
        store_webhooks.forget_all(connection)
    forgotten = {connection.name_of(field.name): "changed" for field in held}
    changes = {"verification_status": [before, connection.verification_status], **forgotten}
    record(actor=actor, action="integration.disconnected", subject=connection, changes=changes)


@transaction.atomic
def disconnect_all(*, tenant: Tenant, actor: User | None) -> None:
    """Disconnect all connections of a tenant; first those that work with others."""
    first = (PipelineIntegration, HealthIntegration)
    for model in sorted(FAMILIES.values(), key=lambda model: model not in first):
        for connection in model.objects.for_tenant(tenant):
            disconnect(connection, actor=actor)


@transaction.atomic
def rotate_webhook_secret(
    pipeline: PipelineIntegration, *, actor: User | None
) -> PipelineIntegration:
    """Create a new webhook secret; the previous one works for 24 more hours, even if the secret is
    rotated again.

    Raises Conflict after too many rotations, or if the pipeline was disconnected meanwhile.
    """
    pipeline = _locked(pipeline)
    webhook_secrets.replace(pipeline)
    pipeline.is_secret_unseen = False  # the caller shows it
    _save(pipeline)
    changes = {"webhook_secret": "changed"}
    record(actor=actor, action="webhook_secret.rotated", subject=pipeline, changes=changes)
    return pipeline


def options(connection: Connection, *, field: str) -> dict[str, Any]:
    """Ask the provider for the values of a field: `options`, with a `note` if the list is not
    complete. Raises ProviderError."""
    declared = next((f for f in fields_of(connection.provider_key) if f.name == field), None)
    found: Any = []
    if declared is not None and declared.options:
        found = getattr(provider_for(connection), declared.options)()
    if declared is not None and declared.kind == "mapping":
        found = declared_options(found, declared.read(connection))
    offered = Options.cut(_presentable(found), MOST_OPTIONS)
    note = offered.note or getattr(found, "note", "")
    answer = {"options": [{"value": one.value, "label": one.label} for one in offered]}
    return {**answer, "note": note} if note else answer


def _presentable(options: Iterable[Option]) -> list[Option]:
    """The options with labels that can be displayed: one line of limited length without control
    characters. Options whose value would have to be changed are left out."""
    return [
        Option(value=option.value, label=vendor_words(option.label, secrets=()) or option.value)
        for option in options
        if option.value and vendor_words(option.value, secrets=(), limit=MAX_TEXT) == option.value
    ]


def draft(
    model: type[C], *, tenant: Tenant, kind: str, values: Mapping[str, Any], stored: C | None
) -> C:
    """An unsaved connection from the values entered so far and the stored ones, with which pickers
    ask the provider. Raises ValidationError."""
    connection = stored or model(tenant=tenant, **{model.type_field: kind})
    errors: Errors = {}
    if stored is None:
        values, errors = sharing.take_over_for_picker(connection, values)
    cleaned = {
        field.name: value
        for field in entered_fields_of(connection.provider_key)
        if not is_empty(values.get(field.name))
        and (value := _clean_one(field, values[field.name], errors))
    }
    references = connection.provider_class.references
    chosen = {name: values[name] for name in references if values.get(name)}
    _clean_references(connection, chosen, False, cleaned, errors)
    if stored is not None:
        _ask_secret_for_new_address(stored, cleaned, errors)
    if errors:
        raise ValidationError(errors)
    _fill(connection, cleaned)
    return connection


# --- Rules ---------------------------------------------------------------------------------------


def _clean(
    connection: Connection,
    values: Mapping[str, Any],
    *,
    creating: bool,
    known_errors: Errors | None,
) -> dict[str, Any]:
    """The validated values to store. Raises ValidationError with all errors at once."""
    errors: Errors = dict(known_errors or {})
    cleaned: dict[str, Any] = {}
    filled = _filled(connection, values)
    for field in entered_fields_of(connection.provider_key):
        if field.name in errors:
            continue
        value = values.get(field.name)
        if not field.is_wanted(filled.__contains__):
            _clean_unwanted(connection, field, value, cleaned, errors)
        elif is_empty(value):
            must = creating or (field.is_conditional and field.name not in filled)
            _clean_empty(field, field.name in values, must, cleaned, errors)
            if field.is_removable and field.name in values:
                cleaned[field.name] = None
        else:
            cleaned[field.name] = _clean_one(field, value, errors)
    if "display_name" in values:
        name = str(values["display_name"] or "").strip()
        # A client may send back the name that it read, which is not one that a person gave.
        cleaned["display_name"] = "" if not creating and name == connection.derived_name else name
    _clean_references(connection, values, creating, cleaned, errors)
    if not creating:
        _ask_secret_for_new_address(connection, cleaned, errors)
    if errors:
        raise ValidationError(errors)
    return cleaned


def _filled(connection: Connection, values: Mapping[str, Any]) -> set[str]:
    """The names of the fields that have a value: an entered one, or one that is kept."""
    return {
        field.name
        for field in fields_of(connection.provider_key)
        if not is_empty(values.get(field.name))
        or ((field.secret or field.name not in values) and field.read(connection))
    }


def _clean_unwanted(
    connection: Connection,
    field: ConnectionField,
    value: Any,
    cleaned: dict[str, Any],
    errors: Errors,
) -> None:
    """Another field stands in its place, or the one that it belongs to is empty."""
    if not is_empty(value):
        other = next(
            f
            for f in fields_of(connection.provider_key)
            if f.name in (field.unless, field.along_with)
        )
        words = (
            _("Leave either this or “%(other)s” empty.")
            if field.unless
            else _("Fill in “%(other)s”, too.")
        )
        errors[field.name] = [words % {"other": other.label}]
    elif field.read(connection):
        cleaned[field.name] = field.empty


def _clean_empty(
    field: ConnectionField, given: bool, creating: bool, cleaned: dict[str, Any], errors: Errors
) -> None:
    if field.required and (creating or (given and not field.secret)):
        errors[field.name] = [str(FILL_IN)]
    elif given and not field.secret:
        cleaned[field.name] = field.empty


def _clean_one(field: ConnectionField, value: Any, errors: Errors) -> Any:
    try:
        return field.clean(value)
    except ValueError as error:
        errors[field.name] = [str(error)]
        return None


def _clean_references(
    connection: Connection,
    values: Mapping[str, Any],
    creating: bool,
    cleaned: dict[str, Any],
    errors: Errors,
) -> None:
    """Clean the connections that it works with, which must belong to the same tenant."""
    provider = connection.provider_class
    for name, family in provider.references.items():
        if name in errors or (not creating and name not in values):
            continue
        wanted = values.get(name)
        rows = FAMILIES[family].objects.for_tenant(connection.tenant)
        found = rows.filter(pk=wanted or "").first()
        if found is None:
            errors[name] = [str(NO_CONNECTION if wanted else FILL_IN)]
        elif words := why_not_with(provider, found):
            errors[name] = [words]
        else:
            cleaned[name] = found


def why_not_with(provider: Any, other: Connection) -> str:
    """Why a connection cannot work with another one, in words; "" if it can. Some CI servers only
    build repositories of their own vendor, and some sources only know apps of one platform."""
    words = {"server": provider.label}
    if isinstance(other, ScmIntegration) and provider.scm_kinds:
        names = [provider_class((other.family, kind)).label for kind in provider.scm_kinds]
        if other.kind not in provider.scm_kinds:
            text = _("%(server)s only builds repositories on %(names)s.")
            return text % {**words, "names": " / ".join(names)}
    platforms = provider.platforms if issubclass(provider, HealthProvider) else None
    if platforms and isinstance(other, TargetIntegration) and other.platform not in platforms:
        return _("%(server)s knows no apps of this store.") % words
    return ""


def _ask_secret_for_new_address(
    connection: Connection, cleaned: Mapping[str, Any], errors: Errors
) -> None:
    """A stored secret may only be sent to the address for which it was entered."""
    if not _goes_elsewhere(connection, cleaned):
        return
    for field in fields_of(connection.provider_key):
        is_kept = field.secret and field.name not in cleaned and bool(field.read(connection))
        if is_kept and field.name not in errors:
            errors[field.name] = [_("The address changed: enter this again.")]
    if isinstance(connection, ScmIntegration):
        used = connection.pipelines.filter(disconnected_at=None)
        if names := ", ".join(str(one) for one in used if _sends_token_to_repository(one)):
            words = _("Connect it as another one: tokens of %(names)s would be sent there.")
            errors[_address_field(connection)] = [words % {"names": names}]


def _goes_elsewhere(connection: Connection, cleaned: Mapping[str, Any]) -> bool:
    """True if what was entered leads the connection's secrets to another server."""
    address = _address_field(connection)
    if isinstance(connection, PipelineIntegration) and _sends_token_to_repository(connection):
        before, after = connection.scm.repository_url, cleaned.get("scm", connection.scm)
        return origin(before) != origin(after.repository_url)
    if not address or not cleaned.get(address):
        return False
    return origin(cleaned[address]) != origin(connection.value_of(address))


def _address_field(connection: Connection) -> str:
    return connection.provider_class.address_field or ""


def _sends_token_to_repository(pipeline: PipelineIntegration) -> bool:
    """It has a token of its own for the server of its repository."""
    ci: Any = pipeline.provider_class
    return bool(ci.scm_kinds and pipeline.api_token)


def cleaned_values(
    connection: Connection, values: Mapping[str, Any], *, known_errors: Errors | None = None
) -> dict[str, Any]:
    """The values that `edit` would store. Raises ValidationError."""
    return _clean(connection, values, creating=False, known_errors=known_errors)


def _fill(connection: Connection, cleaned: Mapping[str, Any]) -> None:
    """Set the values; with a new or removed credential the old one's expiry is dropped."""
    secrets = secrets_of(connection.provider_key)
    if entered := [cleaned[name] for name in secrets if name in cleaned]:
        connection.credential_changed_at = timezone.now() if any(entered) else None
        connection.credential_expires_at = None
    provider = connection.provider_class
    for field in filter(None, (provider.address_field, provider.discovered_about)):
        if cleaned.get(field, "") not in ("", connection.value_of(field)):
            connection.forget_discovered()
    for name, value in cleaned.items():
        connection.set_value(name, value)


def _difference(connection: Connection, cleaned: Mapping[str, Any]) -> dict[str, Any]:
    secrets = secrets_of(connection.provider_key)
    return difference({name: connection.value_of(name) for name in cleaned}, cleaned, secrets)


def _check_columns(connection: Connection) -> None:
    """Validate the model. Raises ValidationError by field name."""
    try:
        connection.full_clean(exclude=["id"])
    except ValidationError as error:
        named = {connection.name_of(n): e for n, e in error.error_dict.items()}
        raise ValidationError(named) from None


def _locked(connection: C) -> C:
    """Lock the row. Raises Conflict if it was disconnected meanwhile, so that nothing is written
    to a row whose credentials were deleted."""
    fresh = cast(C, type(connection).objects.select_for_update().get(pk=connection.pk))
    if fresh.disconnected_at is not None:
        raise Conflict("disconnected", _("This connection was disconnected in the meantime."))
    return fresh


def _save(connection: Connection) -> None:
    """The caller holds the row's lock."""
    connection.revision += 1
    connection.save()


def _hold_references(connection: Connection) -> None:
    """Lock what it refers to, so that it is not disconnected before the connection is stored.
    Raises ValidationError."""
    for name in connection.provider_class.references:
        row: Any = getattr(connection, name)
        rows = type(row).objects.for_tenant(connection.tenant).select_for_update(no_key=True)
        if not rows.filter(pk=row.pk).values_list("pk").first():
            raise ValidationError({name: [str(NO_CONNECTION)]})


def _connections_using(connection: Connection) -> list[str]:
    """The connections that work with this one, in words."""
    found: list[str] = []
    if isinstance(connection, ScmIntegration | TargetIntegration):
        users = connection.pipelines.filter(disconnected_at=None)
        found += [_("the pipeline %(name)s") % {"name": pipeline} for pipeline in users]
    if isinstance(connection, TargetIntegration):
        sources = connection.health_sources.filter(disconnected_at=None)
        found += [str(source) for source in sources.select_related("target")]
    return found
