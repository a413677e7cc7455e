"""A second foreign key, `(tenant_id, x_id)`, on PostgreSQL: the database refuses a row that refers
to another tenant's row. Django's own foreign key remains (SQLite has only that one)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models

from delivr.postgres import PostgresOperation


class CompositeForeignKeys(PostgresOperation):
    """Add the composite keys of one model: `CompositeForeignKeys("Build", ["release_pipeline"])`.

    Not deferrable, so that a wrong row fails when it is written.
    """

    def __init__(self, model_name: str, fields: list[str]) -> None:
        super().__init__(model_name)
        self.fields = fields

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.fields], {}

    def database_forwards(self, app: str, editor: Any, before: Any, after: Any) -> None:
        """At the end of the migration, when the unique constraints that they refer to exist."""
        if editor.connection.vendor == "postgresql":
            editor.deferred_sql.extend(self.forwards(after.apps.get_model(app, self.model_name)))

    def forwards(self, model: Any) -> Iterator[str]:
        for field in map(model._meta.get_field, self.fields):
            yield (
                f'ALTER TABLE "{model._meta.db_table}" '
                f'ADD CONSTRAINT "{constraint_name(model, field)}" '
                f'FOREIGN KEY ("tenant_id", "{field.column}") '
                f'REFERENCES "{field.related_model._meta.db_table}" ("tenant_id", "id")'
            )

    def backwards(self, model: Any) -> Iterator[str]:
        for field in map(model._meta.get_field, self.fields):
            name = constraint_name(model, field)
            yield f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{name}"'

    def describe(self) -> str:
        return f"Tie {self.model_name}'s {', '.join(self.fields)} to its own tenant"


def constraint_name(model: type[models.Model], field: Any) -> str:
    return f"{model._meta.db_table}_{field.column}_same_tenant"
