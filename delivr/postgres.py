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
