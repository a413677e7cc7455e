"""The operator's pages: read and verify, without secrets and without changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from delivr.tenants.models import User
from delivr.tests import factories as make
from delivr.tests.admin_pages import detail, listing
from integrations.models import FAMILIES, ScmIntegration

FACTORIES = {
    "scm": (make.ScmFactory, {"access_token": "canary"}),
    "targets": (make.AppStoreFactory, {"credentials": "canary"}),
    "pipelines": (
        make.PipelineFactory,
        {"api_token": "canary", "webhook_secret": "canary"},
    ),
    "communication": (make.SlackFactory, {"token": "canary"}),
    "tickets": (make.JiraFactory, {"api_token": "canary"}),
    "health": (make.SentryFactory, {"api_token": "canary"}),
}


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    user = make.UserFactory(is_staff=True, is_superuser=True)
    make.give_second_factor(user)
    return make.sign_in(client, user)


@pytest.mark.parametrize("family", FAMILIES)
def test_connections_are_listed_and_shown_without_secrets(operator: Client, family: str) -> None:
    factory, secrets = FACTORIES[family]
    connection = factory(**secrets)
    for address in (listing(type(connection)), detail(connection)):
        answer = operator.get(address)
        assert answer.status_code == 200
        html = answer.content.decode()
        assert connection.pk in html
        assert "canary" not in html


def test_connections_are_found_by_name_id_and_workspace(operator: Client) -> None:
    scm = make.ScmFactory(display_name="The app")
    for words in ("The app", scm.pk, scm.tenant.name):
        assert scm.pk in operator.get(listing(ScmIntegration), {"q": words}).content.decode()
    other = operator.get(listing(ScmIntegration), {"q": "another"}).content.decode()
    assert scm.pk not in other


def test_the_admin_cannot_add_change_or_delete(operator: Client) -> None:
    scm = make.ScmFactory()
    answers = [
        operator.get(listing(ScmIntegration, "add")),
        operator.post(detail(scm), {"repository_url": "https://github.com/x/y"}),
        operator.post(detail(scm, "delete"), {"post": "yes"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert ScmIntegration.objects.get().repository_url == "https://github.com/dream11/app"


def test_verifying_again_asks_the_provider(operator: Client, sandbox: Any) -> None:
    scm = make.ScmFactory(access_token="ghp_revoked")
    data = {"action": "verify_again", "_selected_action": [scm.pk]}
    answer = operator.post(listing(ScmIntegration), data, follow=True)
    assert "Needs attention" in answer.content.decode()
    scm.refresh_from_db()
    assert scm.verification_status == "INVALID"


def test_users_who_are_not_staff_have_no_access(client: Client, owner: User) -> None:
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = client.get(listing(ScmIntegration))
    assert answer.status_code == 302
