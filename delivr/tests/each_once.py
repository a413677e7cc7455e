"""A pytest plugin (`-p delivr.tests.each_once`): what does not depend on the database runs once.

On SQLite: tests without a database, and those marked `on_sqlite` or `on_both`. On PostgreSQL: the
other tests that use the database, and those marked `on_both`.
"""

from __future__ import annotations

import pytest

FIXTURES = {"db", "transactional_db", "live_server", "admin_client", "django_db_reset_sequences"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from django.db import connection

    is_here = is_for_sqlite if connection.vendor == "sqlite" else is_for_postgresql
    config.hook.pytest_deselected(items=[item for item in items if not is_here(item)])
    items[:] = [item for item in items if is_here(item)]


def is_for_sqlite(item: pytest.Item) -> bool:
    return not uses_database(item) or is_marked(item, "on_sqlite", "on_both")


def is_for_postgresql(item: pytest.Item) -> bool:
    return uses_database(item) and not is_marked(item, "on_sqlite")


def uses_database(item: pytest.Item) -> bool:
    marked = is_marked(item, "django_db", "services")
    return marked or bool(FIXTURES & set(getattr(item, "fixturenames", ())))


def is_marked(item: pytest.Item, *names: str) -> bool:
    return any(item.get_closest_marker(name) for name in names)
