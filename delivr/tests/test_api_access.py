"""Authentication: tokens, sessions, and the workspace that they give access to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from delivr.tenants.models import ApiToken, Membership, Role, Tenant, User
from delivr.tenants.operations import create_token, revoke_token
from delivr.tests import factories
from delivr.tests.api_calls import SCM, SCMS, bearer, problem
from integrations.models import ScmIntegration

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.OWNER)
    return client


@pytest.fixture
def admin(tenant: Tenant, member_of: Any) -> User:
    user: User = member_of(tenant, Role.ADMIN)
    return user


def test_anonymous_requests_get_401() -> None:
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
def test_an_invalid_token_gives_no_access(header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    problem(client.get(SCMS), 401, "not_authenticated")


@pytest.fixture
def token(tenant: Tenant, admin: User) -> tuple[ApiToken, str]:
    return create_token(tenant=tenant, user=admin, role=Role.ADMIN)


def test_a_token_works_and_records_its_use(token: tuple[ApiToken, str]) -> None:
    assert bearer(token[1]).get(SCMS).status_code == 200
    assert ApiToken.objects.get().last_used_at > timezone.now() - timedelta(minutes=1)


def test_a_tokens_text_is_not_stored(token: tuple[ApiToken, str]) -> None:
    row = ApiToken.objects.filter(pk=token[0].pk).values().get()
    secret = token[1].split("_", 2)[-1]  # which may have another one in it
    assert len(secret) > 20
    assert secret not in str(row)


def test_a_token_with_a_changed_character_is_invalid(token: tuple[ApiToken, str]) -> None:
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
