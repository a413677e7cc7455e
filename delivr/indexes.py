"""Adds an index to a table that is in use: without blocking writers, and repeatable."""

from __future__ import annotations

from typing import Any

from django.db import NotSupportedError, migrations


class AddIndexWithoutLock(migrations.AddIndex):
    """`CREATE INDEX CONCURRENTLY` on PostgreSQL, for a migration with `atomic = False`.

    An index that an earlier version of the migration created is kept; an invalid one that an
    interrupted run left is created again.
    https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            known = connection.introspection.get_constraints(cursor, model._meta.db_table)
        if connection.vendor != "postgresql":
            if self.index.name not in known:
                schema_editor.add_index(model, self.index)
            return
        if connection.in_atomic_block:
            raise NotSupportedError("Set `atomic = False` on the migration.")
        if self.index.name in known and _is_valid(connection, self.index.name):
            return
        if self.index.name in known:
            schema_editor.remove_index(model, self.index, concurrently=True)
        schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        is_postgresql = schema_editor.connection.vendor == "postgresql"
        without_lock = {"concurrently": True} if is_postgresql else {}
        schema_editor.remove_index(model, self.index, **without_lock)


def _is_valid(connection: Any, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [name])
        return bool(cursor.fetchone()[0])
