"""Repeated requests with an Idempotency-Key: one key, one response."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from delivr.tenants.models import IdempotentRequest, Role, Tenant
from delivr.tests import factories
from delivr.tests.api_calls import SCM, SCMS, problem
from integrations.models import ScmIntegration

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.OWNER)
    return client


def keyed(api: APIClient, body: dict[str, Any], key: str = "k1", path: str = SCMS) -> Any:
    return api.post(path, body, headers={"idempotency-key": key})


def test_a_repeated_request_gets_the_first_response(api: APIClient) -> None:
    first, second = keyed(api, SCM), keyed(api, SCM)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    assert ScmIntegration.objects.count() == 1


def test_without_a_key_each_request_counts(api: APIClient) -> None:
    assert {api.post(SCMS, SCM).status_code for _n in range(2)} == {201}
    assert ScmIntegration.objects.count() == 2


def test_a_key_belongs_to_one_body_path_and_person(
    api: APIClient, api_for: Any, tenant: Tenant
) -> None:
    keyed(api, SCM)
    problem(keyed(api, {**SCM, "displayName": "x"}), 422, "idempotency_key_reused")
    problem(keyed(api, SCM, path=f"{SCMS}?x=1"), 422, "idempotency_key_reused")
    problem(keyed(api_for(tenant), SCM), 422, "idempotency_key_reused")
    assert ScmIntegration.objects.count() == 1


def test_a_key_belongs_to_one_workspace(api: APIClient, api_for: Any) -> None:
    other = api_for(factories.TenantFactory())
    assert keyed(api, SCM).json()["id"] != keyed(other, SCM).json()["id"]


def test_the_order_of_the_fields_does_not_matter(api: APIClient) -> None:
    keyed(api, SCM)
    again = keyed(api, dict(reversed(list(SCM.items()))))
    assert again["Idempotent-Replayed"] == "true"


def test_a_failed_request_may_be_repeated_under_its_key(api: APIClient) -> None:
    problem(keyed(api, {**SCM, "repositoryUrl": "x"}), 400, "invalid")
    assert keyed(api, SCM).status_code == 201


def test_a_request_that_still_runs_is_not_run_twice(api: APIClient, tenant: Tenant) -> None:
    keyed(api, SCM)
    IdempotentRequest.objects.update(status=None)
    problem(keyed(api, SCM), 409, "still_running")
    assert ScmIntegration.objects.count() == 1


def test_a_key_is_forgotten_after_a_day(api: APIClient) -> None:
    keyed(api, SCM)
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert "Idempotent-Replayed" not in keyed(api, SCM)
    assert ScmIntegration.objects.count() == 2


def test_a_stuck_first_request_frees_its_key_after_two_minutes(api: APIClient) -> None:
    keyed(api, SCM)
    ago = timezone.now() - timedelta(minutes=3)
    IdempotentRequest.objects.update(status=None, created_at=ago)
    assert keyed(api, {**SCM, "displayName": "another"}).status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "a\x00b", "a\tb"])
def test_an_invalid_key_is_refused(api: APIClient, key: str) -> None:
    problem(keyed(api, SCM, key=key), 400, "invalid")
    assert not ScmIntegration.objects.exists()


def test_a_key_of_255_characters_is_accepted(api: APIClient) -> None:
    assert keyed(api, SCM, key="x" * 255).status_code == 201


def test_a_stored_response_is_encrypted(api: APIClient) -> None:
    keyed(api, SCM)
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM tenants_idempotentrequest")
        assert b"scm_github" not in bytes(cursor.fetchone()[0])


def test_the_work_and_its_response_are_stored_together_or_not_at_all(
    api: APIClient, settings: Any
) -> None:
    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith('UPDATE "tenants_idempotentrequest"'):
            raise ConnectionError("the machine stops here")
        return execute(sql, *args)

    with connection.execute_wrapper(fail), pytest.raises(ConnectionError):
        keyed(api, SCM)
    assert not ScmIntegration.objects.exists()
