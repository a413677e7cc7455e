"""Which rows of a workspace have changed since a page was made, on PostgreSQL.

Triggers note each transaction that changes a row which pages show, with the row's workspace and
release. Whoever has read rows keeps the snapshot it read them in, and asks later for noted
transactions that this snapshot does not see: none is missed, in whatever order they commit.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from delivr.batches import in_batches
from delivr.models import RowChange
from delivr.postgres import PostgresOperation

SHARED = "*"  # every release's page may show it: connections, members
ELSEWHERE = ""  # no release's page shows it

KEEP = timedelta(minutes=10)  # far longer than a page goes without reading its rows

# With the rights of the tables' owner: a role for which `manage.py grants` has not been run since
# the migration can still write. https://www.postgresql.org/docs/current/sql-createfunction.html
_NOTE = """
CREATE OR REPLACE FUNCTION "{name}"() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE changed record;
BEGIN
  changed := COALESCE(NEW, OLD);
  INSERT INTO row_changes (tenant_key, release_key, transaction)
    SELECT tenant, COALESCE(release, ''), pg_current_xact_id()::text::bigint
    FROM ({query}) AS shown (tenant, release)
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$
"""
_COMMON = """
CREATE TRIGGER note_changes AFTER INSERT OR DELETE ON "{table}"
FOR EACH ROW EXECUTE FUNCTION "{name}"()
"""
_UPDATE = """
CREATE TRIGGER note_updates AFTER UPDATE ON "{table}"
FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION "{name}"()
"""


class NoteChanges(PostgresOperation):
    """Let triggers note changes of a model's rows.

    `query` selects the workspace and the release of the row `changed`, for example
    `SELECT changed.tenant_id, changed.release_id`. An update that changes nothing but the columns
    in `ignored` is not noted.
    """

    def __init__(self, model_name: str, query: str, ignored: Sequence[str] = ()) -> None:
        super().__init__(model_name)
        self.query, self.ignored = query, ignored

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.query, self.ignored], {}

    def forwards(self, model: Any) -> Iterator[str]:
        table = model._meta.db_table
        names = {"table": table, "name": f"note_{table}"}
        yield _NOTE.format(query=self.query, **names)
        yield _COMMON.format(**names)
        yield _UPDATE.format(condition=_differs(self.ignored), **names)

    def backwards(self, model: Any) -> Iterable[str]:
        table = model._meta.db_table
        yield f'DROP TRIGGER note_changes ON "{table}"'
        yield f'DROP TRIGGER note_updates ON "{table}"'
        yield f'DROP FUNCTION "note_{table}"()'

    def describe(self) -> str:
        return f"Note changes of {self.model_name} for pages that refresh themselves"


def _differs(ignored: Sequence[str]) -> str:
    if not ignored:
        return "true"
    without = f"'{{{','.join(ignored)}}}'::text[]"
    return f"to_jsonb(OLD) - {without} IS DISTINCT FROM to_jsonb(NEW) - {without}"


OF_RELEASE = "SELECT changed.tenant_id, changed.release_id"
OF_ALL = f"SELECT changed.tenant_id, '{SHARED}'"
OF_NONE = f"SELECT changed.tenant_id, '{ELSEWHERE}'"


def snapshot() -> str:
    """The present one; empty where changes are not noted (SQLite). Take it before reading rows."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        return str(cursor.fetchone()[0])


# What an older snapshot does not see cannot be older than its first transaction in progress.
UNSEEN = """
transaction >= pg_snapshot_xmin(%(seen)s::pg_snapshot)::text::bigint
AND NOT pg_visible_in_snapshot(transaction::text::xid8, %(seen)s::pg_snapshot)
"""
_IS_QUIET = f"""
SELECT NOT EXISTS (
  SELECT FROM row_changes WHERE tenant_key = %(tenant)s AND {UNSEEN}
  AND (%(release)s = '' OR release_key IN (%(release)s, '{SHARED}'))
) AND EXISTS (
  SELECT FROM django_session WHERE session_key = %(session)s AND expire_date > now()
)
"""  # noqa: S608 # constants


def is_quiet(*, tenant: str, release: str, seen: str, session: str) -> bool:
    """True if nothing has changed for the release (empty: the whole workspace) since the snapshot
    `seen`, and the session still exists. One statement."""
    values = {"tenant": tenant, "release": release, "seen": seen, "session": session}
    with connection.cursor() as cursor:
        cursor.execute(_IS_QUIET, values)
        return bool(cursor.fetchone()[0])


_NEWS = f"""
SELECT pg_current_snapshot()::text, ARRAY(
  SELECT DISTINCT ARRAY[tenant_key, release_key]::text[] FROM row_changes WHERE {UNSEEN}
)
"""  # noqa: S608 # constants


def news(seen: str) -> tuple[str, list[tuple[str, str]]]:
    """The present snapshot, and the (workspace, release) of all changes between `seen` and it."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWS, {"seen": seen})
        now, changed = cursor.fetchone()
    return now, [(tenant, release) for tenant, release in changed]


# --- Jobs -----------------------------------------------------------------------------------------

ALL = "all"


def due_notes() -> list[str]:
    """`["all"]` if there are notes that nobody needs any more."""
    return [ALL] if _old().exists() else []


def delete_notes(what: str = ALL) -> None:
    in_batches(_old(), lambda rows: rows.delete())


def _old() -> Any:
    return RowChange.objects.filter(noted_at__lt=timezone.now() - KEEP)
