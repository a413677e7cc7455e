"""Empty tables after a test that commits. Rows are deleted: Django would truncate every table and
make content types and permissions anew, which takes half a second on PostgreSQL.
"""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase

STAY = {"django_content_type", "auth_permission"}  # made by `migrate`, the same for all tests


@pytest.fixture(scope="session", autouse=True)
def _quick_to_empty() -> None:
    TransactionTestCase._fixture_teardown = lambda _case: empty()  # type: ignore[method-assign]


@transaction.atomic
def empty() -> None:
    names = set(connection.introspection.django_table_names(include_views=False)) - STAY
    tables = [connection.ops.quote_name(name) for name in sorted(names)]
    deletes = [f"DELETE FROM {table}" for table in tables]  # noqa: S608 # the names are our own
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for delete in deletes:
                cursor.execute(delete)
            return
        cursor.execute("SET LOCAL delivr.audit_purge = 'delete'")
        # Waits for whoever still writes, as truncating does.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        # As one statement: foreign keys are looked at when it ends.
        parts = ", ".join(f"t{n} AS ({delete})" for n, delete in enumerate(deletes))
        cursor.execute(f"WITH {parts} SELECT")
