"""A pytest plugin (`-p delivr.tests.only_database`): runs only the tests that use the database.

The others are the same on SQLite and on PostgreSQL, and have already run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

FIXTURES = {"db", "transactional_db", "live_server", "admin_client", "django_db_reset_sequences"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = [item for item in items if uses_database(item)]
    left_out: Sequence[pytest.Item] = [item for item in items if not uses_database(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = chosen


def uses_database(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("django_db", "services"))
    return marked or bool(FIXTURES & set(getattr(item, "fixturenames", ())))
