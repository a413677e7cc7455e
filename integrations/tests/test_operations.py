"""Connecting and disconnecting, and their audit rows."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError

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
from integrations.providers.templates import check_templates
from integrations.tests.values import GITHUB, JIRA, SLACK, complaints, jenkins_values
from integrations.verification import verify
from releases.models import Release, ReleaseStatus
from sandbox import accounts

pytestmark = pytest.mark.django_db


# --- Connect -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "kind", "values", "prefix"),
    [
        (ScmIntegration, "GITHUB", GITHUB, "scm_github_"),
        (CommunicationIntegration, "SLACK", SLACK, "comm_slack_"),
        (TicketIntegration, "JIRA", JIRA, "ticket_jira_"),
    ],
)
def test_a_connection_is_stored_with_a_pending_verification(
    tenant: Any, owner: Any, model: Any, kind: str, values: dict[str, Any], prefix: str
) -> None:
    made = fresh(connect(model, tenant=tenant, actor=owner, kind=kind, values=values))
    assert made.pk.startswith(prefix)
    assert (made.tenant, made.kind) == (tenant, kind)
    assert made.verification_status == Verification.PENDING
    for name, value in values.items():
        stored = made.value_of(name)
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
    wanted = {
        f.name
        for f in operations.fields_of((model.family, kind))
        if f.required and not f.along_with
    }
    if model is PipelineIntegration:
        wanted |= {"scm", "target"}
    with pytest.raises(ValidationError) as error:
        connect(model, tenant=tenant, actor=None, kind=kind, values={})
    assert complaints(error) == {name: ["Fill this in."] for name in wanted}
    assert not model.objects.exists()


def test_all_errors_are_reported_at_once(tenant: Any) -> None:
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
def test_blank_values_are_empty(tenant: Any, name: str, blank: str) -> None:
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ release.tag }}", "NOTES: delivr does not know {{ release.tag }}."),
        ("{{}}", "NOTES: delivr does not know {{  }}."),
        ("{{ build.id }", "NOTES: “{{” is not closed by “}}”."),
    ],
)
def test_a_template_that_is_not_known_is_refused(tenant: Any, text: str, words: str) -> None:
    values = jenkins_values(tenant, parameters={"NOTES": text, "OK": "{{release.version}}"})
    with pytest.raises(ValidationError) as error:
        connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
    [said] = complaints(error)["parameters"]
    assert said.startswith(words)
    assert said.endswith("{{ build.id }}, {{ platform }}.")


def test_braces_without_end_are_read_in_no_time() -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="not closed"):
        check_templates({"NOTES": "{{" * 20_000})
    assert time.process_time() - began < 0.5


def test_a_parameter_may_have_several_lines_but_no_control_characters(tenant: Any) -> None:
    def connected(text: str) -> Any:
        values = jenkins_values(tenant, parameters={"NOTES": text})
        return connect(
            PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values
        )

    assert connected("first\r\nsecond\tx").parameters == {"NOTES": "first\nsecond\tx"}
    for bad in ("a\x00b", "a\rb", "a\x1bb", "a\x7fb"):
        with pytest.raises(ValidationError) as error:
            connected(bad)
        assert "Control characters" in complaints(error)["parameters"][0]


@pytest.mark.parametrize("field", ["scm", "target"])
def test_a_reference_to_another_tenant_is_unknown(tenant: Any, field: str) -> None:
    factory = {"scm": factories.ScmFactory, "target": factories.AppStoreFactory}[field]
    theirs = factory().pk
    said = []
    for wanted in (theirs, theirs[:-4] + "none", "x", 7):
        values = jenkins_values(tenant, **{field: wanted})
        with pytest.raises(ValidationError) as error:
            connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
        said.append(complaints(error))
    assert all(words == {field: ["This connection does not exist."]} for words in said)


@pytest.mark.parametrize("field", ["scm", "target"])
def test_a_reference_to_another_tenant_is_refused_on_edit_too(tenant: Any, field: str) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    theirs = {"scm": factories.ScmFactory, "target": factories.AppStoreFactory}[field]()
    with pytest.raises(ValidationError) as error:
        edit(pipeline, actor=None, values={field: theirs.pk})
    assert complaints(error) == {field: ["This connection does not exist."]}
    assert getattr(fresh(pipeline), field) == getattr(pipeline, field)


def test_a_reference_to_a_disconnected_connection_is_unknown(tenant: Any) -> None:
    values = jenkins_values(tenant)
    disconnect(TargetIntegration.objects.get(pk=values["target"]), actor=None)
    with pytest.raises(ValidationError) as error:
        connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
    assert complaints(error) == {"target": ["This connection does not exist."]}


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


# --- Disconnect ----------------------------------------------------------------------------------


def test_disconnecting_deletes_every_secret(tenant: Any, owner: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    operations.rotate_webhook_secret(pipeline, actor=None)
    disconnect(pipeline, actor=owner)
    row = fresh(pipeline)
    assert (row.api_token, row.webhook_secret, row.previous_webhook_secret) == (None,) * 3
    assert not PipelineIntegration.objects.for_tenant(tenant).exists()
    assert AuditEvent.objects.get(action="integration.disconnected").actor_id == owner.pk


@pytest.mark.parametrize("part", ["scm", "target"])
def test_a_connection_used_by_a_pipeline_is_not_disconnected(tenant: Any, part: str) -> None:
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
def test_a_connection_used_by_unfinished_releases_is_not_disconnected_and_they_are_named(
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


def test_a_refused_change_changes_and_records_nothing(tenant: Any, owner: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    with pytest.raises(ValidationError):
        edit(scm, actor=owner, values={"repository_url": "nonsense", "display_name": "x"})
    assert not AuditEvent.objects.exists()
    assert fresh(scm).display_name == ""
    assert not Effect.objects.exists()
