"""PostgreSQL keeps audit rows from being changed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from django.test import Client

from builds.tests.test_main_flow import test_release_goes_from_connected_to_ready as run_main_flow
from delivr.audit.models import AuditEvent, AuditSeal
from delivr.audit.operations import record
from delivr.audit.sealing import seal
from delivr.tests.factories import PASSWORD

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

FORBIDDEN = [
    "UPDATE audit_events SET action = 'forged'",
    "UPDATE audit_seals SET hash = 'forged'",
    "DELETE FROM audit_seals",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events, audit_seals",
]


@pytest.fixture
def sealed(tenant: Any) -> AuditEvent:
    event = record(tenant=tenant, actor=None, action="x")
    seal()
    return event


def execute(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_owner_of_the_tables_is_refused_too(sealed: Any, statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        execute("SET LOCAL delivr.audit_purge = ''", statement)
    assert (AuditEvent.objects.get().action, AuditSeal.objects.count()) == ("x", 1)


def test_the_trigger_fires_where_others_are_switched_off(sealed: Any) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        execute("SET LOCAL session_replication_role = replica", "DELETE FROM audit_seals")


def test_an_operator_can_purge_rows_but_not_change_them(sealed: Any) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        execute("SET LOCAL delivr.audit_purge = 'update'", FORBIDDEN[0])
    execute("SET LOCAL delivr.audit_purge = 'delete'", FORBIDDEN[2], FORBIDDEN[3])
    assert not AuditEvent.objects.exists()


# --- The application's own role -------------------------------------------------------------------


@pytest.fixture
def app_role(db: None) -> Iterator[str]:
    """From here on, the test is connected as a role with the rights from `manage.py grants`."""
    role, settings = f"delivr_app_{os.getpid()}", connection.settings_dict
    execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    try:
        call_command("grants", "--role", role, "--apply", stdout=io.StringIO())
        connect_as({"USER": role, "PASSWORD": PASSWORD})
        yield role
    finally:
        connect_as(owner)
        execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def connect_as(who: dict[str, str]) -> None:
    connection.close()
    connection.settings_dict.update(who)


def test_the_main_flow_runs_as_the_applications_role(
    app_role: str, tenant: Any, api_for: Any, sandbox: Any, sandbox_values: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user")
        assert cursor.fetchone() == (app_role, app_role)
    run_main_flow(tenant, api_for, sandbox, sandbox_values)
    seal()
    assert AuditSeal.objects.count() == AuditEvent.objects.count() > 10


def test_the_applications_role_signs_in_and_out(app_role: str, owner: Any) -> None:
    client = Client()
    form = {"login": owner.email, "password": PASSWORD}
    assert client.post("/accounts/login/", form).status_code == 302
    assert client.get("/settings/audit").status_code == 200
    assert client.post("/accounts/logout/").status_code == 302


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_applications_role_cannot_change_rows(
    app_role: str, sealed: Any, statement: str
) -> None:
    for purge in ("", "delete", "truncate"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            execute(f"SET LOCAL delivr.audit_purge = '{purge}'", statement)
    assert (AuditEvent.objects.get().action, AuditSeal.objects.count()) == ("x", 1)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_events DISABLE TRIGGER append_only",
        "DROP TABLE audit_events",
        "CREATE TABLE mine (id int)",
        "UPDATE django_migrations SET name = 'x'",
        "SET session_replication_role = replica",
    ],
)
def test_the_applications_role_changes_no_tables(app_role: str, statement: str) -> None:
    with pytest.raises(DatabaseError, match=r"must be owner|permission denied"):
        execute(statement)


def test_grants_can_be_given_twice_and_printed(app_role: str) -> None:
    out = io.StringIO()
    call_command("grants", "--role", app_role, stdout=out)
    assert f'GRANT SELECT, INSERT ON "audit_events", "audit_seals" TO "{app_role}";' in (
        out.getvalue()
    )
