"""Editing: what is kept, and what requires a secret or a verification again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations import operations
from integrations.models import PipelineIntegration
from integrations.operations import edit
from integrations.providers.registry import PROVIDERS, fields_of, provider_class
from integrations.providers.tests.keys import pem, rsa_key
from integrations.tests.values import complaints

pytestmark = pytest.mark.django_db


# --- Edit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_secret_keeps_the_stored_one(tenant: Any, value: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant, access_token="kept")
    edit(scm, actor=None, values={"access_token": value, "display_name": "App"})
    assert fresh(scm).access_token.reveal() == "kept"
    assert fresh(scm).display_name == "App"


@pytest.mark.parametrize("value", ["", None])
def test_an_optional_secret_that_is_emptied_is_removed(tenant: Any, value: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    pipeline = factories.PipelineFactory(
        tenant=tenant, scm=scm, pipeline_type="GITHUB_ACTIONS", api_token="ghp_own", job="ios.yml"
    )
    edit(pipeline, actor=None, values={"display_name": "App"})
    assert fresh(pipeline).api_token.reveal() == "ghp_own"
    edit(pipeline, actor=None, values={"access_token": value})
    row = fresh(pipeline)
    assert not row.api_token
    assert (row.verification_status, row.credential_changed_at) == ("PENDING", None)
    event = AuditEvent.objects.filter(subject_id=pipeline.pk).latest("at")
    assert (event.action, event.changes) == ("integration.edited", {"access_token": "removed"})


def test_fields_that_are_not_sent_are_kept(tenant: Any) -> None:
    jira = factories.JiraFactory(tenant=tenant)
    edit(jira, actor=None, values={"jira_project_key": "OTHER"})
    row = fresh(jira)
    assert (row.server_url, row.username) == (jira.server_url, jira.username)
    assert row.api_token.reveal() == "factory jira token"
    assert row.project == "OTHER"


def test_a_required_field_cannot_be_emptied(tenant: Any) -> None:
    jira = factories.JiraFactory(tenant=tenant)
    with pytest.raises(ValidationError) as error:
        edit(jira, actor=None, values={"jira_project_key": "", "jira_url": None})
    assert complaints(error) == {
        "jira_project_key": ["Fill this in."],
        "jira_url": ["Fill this in."],
    }


def test_own_parameters_can_be_emptied(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant, parameters={"TRACK": "x"})
    edit(pipeline, actor=None, values={"parameters": {}})
    assert fresh(pipeline).parameters == {}


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"display_name": "another name"}, "VALID"),
        ({"jira_project_key": "MOBILE"}, "VALID"),  # as it was
        ({"jira_project_key": "OTHER"}, "PENDING"),
        ({"jira_api_token": "new-token"}, "PENDING"),
    ],
)
def test_only_a_real_change_requires_a_new_verification(
    tenant: Any, values: dict[str, Any], status: str
) -> None:
    jira = factories.JiraFactory(tenant=tenant)
    edit(jira, actor=None, values=values)
    assert fresh(jira).verification_status == status


ADDRESSES = [
    ("http://127.0.0.1:1/other/path", False),
    ("HTTP://127.0.0.1:1", False),
    ("http://localhost:1/jenkins", True),  # another name, whoever it belongs to
    ("http://127.0.0.1:8080/jenkins", True),
    ("https://127.0.0.1:1/jenkins", True),
    ("https://jenkins.example.com", True),
]


@pytest.mark.parametrize(("address", "asks"), ADDRESSES)
def test_a_new_address_requires_the_secret_again(tenant: Any, address: str, asks: bool) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    values = {"jenkins_url": address, "jenkins_api_token": ""}
    if not asks:
        edit(pipeline, actor=None, values=values)
        assert fresh(pipeline).api_token.reveal() == "factory jenkins token"
        return
    with pytest.raises(ValidationError) as error:
        edit(pipeline, actor=None, values=values)
    assert complaints(error) == {"jenkins_api_token": ["The address changed: enter this again."]}
    assert fresh(pipeline).server_url == pipeline.server_url


@pytest.mark.parametrize(
    ("repository", "asks"),
    [
        ("https://github.com/dream11/other", False),
        ("git@github.com:dream11/other.git", False),
        ("https://code.example.com/dream11/app", True),
        ("code.example.com/dream11/app", True),
    ],
)
def test_another_github_server_requires_the_token_again(
    tenant: Any, repository: str, asks: bool
) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    if not asks:
        edit(scm, actor=None, values={"repository_url": repository})
        return
    with pytest.raises(ValidationError) as error:
        edit(scm, actor=None, values={"repository_url": repository})
    assert complaints(error) == {"access_token": ["The address changed: enter this again."]}
    assert fresh(scm).repository_url == scm.repository_url


def test_a_secret_that_is_dropped_is_not_asked_for_again(tenant: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant, access_token="of github.com")
    app = {"github_app_id": "7", "github_private_key": pem(rsa_key())}
    edit(scm, actor=None, values={"repository_url": "https://ghe.example.com/a/app", **app})
    assert (bool(fresh(scm).access_token), bool(fresh(scm).private_key)) == (False, True)


def test_a_new_jira_site_requires_the_token_again(tenant: Any) -> None:
    tickets = factories.JiraFactory(tenant=tenant)
    with pytest.raises(ValidationError) as error:
        edit(tickets, actor=None, values={"jira_url": "https://thief.atlassian.net"})
    assert complaints(error) == {"jira_api_token": ["The address changed: enter this again."]}


def test_every_field_that_names_a_server_guards_the_secrets() -> None:
    """The addresses of all other providers are set by the operator, not by tenants, or are secret
    themselves. A status
    address is sent secrets only if it is on the server of the trigger address."""
    for key in PROVIDERS:
        named = {f.name for f in fields_of(key) if f.name.endswith("_url") and not f.secret}
        addresses = named - {"status_url"}
        guarded = provider_class(key).address_field
        assert addresses == ({guarded} if guarded else set()), key


def test_a_new_address_with_its_secret_is_stored(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    values = {"jenkins_url": "https://jenkins.example.com", "jenkins_api_token": "theirs"}
    edit(pipeline, actor=None, values=values)
    assert fresh(pipeline).api_token.reveal() == "theirs"


def test_a_picker_sends_no_stored_secret_to_a_new_address(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    with pytest.raises(ValidationError) as error:
        operations.draft(
            PipelineIntegration,
            tenant=tenant,
            kind="JENKINS",
            values={"jenkins_url": "https://thief.example.com"},
            stored=pipeline,
        )
    assert complaints(error) == {"jenkins_api_token": ["The address changed: enter this again."]}


def test_the_webhook_secret_survives_an_edit(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    before = pipeline.webhook_secret.reveal()
    edit(pipeline, actor=None, values={"jenkins_job_path": "mobile/ios"})
    assert fresh(pipeline).webhook_secret.reveal() == before
    assert fresh(pipeline).job == "/job/mobile/job/ios"


# --- The webhook secret --------------------------------------------------------------------------


def test_after_a_rotation_the_old_webhook_secret_works_for_a_day(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    old = pipeline.webhook_secret.reveal()
    operations.rotate_webhook_secret(pipeline, actor=None)
    row = fresh(pipeline)
    assert row.webhook_secret.reveal() != old
    assert row.previous_webhook_secret.reveal() == old
    left = row.previous_webhook_secret_until - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert row.verification_status == "VALID"
