"""Fixtures that the tests of Jira share."""

import pytest

from integrations.providers.jira.tests.answers import API, FIELDS, TYPES, make, payload
from integrations.providers.tests.sandbox import running_sandbox, sandbox
from integrations.providers.tests.wire import Reply, wire

__all__ = ["running_sandbox", "sandbox", "wire"]


@pytest.fixture
def jira_is_here(wire):
    wire.routes = {
        f"{API}/myself": Reply(payload("myself__200")),
        f"{API}/project/MOBILE": Reply(payload("project__200")),
        f"{API}/mypermissions": Reply(payload("mypermissions__granted")),
        TYPES: Reply(payload("createmeta_issuetypes__renamed_epic")),
        FIELDS: Reply(payload("createmeta_fields__team_managed")),
        f"{API}/issue": Reply(payload("issue__201"), status=201),
        f"{API}/search/jql": Reply(payload("search_jql__found")),
        f"{API}/project/search": Reply(payload("project_search__page")),
    }


@pytest.fixture
def jira(wire):
    return make(wire)
