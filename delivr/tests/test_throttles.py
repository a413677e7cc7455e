"""Rate limits of the API."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from delivr.tenants.models import Role, Tenant, User

pytestmark = pytest.mark.django_db
PATH = "/api/v1/releases"


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.API_PER_MINUTE = settings.API_FAILURES_PER_MINUTE = 3


def statuses(client: Any, times: int = 4, **extra: Any) -> list[int]:
    return [client.get(PATH, **extra).status_code for _ in range(times)]


def test_token_above_its_limit_is_told_when_to_retry(tenant: Tenant, api_for: Any) -> None:
    busy, calm = api_for(tenant, Role.OWNER), api_for(tenant, Role.OWNER)
    assert statuses(busy) == [200, 200, 200, 429]
    answer = busy.get(PATH)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "throttled"
    assert 55 <= int(answer["Retry-After"]) <= 60
    assert statuses(calm)[0] == 200


def test_token_has_one_count_for_all_addresses(tenant: Tenant, api_for: Any) -> None:
    client = api_for(tenant, Role.OWNER)
    found = [client.get(PATH, REMOTE_ADDR=f"203.0.113.{n}").status_code for n in range(4)]
    assert found == [200, 200, 200, 429]


def test_signed_in_user_has_a_count_too(owner: User, client_for: Any) -> None:
    assert statuses(client_for(owner)) == [200, 200, 200, 429]


def test_wrong_tokens_count_for_their_address(tenant: Tenant, api_for: Any) -> None:
    wrong = APIClient()
    wrong.credentials(HTTP_AUTHORIZATION="Bearer dlv_aaaaaaaa_wrong")
    assert statuses(wrong) == [401, 401, 401, 429]
    assert int(wrong.get(PATH)["Retry-After"]) > 0
    assert statuses(wrong, REMOTE_ADDR="203.0.113.7")[0] == 401
    assert statuses(api_for(tenant, Role.OWNER))[0] == 200  # a valid token from the same address
