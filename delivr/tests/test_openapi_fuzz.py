"""Schemathesis with our own OpenAPI document, with each role's token and without: no 5xx, no access
without a token, and every response as documented.

The examples are the same each time; `OPENAPI_EXAMPLES` sets how many per operation and role (many
for `make fuzz`).
"""

from __future__ import annotations

import functools
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
from delivr.tests.sample_workspace import NOWHERE, OURS, SampleWorkspace, build_workspace
from delivr.tests.walk_table import FAMILIES

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
    """Through WSGI, a request would close the connection with the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def workspace(db: None) -> SampleWorkspace:
    return build_workspace(OURS)


def headers_of(workspace: SampleWorkspace, role: str) -> dict[str, str]:
    if not role:
        return {}
    user = workspace.users[role]
    _token, text = create_token(tenant=workspace.tenant, user=user, role=role)
    return {"Authorization": f"Bearer {text}"}


@functools.cache
def every_operation() -> list[Any]:
    """Of our document, which takes seconds to write and to read."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", get_wsgi_application())
    results = list(schema.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results) > 40
    return operations


def rows_of(workspace: SampleWorkspace, operation: Any) -> dict[str, Any]:
    """Rows for the path's parameters, since unknown ids would always end in a 404."""
    family = next((f for f in FAMILIES if f"integrations/{f}/" in operation.path), "")
    known = {**workspace.ids, "connection_id": workspace.connections.get(family)}
    return {p.name: known[p.name] for p in operation.path_parameters if known.get(p.name)}


ALL = [*Role.values, ""]
# `make fuzz` tries all. `test_walk.py` shows what each role may do, and who may not is refused
# before the body is read.
RIGHT, WRONG = (ALL, ALL) if EXAMPLES > 5 else (["OWNER", "VIEWER", ""], ["OWNER"])


@pytest.mark.parametrize(
    ("role", "mode"),
    [
        *[(role, GenerationMode.POSITIVE) for role in RIGHT],
        *[(role, GenerationMode.NEGATIVE) for role in WRONG],
    ],
)
def test_answers_are_as_documented(
    workspace: SampleWorkspace, role: str, mode: GenerationMode
) -> None:
    headers = headers_of(workspace, role)
    for operation in every_operation():
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue  # nothing can be invalid
        cases = operation.as_strategy(mode, path_parameters=rows_of(workspace, operation))

        @repeatable
        @given(case=cases)
        def answer(case: Any) -> None:
            with transaction.atomic():
                case.call_and_validate(headers=headers, checks=CHECKS)
                transaction.set_rollback(True)

        answer()
