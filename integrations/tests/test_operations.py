"""Connect, edit and disconnect: what is refused, what is kept, what follows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tests import factories
from delivr.tests.wired import fresh, wired_to
from integrations import operations
from integrations.choices import Verification
from integrations.models import (
    CommunicationIntegration,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
    TicketIntegration,
)
from integrations.operations import connect, disconnect, edit
from integrations.providers.registry import PROVIDERS, fields_of, provider_class
from integrations.verification import verify
from releases.models import Release, ReleaseStatus
from sandbox import accounts

pytestmark = pytest.mark.django_db

GITHUB = {"repository_url": "https://github.com/dream11/app", "access_token": "ghp_secret"}
SLACK = {"slack_bot_token": "xoxb-secret", "slack_channels": ["C123"]}
JIRA = {
    "jira_url": "http://127.0.0.1/jira",
    "jira_email": "delivr@example.com",
    "jira_api_token": "jira-secret",
    "jira_project_key": "MOBILE",
}
JENKINS = {
    "jenkins_url": "http://127.0.0.1:8080/jenkins",
    "jenkins_username": "delivr",
    "jenkins_api_token": "jenkins-secret",
    "jenkins_job_path": "/job/ios-prod",
}


def complaints(error: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = error.value.message_dict
    return found


def jenkins_values(tenant: Any, **changes: Any) -> dict[str, Any]:
    target = factories.AppStoreFactory(tenant=tenant)
    scm = factories.ScmFactory(tenant=tenant)
    return {**JENKINS, "scm": scm.pk, "target": target.pk, **changes}


# --- Connect -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "kind", "values", "prefix"),
    [
        (ScmIntegration, "GITHUB", GITHUB, "scm_github_"),
        (CommunicationIntegration, "SLACK", SLACK, "comm_slack_"),
        (TicketIntegration, "JIRA", JIRA, "ticket_jira_"),
    ],
)
def test_a_connection_is_stored_and_waits_for_its_verification(
    tenant: Any, owner: Any, model: Any, kind: str, values: dict[str, Any], prefix: str
) -> None:
    made = fresh(connect(model, tenant=tenant, actor=owner, kind=kind, values=values))
    assert made.pk.startswith(prefix)
    assert (made.tenant, made.kind) == (tenant, kind)
    assert made.verification_status == Verification.PENDING
    for name, value in values.items():
        stored = getattr(made, name)
        assert (stored.reveal() if hasattr(stored, "reveal") else stored) == value


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (ScmIntegration, "GITHUB"),
        (TargetIntegration, "APP_STORE"),
        (TargetIntegration, "PLAY_STORE"),
        (CommunicationIntegration, "SLACK"),
        (TicketIntegration, "JIRA"),
        (PipelineIntegration, "JENKINS"),
    ],
)
def test_every_missing_field_is_named_at_once(tenant: Any, model: Any, kind: str) -> None:
    wanted = {f.name for f in operations.fields_of(kind) if f.required}
    if model is PipelineIntegration:
        wanted |= {"scm", "target"}
    with pytest.raises(ValidationError) as error:
        connect(model, tenant=tenant, actor=None, kind=kind, values={})
    assert complaints(error) == {name: ["Fill this in."] for name in wanted}
    assert not model.objects.exists()


def test_all_complaints_come_at_once(tenant: Any) -> None:
    values = {
        **jenkins_values(tenant),
        "jenkins_url": "ftp://x",
        "jenkins_username": "a\nb",
        "jenkins_job_path": "/job/../x",
        "parameters": {"VERSION": "1"},
        "target": "target_appstore_unknown",
    }
    known = {"jenkins_api_token": ["A shape that is wrong."]}
    with pytest.raises(ValidationError) as error:
        connect(
            PipelineIntegration,
            tenant=tenant,
            actor=None,
            kind="JENKINS",
            values=values,
            known_errors=known,
        )
    assert set(complaints(error)) == {
        "jenkins_url",
        "jenkins_username",
        "jenkins_job_path",
        "parameters",
        "target",
        "jenkins_api_token",
    }
    assert complaints(error)["jenkins_api_token"] == ["A shape that is wrong."]
    assert not PipelineIntegration.objects.exists()


@pytest.mark.parametrize("name", ["jenkins_username", "jenkins_api_token", "jenkins_job_path"])
@pytest.mark.parametrize("blank", [" ", "\t \n"])
def test_blanks_are_nothing(tenant: Any, name: str, blank: str) -> None:
    with pytest.raises(ValidationError) as error:
        connect(
            PipelineIntegration,
            tenant=tenant,
            actor=None,
            kind="JENKINS",
            values=jenkins_values(tenant, **{name: blank}),
        )
    assert complaints(error) == {name: ["Fill this in."]}


@pytest.mark.parametrize("name", ["VERSION", "BRANCH", "DELIVR_BUILD_ID"])
def test_a_pipelines_own_parameters_may_not_name_ours(tenant: Any, name: str) -> None:
    values = jenkins_values(tenant, parameters={name: "x", "TRACK": "internal"})
    with pytest.raises(ValidationError) as error:
        connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
    assert name in complaints(error)["parameters"][0]


@pytest.mark.parametrize("field", ["scm", "target"])
def test_another_tenants_part_is_as_unknown_as_none(tenant: Any, field: str) -> None:
    factory = {"scm": factories.ScmFactory, "target": factories.AppStoreFactory}[field]
    theirs = factory().pk
    said = []
    for wanted in (theirs, theirs[:-4] + "none", "x", 7):
        values = jenkins_values(tenant, **{field: wanted})
        with pytest.raises(ValidationError) as error:
            connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
        said.append(complaints(error))
    assert all(words == {field: ["There is no such connection."]} for words in said)


@pytest.mark.parametrize("field", ["scm", "target"])
def test_another_tenants_part_is_refused_on_edit_too(tenant: Any, field: str) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    theirs = {"scm": factories.ScmFactory, "target": factories.AppStoreFactory}[field]()
    with pytest.raises(ValidationError) as error:
        edit(pipeline, actor=None, values={field: theirs.pk})
    assert complaints(error) == {field: ["There is no such connection."]}
    assert getattr(fresh(pipeline), field) == getattr(pipeline, field)


def test_a_disconnected_part_is_unknown(tenant: Any) -> None:
    values = jenkins_values(tenant)
    disconnect(TargetIntegration.objects.get(pk=values["target"]), actor=None)
    with pytest.raises(ValidationError) as error:
        connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
    assert complaints(error) == {"target": ["There is no such connection."]}


def test_each_pipeline_gets_a_webhook_secret_of_its_own(tenant: Any) -> None:
    made = [
        connect(
            PipelineIntegration,
            tenant=tenant,
            actor=None,
            kind="JENKINS",
            values=jenkins_values(tenant),
        )
        for _n in range(2)
    ]
    secrets = {fresh(p).webhook_secret.reveal() for p in made}
    assert len(secrets) == 2
    assert all(s.startswith("whsec_") for s in secrets)


# --- Edit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_secret_keeps_the_stored_one(tenant: Any, value: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant, access_token="kept")
    edit(scm, actor=None, values={"access_token": value, "display_name": "App"})
    assert fresh(scm).access_token.reveal() == "kept"
    assert fresh(scm).display_name == "App"


def test_what_is_not_named_is_kept(tenant: Any) -> None:
    jira = factories.JiraFactory(tenant=tenant)
    edit(jira, actor=None, values={"jira_project_key": "OTHER"})
    row = fresh(jira)
    assert (row.jira_url, row.jira_email) == (jira.jira_url, jira.jira_email)
    assert row.jira_api_token.reveal() == "factory jira token"
    assert row.jira_project_key == "OTHER"


def test_a_required_field_cannot_be_emptied(tenant: Any) -> None:
    jira = factories.JiraFactory(tenant=tenant)
    with pytest.raises(ValidationError) as error:
        edit(jira, actor=None, values={"jira_project_key": "", "jira_email": None})
    assert complaints(error) == {
        "jira_project_key": ["Fill this in."],
        "jira_email": ["Fill this in."],
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
def test_only_a_real_change_asks_for_a_new_verification(
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
def test_a_new_address_asks_for_the_secret_again(tenant: Any, address: str, asks: bool) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    values = {"jenkins_url": address, "jenkins_api_token": ""}
    if not asks:
        edit(pipeline, actor=None, values=values)
        assert fresh(pipeline).jenkins_api_token.reveal() == "factory jenkins token"
        return
    with pytest.raises(ValidationError) as error:
        edit(pipeline, actor=None, values=values)
    assert complaints(error) == {"jenkins_api_token": ["The address changed: enter this again."]}
    assert fresh(pipeline).jenkins_url == pipeline.jenkins_url


@pytest.mark.parametrize(
    ("repository", "asks"),
    [
        ("https://github.com/dream11/other", False),
        ("git@github.com:dream11/other.git", False),
        ("https://code.example.com/dream11/app", True),
        ("code.example.com/dream11/app", True),
    ],
)
def test_another_github_asks_for_the_token_again(tenant: Any, repository: str, asks: bool) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    if not asks:
        edit(scm, actor=None, values={"repository_url": repository})
        return
    with pytest.raises(ValidationError) as error:
        edit(scm, actor=None, values={"repository_url": repository})
    assert complaints(error) == {"access_token": ["The address changed: enter this again."]}
    assert fresh(scm).repository_url == scm.repository_url


def test_a_new_jira_site_asks_for_the_token_again(tenant: Any) -> None:
    tickets = factories.JiraFactory(tenant=tenant)
    with pytest.raises(ValidationError) as error:
        edit(tickets, actor=None, values={"jira_url": "https://thief.atlassian.net"})
    assert complaints(error) == {"jira_api_token": ["The address changed: enter this again."]}


def test_every_field_that_names_a_server_guards_the_secrets() -> None:
    """The addresses of all other providers are the operator's: no tenant chooses them."""
    for kind in PROVIDERS:
        addresses = {f.name for f in fields_of(kind) if f.name.endswith("_url")}
        guarded = provider_class(kind).address_field
        assert addresses == ({guarded} if guarded else set()), kind


