"""Migration operations with SQL for PostgreSQL only; on SQLite they do nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from django.db.migrations.operations.base import Operation, OperationCategory


class PostgresOperation(Operation):
    """Runs the statements of `forwards`, or of `backwards`, for one model."""

    reversible = True
    reduces_to_sql = True
    category = OperationCategory.SQL

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    @abstractmethod
    def forwards(self, model: Any) -> Iterable[str]: ...

    @abstractmethod
    def backwards(self, model: Any) -> Iterable[str]: ...

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Django's state does not change."""

    def database_forwards(self, app: str, editor: Any, before: Any, after: Any) -> None:
        if editor.connection.vendor == "postgresql":
            for statement in self.forwards(after.apps.get_model(app, self.model_name)):
                editor.execute(statement, params=None)

    def database_backwards(self, app: str, editor: Any, before: Any, after: Any) -> None:
        if editor.connection.vendor == "postgresql":
            for statement in self.backwards(before.apps.get_model(app, self.model_name)):
                editor.execute(statement, params=None)


class Storage(PostgresOperation):
    """Sets storage parameters of the model's table, without blocking its readers or writers.
    https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-STORAGE-PARAMETERS
    """

    def __init__(self, model_name: str, **parameters: float) -> None:
        super().__init__(model_name)
        self.parameters = parameters

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], dict(self.parameters)

    def forwards(self, model: Any) -> Iterable[str]:
        given = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        return [f'ALTER TABLE "{model._meta.db_table}" SET ({given})']

    def backwards(self, model: Any) -> Iterable[str]:
        return [f'ALTER TABLE "{model._meta.db_table}" RESET ({", ".join(self.parameters)})']

    def describe(self) -> str:
        return f"Set storage parameters of {self.model_name}"


# Of large tables whose newest rows change a few times: vacuumed after 1 % instead of 20 %.
BUSY = {
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_analyze_scale_factor": 0.02,
}
# Of small tables whose rows change all the time: room for new versions beside the old ones, so that
# no index grows.
HOT = {
    "fillfactor": 50,
    "autovacuum_vacuum_scale_factor": 0.0,
    "autovacuum_vacuum_threshold": 500,
}
