"""Schemathesis over our own OpenAPI document, with each role's token and with none: no 5xx, nobody
in without a token, and every answer as the document says.

The same examples each time; `OPENAPI_EXAMPLES` sets how many for each operation and role
(`make fuzz`: many).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from delivr.tenants.models import Role
from delivr.tenants.operations import create_token
from delivr.tests.walk_table import FAMILIES
from delivr.tests.walk_world import NOWHERE, OURS, World, build_world

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgresql]

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "2"))
CHECKS = [
    not_a_server_error,
    ignored_auth,
    response_schema_conformance,
    content_type_conformance,
    status_code_conformance,
]
repeatable = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _nowhere(settings: Any) -> None:
    for name in ("GITHUB_API_URL", "SLACK_API_URL", "APP_STORE_CONNECT_URL", "GOOGLE_PLAY_URL"):
        setattr(settings, name, NOWHERE)
    settings.GOOGLE_TOKEN_URL = f"{NOWHERE}/token"
    settings.API_PER_MINUTE = settings.API_FAILURES_PER_MINUTE = 100_000


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A request through WSGI would close the connection that holds the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def world(db: None) -> World:
    return build_world(OURS)


def headers_of(world: World, role: str) -> dict[str, str]:
    if not role:
        return {}
    user = world.users[role]
    _token, text = create_token(tenant=world.tenant, user=user, role=role)
    return {"Authorization": f"Bearer {text}"}


def rows_of(world: World, operation: Any) -> dict[str, Any]:
    """Rows for the path's parameters: unknown ids would end every request in a 404."""
    family = next((f for f in FAMILIES if f"integrations/{f}/" in operation.path), "")
    known = {**world.ids, "connection_id": world.connections.get(family)}
    return {p.name: known[p.name] for p in operation.path_parameters if known.get(p.name)}


ROLES = [*Role.values, ""]
# The others are turned away before their bodies count: they are for `make fuzz`.
WRONG = ROLES if EXAMPLES > 5 else ["OWNER"]


@pytest.mark.parametrize(
    ("role", "mode"),
    [
        *[(role, GenerationMode.POSITIVE) for role in ROLES],
        *[(role, GenerationMode.NEGATIVE) for role in WRONG],
    ],
)
def test_answers_are_as_documented(world: World, role: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", get_wsgi_application())
    headers = headers_of(world, role)
    results = list(schema.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results) > 40
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue  # nothing to get wrong
        cases = operation.as_strategy(mode, path_parameters=rows_of(world, operation))

        @repeatable
        @given(case=cases)
        def answer(case: Any) -> None:
            with transaction.atomic():
                case.call_and_validate(headers=headers, checks=CHECKS)
                transaction.set_rollback(True)

        answer()
