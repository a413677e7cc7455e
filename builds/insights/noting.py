"""Triggers that note the past days whose figures a changed row belongs to (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from delivr.postgres import PostgresOperation

# What changes today is counted when shown. A transaction that began before midnight may commit
# after it, so yesterday is noted, too. With the rights of the tables' owner, as in
# `delivr.changes`.
_NOTE = """
CREATE OR REPLACE FUNCTION "{name}"() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE changed record;
BEGIN
  changed := COALESCE(NEW, OLD);
  INSERT INTO insights_notes (tenant_key, day)
    SELECT DISTINCT changed.tenant_id, (at AT TIME ZONE 'UTC')::date FROM ({query}) AS days (at)
    WHERE (at AT TIME ZONE 'UTC')::date < (now() AT TIME ZONE 'UTC')::date;
  RETURN NULL;
END $$
"""
_COMMON = """
CREATE TRIGGER note_days AFTER INSERT OR DELETE ON "{table}"
FOR EACH ROW EXECUTE FUNCTION "{name}"()
"""
_UPDATE = """
CREATE TRIGGER note_days_of_updates AFTER UPDATE ON "{table}"
FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION "{name}"()
"""


class NoteDays(PostgresOperation):
    """Let triggers note the days that `query` selects (as moments) for the row `changed`: when it
    is added or deleted, or when one of `columns` changes."""

    def __init__(self, model_name: str, query: str, columns: Sequence[str]) -> None:
        super().__init__(model_name)
        self.query, self.columns = query, columns

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.query, self.columns], {}

    def forwards(self, model: Any) -> Iterator[str]:
        table = model._meta.db_table
        names = {"table": table, "name": f"note_days_of_{table}"}
        differs = " OR ".join(f"OLD.{each} IS DISTINCT FROM NEW.{each}" for each in self.columns)
        yield _NOTE.format(query=self.query, **names)
        yield _COMMON.format(**names)
        yield _UPDATE.format(condition=differs, **names)

    def backwards(self, model: Any) -> Iterable[str]:
        table = model._meta.db_table
        yield f'DROP TRIGGER note_days ON "{table}"'
        yield f'DROP TRIGGER note_days_of_updates ON "{table}"'
        yield f'DROP FUNCTION "note_days_of_{table}"()'

    def describe(self) -> str:
        return f"Note the days whose figures change with {self.model_name}"
