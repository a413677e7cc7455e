"""What the tests of the pages of connections share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.test import Client

from delivr.api.problems import camel
from delivr.tenants.models import Role, Tenant, User
from integrations.providers.registry import fields_of
from integrations.tests.keys import key_of, model_of


@pytest.fixture
def web(client_for: Callable[[User], Client], owner: User) -> Client:
    """The browser of the workspace's owner."""
    return client_for(owner)


@pytest.fixture
def web_as(
    client_for: Callable[[User], Client], member_of: Callable[..., User], tenant: Tenant
) -> Callable[[Role], Client]:
    return lambda role: client_for(member_of(tenant, role))


@pytest.fixture
def typed(sandbox_values: Mapping[str, Any]) -> Callable[..., dict[str, Any]]:
    """`typed("GITHUB", repository_url="…")`: what a person types to connect the sandbox."""

    def make(kind: str, **changes: Any) -> dict[str, Any]:
        found = sandbox_values[model_of(kind).family]
        entries = found if isinstance(found, list) else [found]
        entry = next(e for e in entries if kind in e.values())
        fields = {f.name: _as_typed(entry.get(camel(f.name), "")) for f in fields_of(key_of(kind))}
        return {"kind": kind, **fields, **changes}

    return make


def _as_typed(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return "\n".join(value) if isinstance(value, list) else str(value)
