"""A second foreign key, `(tenant_id, x_id)`, on PostgreSQL: the database refuses a row that refers
to another tenant's row. Django's own foreign key remains (SQLite has only that one)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.migrations.operations.base import Operation, OperationCategory

from delivr.tenants.models import TenantOwned


class CompositeForeignKeys(Operation):
    """Add the composite keys of one model: `CompositeForeignKeys("Build", ["release_pipeline"])`.

    Not deferrable, so that a wrong row fails when it is written.
    """

    reversible = True
    reduces_to_sql = True
    category = OperationCategory.SQL

    def __init__(self, model_name: str, fields: list[str]) -> None:
        self.model_name = model_name
        self.fields = fields

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.fields], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Django's state does not change."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._each(app_label, schema_editor, to_state, add=True)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._each(app_label, schema_editor, from_state, add=False)

    def _each(self, app_label: str, schema_editor: Any, state: Any, *, add: bool) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        model = state.apps.get_model(app_label, self.model_name)
        for name in self.fields:
            field = model._meta.get_field(name)
            constraint = constraint_name(model, field)
            if add:
                schema_editor.execute(
                    f'ALTER TABLE "{model._meta.db_table}" ADD CONSTRAINT "{constraint}" '
                    f'FOREIGN KEY ("tenant_id", "{field.column}") '
                    f'REFERENCES "{field.related_model._meta.db_table}" ("tenant_id", "id")'
                )
            else:
                schema_editor.execute(
                    f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{constraint}"'
                )

    def describe(self) -> str:
        return f"Tie {self.model_name}'s {', '.join(self.fields)} to its own tenant"


def constraint_name(model: type[models.Model], field: Any) -> str:
    return f"{model._meta.db_table}_{field.column}_same_tenant"


def tenant_references(model: type[models.Model]) -> list[Any]:
    """The foreign keys of a tenant-owned model that point at tenant-owned models."""
    return [
        field
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and issubclass(field.related_model, TenantOwned)
    ]
