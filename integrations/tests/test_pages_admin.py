"""The operator's pages: to look and to verify, never a secret, never a change."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from delivr.tenants.models import User
from delivr.tests import factories as make
from integrations.models import FAMILIES, Connection, ScmIntegration

FACTORIES = {
    "scm": (make.ScmFactory, {"access_token": "canary"}),
    "targets": (make.AppStoreFactory, {"apple_api_key": "canary"}),
    "pipelines": (
        make.PipelineFactory,
        {"jenkins_api_token": "canary", "webhook_secret": "canary"},
    ),
    "communication": (make.SlackFactory, {"slack_bot_token": "canary"}),
    "tickets": (make.JiraFactory, {"jira_api_token": "canary"}),
}


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    user = make.UserFactory(is_staff=True, is_superuser=True)
    make.give_second_factor(user)
    return make.sign_in(client, user)


def admin(connection: Connection, act: str = "change") -> str:
    name = f"admin:integrations_{type(connection).__name__.lower()}_{act}"
    return reverse(name, args=[] if act in ("changelist", "add") else [connection.pk])


@pytest.mark.parametrize("family", FAMILIES)
def test_connections_are_listed_and_shown_without_secrets(operator: Client, family: str) -> None:
    factory, secrets = FACTORIES[family]
    connection = factory(**secrets)
    for act in ("changelist", "change"):
        answer = operator.get(admin(connection, act))
        assert answer.status_code == 200
        html = answer.content.decode()
        assert connection.pk in html
        assert "canary" not in html


def test_connections_are_found_by_name_id_and_workspace(operator: Client) -> None:
    scm = make.ScmFactory(display_name="The app")
    for words in ("The app", scm.pk, scm.tenant.name):
        assert scm.pk in operator.get(admin(scm, "changelist"), {"q": words}).content.decode()
    other = operator.get(admin(scm, "changelist"), {"q": "another"}).content.decode()
    assert scm.pk not in other


def test_nothing_is_added_changed_or_deleted_here(operator: Client) -> None:
    scm = make.ScmFactory()
    answers = [
        operator.get(admin(scm, "add")),
        operator.post(admin(scm, "change"), {"repository_url": "https://github.com/x/y"}),
        operator.post(admin(scm, "delete"), {"post": "yes"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert ScmIntegration.objects.get().repository_url == "https://github.com/dream11/app"


def test_verifying_again_asks_the_provider(operator: Client, sandbox: Any) -> None:
    scm = make.ScmFactory(access_token="ghp_revoked")
    data = {"action": "verify_again", "_selected_action": [scm.pk]}
    answer = operator.post(admin(scm, "changelist"), data, follow=True)
    assert "Needs attention" in answer.content.decode()
    scm.refresh_from_db()
    assert scm.verification_status == "INVALID"


def test_users_who_are_no_staff_do_not_get_in(client: Client, owner: User) -> None:
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = client.get(reverse("admin:integrations_scmintegration_changelist"))
    assert answer.status_code == 302
