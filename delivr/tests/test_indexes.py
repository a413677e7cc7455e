"""Indexes of tables in use: created without a lock, and repeatable."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import NotSupportedError, connection, migrations, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from builds.models import Build
from delivr.indexes import AddIndexWithoutLock

INDEX = "build_log_due"


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Build._meta.db_table)
    return {name for name, about in found.items() if about["index"]}


def run(direction: str) -> None:
    index = next(index for index in Build._meta.indexes if index.name == INDEX)
    state = ProjectState.from_apps(apps)
    with connection.schema_editor(atomic=False) as editor:
        operation = AddIndexWithoutLock("build", index)
        getattr(operation, f"database_{direction}")("builds", editor, state, state)


def test_no_migration_of_a_table_in_use_creates_an_index_in_a_transaction() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    ours = {app.label for app in apps.get_app_configs() if "site-packages" not in app.path}
    for (label, name), migration in loader.disk_migrations.items():
        made_here = {o.name.lower() for o in migration.operations if hasattr(o, "managers")}
        for operation in migration.operations:
            if label in ours and isinstance(operation, migrations.AddIndex):
                is_new = operation.model_name_lower in made_here
                assert is_new or isinstance(operation, AddIndexWithoutLock), (label, name)
                assert is_new or not migration.atomic, (label, name)


@pytest.mark.django_db(transaction=True)
def test_an_index_from_an_earlier_version_is_kept() -> None:
    assert INDEX in indexes()
    run("forwards")
    assert INDEX in indexes()


@pytest.mark.django_db(transaction=True)
def test_a_missing_index_is_created_and_can_be_removed() -> None:
    try:
        run("backwards")
        assert INDEX not in indexes()
    finally:
        run("forwards")
    assert INDEX in indexes()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_an_invalid_index_is_created_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [INDEX]
        )
        run("forwards")
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [INDEX])
        assert cursor.fetchone() == (True,)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_run_in_a_transaction() -> None:
    operation = AddIndexWithoutLock("build", models.Index(fields=["log_at"], name="another"))
    state = ProjectState.from_apps(apps)
    with (
        pytest.raises(NotSupportedError),
        transaction.atomic(),
        connection.schema_editor(atomic=False) as editor,
    ):
        operation.database_forwards("builds", editor, state, state)
