"""How many SQL statements each list and each page of one object costs, however many rows there are.

A number that is too high has a cause that grows sooner or later: a query for each row, or one that
every page makes again. docs/performance.md says what the numbers should be.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from builds.tests.both_ways import Around, thin_path  # noqa: F401 # a fixture
from builds.tests.sending import SEED, send, stored
from builds.webhooks import storing
from delivr.tests import factories
from delivr.tests.sample_workspace import SampleWorkspace, build_workspace

pytestmark = [pytest.mark.on_sqlite, pytest.mark.django_db]

LIST, DETAIL, WEBHOOK, THIN = 8, 12, 4, 2  # statements
LISTS = (
    "/releases",
    "/palette?q=7",
    "/integrations",
    "/settings/audit",
    "/api/v1/webhook-deliveries",
    "/activity",
    "/activity?state=DEAD",
    "/activity/polled",
    "/activity/received",
    "/activity/received?state=NEW",
    "/activity/live",
    "/activity/received/live",
    "/api/v1/releases",
    "/api/v1/effects",
    "/api/v1/audit-events",
    "/api/v1/changes?ticket=MOBILE-1",
    "/api/v1/members",
    "/api/v1/tokens",
)
DETAILS = (
    "/releases/{release_id}",
    "/releases/{release_id}/live",
    "/api/v1/releases/{release_id}",
    "/activity/effects/{effect_id}",
    "/activity/received/{delivery_id}",
    "/releases/{release_id}/changes",
    "/api/v1/effects/{effect_id}",
    "/api/v1/webhook-deliveries/{delivery_id}",
    "/api/v1/test-builds/{test_build_id}",
)


@pytest.fixture
def sample(settings: Any) -> SampleWorkspace:
    settings.API_PER_MINUTE = 100_000
    return build_workspace("statements7word")


def statements_of(path: str, sample: SampleWorkspace) -> int:
    client = factories.sign_in(Client(), sample.users["OWNER"])
    headers = {}
    if path.startswith("/api/"):
        client, headers = Client(), {"Authorization": f"Bearer {sample.tokens['owner']}"}
    address = path.format(**sample.ids)
    client.get(address, headers=headers)  # the first use of a token is noted
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address, headers=headers)
    assert answer.status_code in (200, 286), address  # 286: a fragment that refreshes no more
    return sum("SAVEPOINT" not in query["sql"] for query in queries)


@pytest.mark.parametrize("path", LISTS)
def test_list_costs_few_statements(path: str, sample: SampleWorkspace) -> None:
    assert statements_of(path, sample) <= LIST


@pytest.mark.parametrize("path", DETAILS)
def test_page_of_one_object_costs_few_statements(path: str, sample: SampleWorkspace) -> None:
    assert statements_of(path, sample) <= DETAIL


def test_a_webhook_costs_few_statements() -> None:
    pipeline = factories.PipelineFactory()
    with CaptureQueriesContext(connection) as queries:
        answer = send(pipeline, SEED)
    assert answer.status_code == 202
    assert sum("SAVEPOINT" not in query["sql"] for query in queries) <= WEBHOOK


@pytest.mark.services
def test_a_webhook_on_the_thin_path_costs_fewer(
    thin_path: type[Around],  # noqa: F811 # the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = factories.PipelineFactory()
    stored(send(pipeline, SEED))
    statements: list[bytes] = []
    inner = storing.connection

    class Counts:
        def execute(self, statement: bytes, *values: Any, **options: Any) -> Any:
            statements.append(statement)
            return inner().execute(statement, *values, **options)

    monkeypatch.setattr(storing, "connection", Counts)
    with CaptureQueriesContext(connection) as queries:
        answer = send(pipeline, SEED)
    assert answer.status_code == 202
    assert thin_path.answered == 1
    assert 1 <= len(statements) + len(queries) <= THIN
