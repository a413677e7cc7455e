"""The ground of the API: errors, who asks, lists, repeats, and its own description."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from delivr.effects.models import Effect
from delivr.tenants.models import ApiToken, IdempotentRequest, Membership, Role, Tenant, User
from delivr.tenants.operations import create_token, revoke_token
from delivr.tests import factories
from integrations.models import ScmIntegration

pytestmark = pytest.mark.django_db

SCM = {
    "scmType": "GITHUB",
    "repositoryUrl": "https://github.com/dream11/app",
    "accessToken": "ghp_one",
}
SCMS = "/api/v1/integrations/scm"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The answer is a whole problem of this status and code (RFC 9457)."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "errors"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    assert isinstance(body["errors"], dict)
    return body


def bearer(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.OWNER)
    return client


@pytest.fixture
def admin(tenant: Tenant, member_of: Any) -> User:
    user: User = member_of(tenant, Role.ADMIN)
    return user


# --- Errors --------------------------------------------------------------------------------------


def test_all_problems_of_a_request_come_at_once_under_its_own_names(api: APIClient) -> None:
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
def test_a_body_that_is_no_object_is_refused(api: APIClient, body: Any) -> None:
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
def test_only_json_is_taken(api: APIClient, kind: str) -> None:
    answer = api.post(SCMS, json.dumps(SCM).encode(), content_type=kind)
    problem(answer, 415, "unsupported_media_type")
    assert not ScmIntegration.objects.exists()


def test_a_form_is_not_taken(api: APIClient) -> None:
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


def test_an_answer_in_another_form_is_not_to_be_had(api: APIClient) -> None:
    problem(api.get(SCMS, headers={"accept": "application/xml"}), 406, "not_acceptable")


# --- Who asks ------------------------------------------------------------------------------------


def test_strangers_are_asked_who_they_are() -> None:
    answer = APIClient().get(SCMS)
    problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer dlv_",
        "Bearer dlv_abcdefgh_" + "x" * 43,
        "Bearer dlv_\x00_x",
        "Bearer dlv_é_x",
        "Bearer " + "x" * 10_000,
        "Basic ZGVsaXZyOng=",
        "dlv_abcdefgh_x",
        "",
    ],
)
def test_what_is_no_token_lets_nobody_in(header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    problem(client.get(SCMS), 401, "not_authenticated")


@pytest.fixture
def token(tenant: Tenant, admin: User) -> tuple[ApiToken, str]:
    return create_token(tenant=tenant, user=admin, role=Role.ADMIN)


def test_a_token_works_and_notes_its_use(token: tuple[ApiToken, str]) -> None:
    assert bearer(token[1]).get(SCMS).status_code == 200
    assert ApiToken.objects.get().last_used_at > timezone.now() - timedelta(minutes=1)


def test_a_tokens_text_is_not_stored(token: tuple[ApiToken, str]) -> None:
    row = ApiToken.objects.filter(pk=token[0].pk).values().get()
    assert token[1].split("_")[-1] not in str(row)


def test_a_token_with_a_changed_character_is_none(token: tuple[ApiToken, str]) -> None:
    text = token[1]
    swapped = text[:-1] + ("A" if text[-1] != "A" else "B")
    problem(bearer(swapped).get(SCMS), 401, "not_authenticated")
    problem(bearer(text + "x").get(SCMS), 401, "not_authenticated")
    problem(bearer(text.removeprefix("dlv_")).get(SCMS), 401, "not_authenticated")


def expire(token: ApiToken) -> None:
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


ENDINGS = {
    "expired": expire,
    "revoked": lambda token: revoke_token(token=token, actor=None),
    "membership gone": lambda token: Membership.objects.filter(user=token.user).delete(),
    "user inactive": lambda token: User.objects.filter(pk=token.user_id).update(is_active=False),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_token_ends(token: tuple[ApiToken, str], ending: str) -> None:
    assert bearer(token[1]).get(SCMS).status_code == 200
    ENDINGS[ending](token[0])
    problem(bearer(token[1]).get(SCMS), 401, "not_authenticated")


def test_a_tokens_role_falls_with_its_membership(token: tuple[ApiToken, str], admin: User) -> None:
    Membership.objects.filter(user=admin).update(role=Role.VIEWER)
    assert bearer(token[1]).get(SCMS).status_code == 200
    problem(bearer(token[1]).post(SCMS, SCM), 403, "forbidden")
    assert not ScmIntegration.objects.exists()


def test_a_tokens_role_does_not_rise_with_its_membership(tenant: Tenant, admin: User) -> None:
    _token, text = create_token(tenant=tenant, user=admin, role=Role.VIEWER)
    problem(bearer(text).post(SCMS, SCM), 403, "forbidden")


def test_a_token_acts_in_its_own_workspace(token: tuple[ApiToken, str], admin: User) -> None:
    other = factories.MembershipFactory(user=admin, role=Role.OWNER).tenant
    made = bearer(token[1]).post(SCMS, SCM).json()
    assert made["tenantId"] == token[0].tenant_id != other.pk


@pytest.mark.parametrize("key", ["tenantId", "tenant", "tenant_id"])
def test_the_workspace_is_never_taken_from_the_body(api: APIClient, key: str) -> None:
    other = factories.TenantFactory()
    problem(api.post(SCMS, {**SCM, key: other.pk}), 400, "invalid")


def test_a_session_needs_the_csrf_token(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get(SCMS).status_code == 200
    body = json.dumps(SCM)
    problem(client.post(SCMS, body, content_type="application/json"), 403, "forbidden")
    assert not ScmIntegration.objects.exists()
    client.cookies["csrftoken"] = "x" * 32
    answer = client.post(
        SCMS, body, content_type="application/json", headers={"x-csrftoken": "x" * 32}
    )
    assert answer.status_code == 201


def test_a_token_needs_no_csrf_token(token: tuple[ApiToken, str]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token[1]}")
    assert client.post(SCMS, SCM).status_code == 201


def test_a_user_without_a_workspace_may_do_nothing(db: None, client_for: Any) -> None:
    client = client_for(factories.UserFactory())
    problem(client.get(SCMS), 403, "forbidden")


# --- Lists ---------------------------------------------------------------------------------------


def test_a_list_comes_in_pages_newest_first_and_whole(api: APIClient, tenant: Tenant) -> None:
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
def test_a_cursor_from_nowhere_is_refused(api: APIClient, tenant: Tenant, cursor: str) -> None:
    factories.EffectFactory(tenant=tenant)
    found = problem(api.get(f"/api/v1/effects?cursor={cursor}"), 400, "invalid")
    assert set(found["errors"]) == {"cursor"}


@pytest.mark.parametrize("path", ["effects?state=x", "webhook-deliveries?state=x"])
def test_an_unknown_state_is_named(api: APIClient, path: str) -> None:
    found = problem(api.get(f"/api/v1/{path}"), 400, "invalid")
    assert set(found["errors"]) == {"state"}


# --- Repeats -------------------------------------------------------------------------------------


def keyed(api: APIClient, body: dict[str, Any], key: str = "k1", path: str = SCMS) -> Any:
    return api.post(path, body, headers={"idempotency-key": key})


def test_a_repeated_request_is_answered_by_the_first_answer(api: APIClient) -> None:
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
def test_a_key_that_cannot_be_kept_is_refused(api: APIClient, key: str) -> None:
    problem(keyed(api, SCM, key=key), 400, "invalid")
    assert not ScmIntegration.objects.exists()


def test_a_key_of_255_characters_is_taken(api: APIClient) -> None:
    assert keyed(api, SCM, key="x" * 255).status_code == 201


def test_a_stored_answer_lies_encrypted(api: APIClient) -> None:
    keyed(api, SCM)
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM tenants_idempotentrequest")
        assert b"scm_github" not in bytes(cursor.fetchone()[0])


def test_the_work_and_its_answer_are_kept_together_or_not_at_all(
    api: APIClient, settings: Any
) -> None:
    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith('UPDATE "tenants_idempotentrequest"'):
            raise ConnectionError("the machine stops here")
        return execute(sql, *args)

    with connection.execute_wrapper(fail), pytest.raises(ConnectionError):
        keyed(api, SCM)
    assert not ScmIntegration.objects.exists()


# --- Its own description -------------------------------------------------------------------------


def test_the_openapi_document_is_clean(capsys: Any) -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "/api/v1/releases/{release_id}/builds" in capsys.readouterr().out


def test_the_openapi_document_and_its_page_are_open_to_read() -> None:
    document = Client().get("/api/v1/schema")
    assert document.status_code == 200
    assert b"openapi: 3" in document.content
    page = Client().get("/api/v1/docs")
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")


def test_no_secret_can_be_read_by_the_description() -> None:
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
    *(f"integrations/{f}" for f in ("scm", "targets", "pipelines", "communication", "tickets")),
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
        api.get(f"/api/v1/{path}")  # the token notes its use once a minute
        with CaptureQueriesContext(connection) as queries:
            assert api.get(f"/api/v1/{path}").json()["results"]
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6
