"""What holds for the whole API: errors, lists, and its own description."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from delivr.effects.models import Effect
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from delivr.tests.api_calls import SCM, SCMS, problem
from delivr.tests.walk_table import FAMILIES
from integrations.models import ScmIntegration

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.OWNER)
    return client


# --- Errors --------------------------------------------------------------------------------------


def test_all_problems_of_a_request_are_reported_under_its_field_names(api: APIClient) -> None:
    body = {
        "scmType": "GITHUB",
        "repositoryUrl": "nonsense",
        "accessToken": ["a", "list"],
        "displayName": "x" * 81,
        "repository_url": "https://github.com/dream11/app",
        "extra": 1,
    }
    found = problem(api.post(SCMS, body), 400, "invalid")
    assert set(found["errors"]) == {
        "repositoryUrl",
        "accessToken",
        "displayName",
        "repository_url",
        "extra",
    }
    assert found["errors"]["extra"] == ["There is no such field."]
    assert all(isinstance(m, str) for words in found["errors"].values() for m in words)
    assert not ScmIntegration.objects.exists()


@pytest.mark.parametrize("body", [[], "text", 7, None, True, [{"scmType": "GITHUB"}]])
def test_a_body_that_is_not_an_object_is_refused(api: APIClient, body: Any) -> None:
    answer = api.post("/api/v1/releases", json.dumps(body), content_type="application/json")
    found = problem(answer, 400, "invalid")
    assert found["errors"] == {"request": ["Send a JSON object."]}


MALFORMED = [
    b"",
    b"{",
    b"not json",
    b'{"version": NaN}',
    b'{"version": -Infinity}',
    b'{"version": 1e999}',
    b"\xff\xfe",
    b'{"version": "\xff"}',
    b'{"version": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"\\ud800": 1}',
    b'{"version": "\\udfff"}',
    b'{"targets": [["\\ud800"]]}',
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
@pytest.mark.parametrize("key", ["", "a-key"])
def test_malformed_json_is_refused_in_words(api: APIClient, body: bytes, key: str) -> None:
    extra = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    answer = api.post("/api/v1/releases", body, content_type="application/json", **extra)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("charset", ["utf-16", "zlib", "rot13", "base64", "hex", "x", "idna"])
def test_json_is_utf8_whatever_the_header_says(api: APIClient, charset: str) -> None:
    kind = f"application/json; charset={charset}"
    assert api.post(SCMS, json.dumps(SCM).encode(), content_type=kind).status_code == 201


def test_a_body_has_a_limit(api: APIClient) -> None:
    body = json.dumps({**SCM, "extra": "x" * 1024 * 1024})
    problem(api.post(SCMS, body, content_type="application/json"), 413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_only_json_is_accepted(api: APIClient, kind: str) -> None:
    answer = api.post(SCMS, json.dumps(SCM).encode(), content_type=kind)
    problem(answer, 415, "unsupported_media_type")
    assert not ScmIntegration.objects.exists()


def test_a_form_is_not_accepted(api: APIClient) -> None:
    problem(api.post(SCMS, SCM, format="multipart"), 415, "unsupported_media_type")


def test_a_wrong_method_is_named(api: APIClient) -> None:
    answer = api.put(SCMS, SCM)
    problem(answer, 405, "method_not_allowed")
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize("path", ["", "x", "releases/x/y/z", "../admin/", "releases/", "%00", "é"])
def test_an_unknown_path_is_a_problem_too(api: APIClient, path: str) -> None:
    assert problem(api.get(f"/api/v1/{path}"), 404, "not_found")["errors"] == {}


@pytest.mark.parametrize(
    "path",
    ["releases/%00", "integrations/scm/a%00b", "effects?releaseId=%00", "effects?kind=a%00"],
)
def test_a_nul_in_an_address_breaks_nothing(api: APIClient, path: str) -> None:
    assert api.get(f"/api/v1/{path}").status_code in (400, 404)


def test_other_response_formats_are_not_available(api: APIClient) -> None:
    problem(api.get(SCMS, headers={"accept": "application/xml"}), 406, "not_acceptable")


# --- Lists ---------------------------------------------------------------------------------------


def test_a_list_is_paginated_newest_first_and_complete(api: APIClient, tenant: Tenant) -> None:
    rows = [factories.EffectFactory(tenant=tenant) for _n in range(7)]
    Effect.objects.filter(pk__in=[r.pk for r in rows[:4]]).update(created_at=timezone.now())
    seen: list[str] = []
    url: str | None = "/api/v1/effects?limit=3"
    while url:
        page = api.get(url).json()
        assert set(page) == {"results", "next"}
        assert len(page["results"]) <= 3
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == 7
    assert set(seen) == {row.pk for row in rows}


@pytest.mark.parametrize(("limit", "shown"), [("", 25), ("?limit=1", 1), ("?limit=100", 30)])
def test_a_page_has_25_rows_unless_asked_otherwise(
    api: APIClient, tenant: Tenant, limit: str, shown: int
) -> None:
    factories.EffectFactory.create_batch(30, tenant=tenant)
    assert len(api.get(f"/api/v1/effects{limit}").json()["results"]) == shown


@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "x", "", "1.5", "１", "²", "9" * 5000, "0" * 5000, "000001000", "1e1"],
)
def test_a_limit_out_of_bounds_is_refused(api: APIClient, limit: str) -> None:
    found = problem(api.get("/api/v1/effects", {"limit": limit}), 400, "invalid")
    assert found["errors"] == {"limit": ["Choose a number from 1 to 100."]}


NO_CURSORS = ["x", "%00", "é", "cD0lMDA=", "cD0yMDI0LTAxLTAx", "cD1ub3c=", "bz0tMQ=="]


@pytest.mark.parametrize("cursor", NO_CURSORS)
def test_an_invalid_cursor_is_refused(api: APIClient, tenant: Tenant, cursor: str) -> None:
    factories.EffectFactory(tenant=tenant)
    found = problem(api.get(f"/api/v1/effects?cursor={cursor}"), 400, "invalid")
    assert set(found["errors"]) == {"cursor"}


@pytest.mark.parametrize("path", ["effects?state=x", "webhook-deliveries?state=x"])
def test_an_unknown_state_is_named(api: APIClient, path: str) -> None:
    found = problem(api.get(f"/api/v1/{path}"), 400, "invalid")
    assert set(found["errors"]) == {"state"}


# --- Its own description -------------------------------------------------------------------------


@pytest.mark.slow
def test_the_openapi_document_is_clean(capsys: Any) -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "/api/v1/releases/{release_id}/builds" in capsys.readouterr().out


def test_the_openapi_document_and_its_page_are_public() -> None:
    document = Client().get("/api/v1/schema")
    assert document.status_code == 200
    assert b"openapi: 3" in document.content
    page = Client().get("/api/v1/docs")
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")


def test_the_document_has_no_readable_secret() -> None:
    import yaml

    document = yaml.safe_load(Client().get("/api/v1/schema").content)
    secret = {
        "accessToken",
        "appleApiKey",
        "googleServiceAccount",
        "jenkinsApiToken",
        "slackBotToken",
        "jiraApiToken",
    }
    for name, schema in document["components"]["schemas"].items():
        readable = {k for k, v in schema.get("properties", {}).items() if not v.get("writeOnly")}
        assert not readable & secret, name


LISTS = [
    "effects",
    "releases",
    "webhook-deliveries",
    *(f"integrations/{f}" for f in FAMILIES),
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_costs_the_same_queries_for_many_rows(
    api: APIClient, tenant: Tenant, path: str
) -> None:
    counts = []
    for number in (1, 12):
        for _n in range(number):
            part = factories.ReleasePipelineFactory(release__tenant=tenant)
            factories.ReleasePipelineFactory(release=part.release, pipeline__tenant=tenant)
            factories.BuildFactory(release_pipeline=part)
            factories.DeliveryFactory(pipeline=part.pipeline)
            factories.EffectFactory(tenant=tenant, release_id=part.release.pk)
            factories.SlackFactory(tenant=tenant)
            factories.JiraFactory(tenant=tenant)
            factories.SentryFactory(tenant=tenant)
            factories.PlayVitalsFactory(tenant=tenant)
        api.get(f"/api/v1/{path}")  # the token records its use once a minute
        with CaptureQueriesContext(connection) as queries:
            assert api.get(f"/api/v1/{path}").json()["results"]
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 7
