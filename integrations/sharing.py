"""A new connection that copies its server and credentials from another one of its kind.

The provider declares which fields are `shared`. The credentials are copied here and never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from delivr.encryption.fields import SecretUnreadable
from delivr.outbound import origin
from delivr.tenants.models import Tenant
from integrations.models import Connection, PipelineIntegration
from integrations.providers.fields import ConnectionField, is_empty
from integrations.providers.registry import ProviderKey, fields_of, secrets_of
from integrations.wording import NO_CONNECTION

FIELD = "same_server"  # the id of the other connection
Errors = dict[str, list[str]]


def shared_fields(key: ProviderKey) -> list[ConnectionField]:
    return [field for field in fields_of(key) if field.shared]


def sources(model: type[Connection], *, tenant: Tenant, kind: str) -> list[Connection]:
    """The connections of this kind to take over from, one for each server and account; those that
    work first."""
    declared = shared_fields((model.family, kind))
    shown = [field for field in declared if not field.secret]
    rows = _rows(model, tenant, kind) if declared else []
    found: dict[Any, Connection] = {}
    for row in sorted(rows, key=lambda row: not row.is_valid):
        # Without an address or account to tell them apart, each may have its own credentials.
        same = tuple(str(field.read(row)) for field in shown)
        found.setdefault(same if any(same) else row.pk, row)
    return list(found.values())


def _rows(model: type[Connection], tenant: Tenant, kind: str) -> Any:
    rows = model.objects.for_tenant(tenant).filter(**{model.type_field: kind})
    return rows.select_related("target") if model is PipelineIntegration else rows


def take_over(
    connection: Connection, values: Mapping[str, Any]
) -> tuple[Connection | None, dict[str, Any], Errors]:
    """The other connection, the values with those of the shared fields that were left empty, and
    the errors by field.

    A credential is only taken over for the address for which it was entered.
    """
    wanted = values.get(FIELD)
    if not wanted:
        return None, dict(values), {}
    rows = _rows(type(connection), connection.tenant, connection.kind)
    source = rows.filter(pk=wanted).first() if "\x00" not in wanted else None
    if source is None:
        return None, dict(values), {FIELD: [str(NO_CONNECTION)]}
    declared = shared_fields(connection.provider_key)
    left = [field for field in declared if is_empty(values.get(field.name))]
    secrets = [field for field in left if field.secret and field.read(source)]
    if secrets and _is_elsewhere(source, values):
        words = _("The address is different from that of %(name)s: enter this too.") % {
            "name": source
        }
        return source, dict(values), {field.name: [words] for field in secrets}
    try:
        taken = {field.name: _plain(field, source) for field in left if field.read(source)}
    except SecretUnreadable as error:
        return source, dict(values), {FIELD: [str(error)]}
    return source, {**values, **taken}, {}


def take_over_for_picker(
    connection: Connection, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Errors]:
    """The same without the other connection. While the address is empty, a credential that is taken
    over goes to the server for which it was entered, not to the provider's usual one."""
    source, taken, errors = take_over(connection, values)
    address = connection.provider_class.address_field
    if source is not None and address and is_empty(taken.get(address)):
        has_taken = any(
            is_empty(values.get(name)) and source.value_of(name)
            for name in secrets_of(source.provider_key)
        )
        taken[address] = source.value_of(address) if has_taken else ""
    return taken, errors


def has_same_secrets(source: Connection, cleaned: Mapping[str, Any]) -> bool:
    secrets = [f for f in fields_of(source.provider_key) if f.secret and cleaned.get(f.name)]
    try:
        return all(f.read(source) and f.read(source).reveal() == cleaned[f.name] for f in secrets)
    except SecretUnreadable:
        return False  # all were entered anew, or they could not have been taken over


def _plain(field: ConnectionField, source: Connection) -> Any:
    value = field.read(source)
    return value.reveal() if field.secret else value


def _is_elsewhere(source: Connection, values: Mapping[str, Any]) -> bool:
    """True if the entered address is not one to which the source's credentials were sent."""
    name = source.provider_class.address_field
    field = next((f for f in fields_of(source.provider_key) if f.name == name), None)
    if field is None or is_empty(values.get(field.name)):
        return False
    try:
        entered = field.clean(values[field.name])
    except ValueError:
        return True
    known = field.read(source)
    return bool(entered != known if field.shared else origin(entered) != origin(known))
