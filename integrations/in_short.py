"""A workspace's connections of all families, in one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import CharField, F, IntegerField, JSONField, Q, QuerySet, Value
from django.db.models.functions import Cast

from delivr.tenants.models import Tenant
from integrations.models import FAMILIES, Connection, HealthIntegration, TargetIntegration

_SHARED = (
    "id",
    "display_name",
    "verification_status",
    "verification_error",
    "checks",
    "last_verified_at",
    "options",
    "credential_changed_at",
    "credential_expires_at",
    "created_at",
)
# What the families' names are made of. A family that lacks a column has NULL there.
_OWN: dict[str, Any] = {
    "repository_url": CharField(),
    "app_identifier": CharField(),
    "server_url": CharField(),
    "job": CharField(),
    "organization": CharField(),
    "project": CharField(),
    "target_id": CharField(),
    "recipients": JSONField(),
    "recipient_names": JSONField(),
}
Condition = Callable[[type[Connection]], Q]


def connections_in_short(
    tenant: Tenant, *, where: Condition | None = None, most: int | None = None
) -> list[Connection]:
    """Family by family, the oldest first; at most `most` of each.

    They have what their names are made of, and how they are: neither credentials nor anything else
    may be read from them, and none may be saved.
    """
    first, *others = (
        _rows(place, model, tenant, where, most) for place, model in enumerate(FAMILIES.values())
    )
    rows: Any = first.union(*others, all=True).order_by("place", "created_at", "id")
    models = list(FAMILIES.values())
    return [_connection(models[place], tenant, *values) for place, *values in rows]


def _rows(
    place: int, model: type[Connection], tenant: Tenant, where: Condition | None, most: int | None
) -> QuerySet[Any, Any]:
    rows = model.objects.for_tenant(tenant).filter(where(model) if where else Q())
    if most is not None:  # a query of a union cannot be cut itself
        rows = model.objects.for_tenant(tenant).filter(pk__in=rows.values("pk")[:most])
    own = [_column(model, name) for name in _OWN]
    found: QuerySet[Any, Any] = (
        rows.order_by()
        .annotate(place=Value(place, IntegerField()))
        .values_list("place", F(model.type_field), *_SHARED, *own)
    )
    return found


def _column(model: type[Connection], name: str) -> Any:
    if name == "app_identifier" and model is HealthIntegration:
        return F("target__app_identifier")
    return name if _has(model, name) else Cast(Value(None), _OWN[name])


def _has(model: type[Connection], name: str) -> bool:
    return any(field.attname == name for field in model._meta.concrete_fields)


def _connection(model: type[Connection], tenant: Tenant, kind: str, *values: Any) -> Connection:
    row = dict(zip((*_SHARED, *_OWN), values, strict=True))
    fitting = {name: value for name, value in row.items() if _has(model, name)}
    connection = model(tenant=tenant, **{model.type_field: kind}, **fitting)
    if isinstance(connection, HealthIntegration) and connection.target_id:
        app = TargetIntegration(id=connection.target_id, app_identifier=row["app_identifier"])
        connection.target = app
    return connection
