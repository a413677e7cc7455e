"""Test builds over the API: start, read, cancel."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from builds.models import TestBuild
from delivr.effects.models import Effect
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories as make
from delivr.tests.wired import Wired, wire

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def wired(tenant: Tenant) -> Wired:
    return wire(tenant, "http://127.0.0.1:1")


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.ADMIN)
    return client


def rows(wired: Wired) -> str:
    return f"/api/v1/integrations/pipelines/{wired.pipelines['ios'].pk}/test-builds"


def test_one_is_started_read_and_stopped(wired: Wired, api: APIClient) -> None:
    answer = api.post(rows(wired), {"version": "1.2.3", "branch": "develop"}, format="json")
    assert answer.status_code == 202
    made = answer.json()
    assert (made["version"], made["branch"], made["buildStatus"]) == (
        "1.2.3",
        "develop",
        "TRIGGERING",
    )
    assert api.get(rows(wired)).json()["results"] == [made]
    assert api.get(f"/api/v1/test-builds/{made['id']}").json() == made
    stopped = api.post(f"/api/v1/test-builds/{made['id']}/cancel")
    assert (stopped.status_code, stopped.json()["buildStatus"]) == (202, "CANCELLED")
    again = api.post(f"/api/v1/test-builds/{made['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "not_moving")
    assert Effect.objects.filter(kind="build.test_stop").count() == 1


def test_wrong_values_are_named_by_field(wired: Wired, api: APIClient) -> None:
    answer = api.post(rows(wired), {"version": "1 0", "branch": "a..b", "x": 1}, format="json")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"x"}
    answer = api.post(rows(wired), {"version": "1 0", "branch": "a..b"}, format="json")
    assert set(answer.json()["errors"]) == {"version", "branch"}
    assert not TestBuild.objects.exists()


def test_one_key_starts_one(wired: Wired, api: APIClient) -> None:
    key = {"Idempotency-Key": "once"}
    first = api.post(rows(wired), {}, format="json", headers=key)
    second = api.post(rows(wired), {}, format="json", headers=key)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert api.post(rows(wired), {}, format="json").json()["code"] == "build_in_progress"
    assert TestBuild.objects.count() == 1


def test_others_are_unknown_and_lower_roles_only_read(
    wired: Wired, api: APIClient, tenant: Tenant, api_for: Any
) -> None:
    foreign = make.TestBuildFactory()
    for act in ("", "/cancel"):
        method = api.post if act else api.get
        assert method(f"/api/v1/test-builds/{foreign.pk}{act}").status_code == 404
    mine = make.TestBuildFactory(pipeline=wired.pipelines["ios"])
    reader = api_for(tenant, Role.MEMBER)
    assert reader.get(f"/api/v1/test-builds/{mine.pk}").status_code == 200
    assert reader.post(f"/api/v1/test-builds/{mine.pk}/cancel").status_code == 403
    assert reader.post(rows(wired), {}, format="json").status_code == 403
    assert set(TestBuild.objects.values_list("status", flat=True)) == {"TRIGGERING"}
