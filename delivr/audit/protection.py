"""Makes audit rows immutable on PostgreSQL, by triggers and by the rights of a role.

The trigger stops everybody who may write to the tables, including their owner. Two exceptions
need a session setting: `SET delivr.audit_purge = 'delete'` (for an operator who is obliged by law,
and between two tests) and `'truncate'`. A role that has its rights from `manage.py grants` may do
neither in any case. SQLite has one user, and no triggers of ours.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection, models

from delivr.audit.models import AuditEvent, AuditSeal
from delivr.postgres import PostgresOperation

_FUNCTION = """
CREATE OR REPLACE FUNCTION delivr_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'UPDATE' AND current_setting('delivr.audit_purge', true) = lower(TG_OP) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'restrict_violation';
END $$
"""
# ALWAYS: also fires if session_replication_role is `replica`, which switches other triggers off.
_ADD = (
    'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON "{table}"'
    " FOR EACH ROW EXECUTE FUNCTION delivr_append_only()",
    'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON "{table}"'
    " FOR EACH STATEMENT EXECUTE FUNCTION delivr_append_only()",
    'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER append_only',
    'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER no_truncate',
)
_DROP = ('DROP TRIGGER append_only ON "{table}"', 'DROP TRIGGER no_truncate ON "{table}"')


class AppendOnly(PostgresOperation):
    """`AppendOnly("AuditEvent")`: PostgreSQL refuses UPDATE, DELETE and TRUNCATE of its table."""

    def forwards(self, model: Any) -> list[str]:
        return [_FUNCTION, *(sql.replace("{table}", model._meta.db_table) for sql in _ADD)]

    def backwards(self, model: Any) -> list[str]:
        return [sql.replace("{table}", model._meta.db_table) for sql in _DROP]

    def describe(self) -> str:
        return f"Let nobody change or remove rows of {self.model_name}"


# --- The application's role -----------------------------------------------------------------------

APPEND_ONLY: tuple[type[models.Model], ...] = (AuditEvent, AuditSeal)
MIGRATIONS = "django_migrations"


def grants(role: str) -> list[str]:
    """The statements that give `role` what the running application needs, and nothing else.

    The owner of the tables runs them, again after each migration that adds a table.
    """
    quote = connection.ops.quote_name
    name, database = quote(role), quote(connection.settings_dict["NAME"])
    audit = {model._meta.db_table for model in APPEND_ONLY}
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    return [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}",
        f"REVOKE CREATE ON SCHEMA public FROM {name}, PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {name}",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"GRANT SELECT ON {quote(MIGRATIONS)} TO {name}",
        f"GRANT SELECT, INSERT ON {_listed(audit)} TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_listed(tables - audit)} TO {name}",
    ]


def _listed(tables: set[str]) -> str:
    return ", ".join(connection.ops.quote_name(table) for table in sorted(tables))