def test_a_new_address_with_its_secret_is_taken(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    values = {"jenkins_url": "https://jenkins.example.com", "jenkins_api_token": "theirs"}
    edit(pipeline, actor=None, values=values)
    assert fresh(pipeline).jenkins_api_token.reveal() == "theirs"


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
    assert fresh(pipeline).jenkins_job_path == "/job/mobile/job/ios"


# --- The webhook secret --------------------------------------------------------------------------


def test_a_rotated_webhook_secret_leaves_the_old_one_a_day(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    old = pipeline.webhook_secret.reveal()
    operations.rotate_webhook_secret(pipeline, actor=None)
    row = fresh(pipeline)
    assert row.webhook_secret.reveal() != old
    assert row.previous_webhook_secret.reveal() == old
    left = row.previous_webhook_secret_until - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert row.verification_status == "VALID"


# --- Disconnect ----------------------------------------------------------------------------------


def test_disconnecting_forgets_every_secret(tenant: Any, owner: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    operations.rotate_webhook_secret(pipeline, actor=None)
    disconnect(pipeline, actor=owner)
    row = fresh(pipeline)
    assert (row.jenkins_api_token, row.webhook_secret, row.previous_webhook_secret) == (None,) * 3
    assert not PipelineIntegration.objects.for_tenant(tenant).exists()
    assert AuditEvent.objects.get(action="integration.disconnected").actor_id == owner.pk


@pytest.mark.parametrize("part", ["scm", "target"])
def test_what_a_pipeline_uses_stays(tenant: Any, part: str) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant, display_name="iOS builds")
    with pytest.raises(ValidationError, match="the pipeline iOS builds"):
        disconnect(getattr(pipeline, part), actor=None)
    assert fresh(getattr(pipeline, part)).disconnected_at is None
    disconnect(pipeline, actor=None)
    disconnect(getattr(pipeline, part), actor=None)
    assert fresh(getattr(pipeline, part)).disconnected_at is not None


@pytest.mark.parametrize(
    ("status", "stays"),
    [
        ("KICKOFF_PENDING", True),
        ("BUILDING", True),
        ("BUILD_FAILED", True),
        ("BUILD_COMPLETE", False),
        ("CANCELLED", False),
    ],
)
def test_what_unfinished_releases_use_stays_and_they_are_named(
    tenant: Any, sandbox: Any, status: str, stays: bool
) -> None:
    assert status in ReleaseStatus.values
    wired = wired_to(tenant, sandbox)
    release = wired.release(slack=True, jira=True)
    Release.objects.filter(pk=release.pk).update(status=status)
    for row in (wired.slack, wired.jira, wired.pipelines["ios"], wired.pipelines["android"]):
        if stays:
            with pytest.raises(ValidationError, match=f"release {release.version}"):
                disconnect(row, actor=None)
        else:
            disconnect(row, actor=None)
        assert bool(fresh(row).disconnected_at) is not stays


# --- Audit ---------------------------------------------------------------------------------------


def test_every_change_leaves_one_audit_row_and_no_secret(
    tenant: Any, owner: Any, sandbox: Any
) -> None:
    values = jenkins_values(
        tenant,
        jenkins_url=f"{sandbox.url}/jenkins",
        jenkins_api_token=accounts.JENKINS_API_TOKEN,
    )
    pipeline = connect(
        PipelineIntegration, tenant=tenant, actor=owner, kind="JENKINS", values=values
    )
    secrets = [accounts.JENKINS_API_TOKEN, pipeline.webhook_secret.reveal(), "changed-token"]
    verify(fresh(pipeline), actor=owner)
    edit(
        fresh(pipeline),
        actor=owner,
        values={"jenkins_api_token": "changed-token", "jenkins_job_path": "/job/android-prod"},
    )
    secrets.append(operations.rotate_webhook_secret(pipeline, actor=owner).webhook_secret.reveal())
    disconnect(fresh(pipeline), actor=owner)
    events = AuditEvent.objects.filter(subject_id=pipeline.pk).order_by("id")
    assert [e.action for e in events] == [
        "integration.connected",
        "integration.verified",
        "credential.rotated",
        "webhook_secret.rotated",
        "integration.disconnected",
    ]
    assert {e.actor_id for e in events} == {owner.pk}
    edited = events[2].changes
    assert edited["jenkins_api_token"] == "changed"
    assert edited["jenkins_job_path"] == ["/job/ios-prod", "/job/android-prod"]
    dump = json.dumps([[e.changes, e.subject_label, e.actor_label] for e in events])
    assert not [secret for secret in secrets if secret in dump]


def test_a_refused_change_leaves_no_trace(tenant: Any, owner: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    with pytest.raises(ValidationError):
        edit(scm, actor=owner, values={"repository_url": "nonsense", "display_name": "x"})
    assert not AuditEvent.objects.exists()
    assert fresh(scm).display_name == ""
    assert not Effect.objects.exists()
