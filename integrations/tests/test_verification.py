"""The results of verifications, which states they change, and which effects they resume."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.effects.health import is_refused
from delivr.effects.models import Effect, IntegrationHealth
from delivr.failures import Outcome, ProviderError
from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.wired import fresh, wired_to
from integrations import verification
from integrations.choices import Verification
from integrations.models import FAMILIES, PipelineIntegration
from integrations.operations import disconnect, edit
from integrations.verification import verify
from sandbox import accounts

pytestmark = pytest.mark.django_db


def jenkins(tenant: Any, sandbox: Any, **changes: Any) -> PipelineIntegration:
    """A pipeline of the sandbox, with the given changes."""
    pipeline = wired_to(tenant, sandbox).pipelines["ios"]
    PipelineIntegration.objects.filter(pk=pipeline.pk).update(**changes)
    found: PipelineIntegration = fresh(pipeline)
    return found


def test_a_good_connection_becomes_valid_with_every_check(tenant: Any, sandbox: Any) -> None:
    pipeline = jenkins(tenant, sandbox, verification_status="PENDING", last_verified_at=None)
    verified = verify(pipeline)
    assert verified.verification_status == Verification.VALID
    assert verified.verification_error == ""
    assert [c["ok"] for c in verified.checks] == [True] * len(verified.checks)
    assert len(verified.checks) >= 5
    assert verified.last_verified_at > timezone.now() - timedelta(minutes=1)


def test_a_failed_check_is_stored_with_its_hint(tenant: Any, sandbox: Any) -> None:
    pipeline = jenkins(tenant, sandbox, job="/job/gone")
    verified = verify(pipeline)
    assert verified.verification_status == Verification.INVALID
    failed = [c for c in verified.checks if not c["ok"]]
    assert failed[0]["message"] == verified.verification_error
    assert set(failed[0]) >= {"name", "ok", "code", "message", "hint", "level"}
    assert failed[0]["hint"]


@pytest.mark.parametrize(
    ("job", "status", "level"),
    [
        ("/job/ios-misnamed", "INVALID", "ERROR"),  # parameters, but neither VERSION nor BRANCH
        ("/job/nightly", "VALID", "WARNING"),  # no parameters at all
        ("/job/ios-fresh", "VALID", "WARNING"),  # a pipeline that never ran looks the same
        ("/job/ios-no-build-id", "VALID", "WARNING"),
    ],
)
def test_the_result_depends_on_the_jobs_parameters(
    tenant: Any, sandbox: Any, job: str, status: str, level: str
) -> None:
    verified = verify(jenkins(tenant, sandbox, job=job))
    assert verified.verification_status == status
    assert level in {c["level"] for c in verified.checks if not c["ok"]}


PASSING = [
    {"kind": "drop_before"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "retry_after": 5},
    {"kind": "starting"},
    {"kind": "proxy", "status": 404},
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize(
    ("before", "after"),
    [("VALID", "VALID"), ("PENDING", "INVALID"), ("INVALID", "INVALID"), ("EXPIRED", "INVALID")],
)
def test_a_temporary_error_never_makes_a_verified_connection_invalid(
    tenant: Any, sandbox: Any, fault: dict[str, Any], before: str, after: str
) -> None:
    pipeline = jenkins(tenant, sandbox, verification_status=before)
    sandbox.state.faults.add(provider="jenkins", **fault)
    verified = verify(pipeline)
    assert verified.verification_status == after
    assert verified.verification_error
    soon = timezone.now() + timedelta(minutes=10)
    assert verified.verify_at < soon


def test_a_temporary_error_is_cleared_by_the_next_good_verification(
    tenant: Any, sandbox: Any
) -> None:
    pipeline = jenkins(tenant, sandbox)
    sandbox.state.faults.add(kind="drop_before", provider="jenkins")
    shaken = verify(pipeline)
    sandbox.state.faults.clear()
    repaired = verify(shaken)
    assert (repaired.verification_status, repaired.verification_error) == ("VALID", "")
    assert repaired.verify_at > timezone.now() + timedelta(hours=1)


def test_refused_credentials_make_a_verified_connection_invalid(tenant: Any, sandbox: Any) -> None:
    pipeline = jenkins(tenant, sandbox)
    pipeline.api_token = "wrong"
    pipeline.save()
    assert verify(pipeline).verification_status == Verification.INVALID


def test_an_edit_during_a_verification_drops_its_findings(tenant: Any, sandbox: Any) -> None:
    being_verified = jenkins(tenant, sandbox, verification_status="PENDING", checks=[])
    edit(fresh(being_verified), actor=None, values={"jenkins_job_path": "/job/gone"})
    verify(being_verified)  # it looked at the old job, and finds it good
    row = fresh(being_verified)
    assert (row.verification_status, row.checks) == ("PENDING", [])


def test_a_disconnection_during_a_verification_is_kept(tenant: Any, sandbox: Any) -> None:
    being_verified = jenkins(tenant, sandbox)
    disconnect(fresh(being_verified), actor=None)
    verify(being_verified)
    assert fresh(being_verified).disconnected_at is not None
    assert fresh(being_verified).verify_at is None


def test_a_good_verification_resumes_waiting_effects(tenant: Any, sandbox: Any) -> None:
    pipeline = jenkins(tenant, sandbox, verification_status="INVALID")
    later = timezone.now() + timedelta(hours=1)
    effect = factories.EffectFactory(tenant=tenant, integration_id=pipeline.pk, next_at=later)
    others = factories.EffectFactory(tenant=tenant, next_at=later)
    IntegrationHealth.objects.create(
        tenant=tenant, integration_id=pipeline.pk, failures=9, open_until=later
    )
    verify(pipeline)
    assert fresh(effect).next_at <= timezone.now()
    assert fresh(others).next_at == later
    assert IntegrationHealth.objects.get().open_until is None


def test_a_failed_verification_resumes_nothing(tenant: Any, sandbox: Any) -> None:
    pipeline = jenkins(tenant, sandbox, job="/job/gone")
    later = timezone.now() + timedelta(hours=1)
    effect = factories.EffectFactory(tenant=tenant, integration_id=pipeline.pk, next_at=later)
    verify(pipeline)
    assert fresh(effect).next_at == later


def test_due_verifications_are_claimed_once(tenant: Any) -> None:
    past = timezone.now() - timedelta(minutes=1)
    due = factories.ScmFactory(tenant=tenant, verify_at=past)
    factories.ScmFactory(tenant=tenant, verify_at=timezone.now() + timedelta(hours=1))
    factories.ScmFactory(tenant=tenant)
    assert verification.due_verifications() == [due.pk]
    assert verification.due_verifications() == []


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_verified_on_schedule(tenant: Any, sandbox: Any, family: str) -> None:
    wired = wired_to(tenant, sandbox)
    row = {
        "scm": wired.scm,
        "targets": wired.targets["ios"],
        "pipelines": wired.pipelines["ios"],
        "communication": wired.slack,
        "tickets": wired.jira,
        "health": factories.SentryFactory(tenant=wired.tenant),
    }[family]
    before = row.last_verified_at
    verification.verify_by_id(row.pk)
    assert fresh(row).last_verified_at > before


def test_a_scheduled_verification_makes_a_connection_invalid_only_the_second_time(
    tenant: Any, sandbox: Any
) -> None:
    """While Jenkins reloads, nobody sees the job."""
    pipeline, job = jenkins(tenant, sandbox), sandbox.state.jenkins.job("ios-prod")
    job.hidden = True
    verification.verify_by_id(pipeline.pk)
    row = fresh(pipeline)
    assert (row.verification_status, row.checks[-1]["ok"]) == ("VALID", False)
    assert "ios-prod" in row.verification_error
    assert row.verify_at < timezone.now() + timedelta(minutes=6)
    PipelineIntegration.objects.update(doubted_at=timezone.now() - verification.DOUBT)
    verification.verify_by_id(pipeline.pk)
    assert fresh(pipeline).verification_status == "INVALID"
    job.hidden = False
    verification.verify_by_id(pipeline.pk)
    row = fresh(pipeline)
    assert (row.verification_status, row.verification_error, row.doubted_at) == ("VALID", "", None)


@pytest.mark.parametrize(
    ("minutes", "pause"), [(12, 12), (60, 60), (60 * 24 * 9, 60 * 24)], ids=str
)
def test_an_invalid_connection_becomes_valid_by_itself_when_a_longer_failure_ends(
    tenant: Any, sandbox: Any, minutes: int, pause: int
) -> None:
    """For example Jenkins' user directory was down, and Jenkins refused everybody meanwhile."""
    pipeline, job = jenkins(tenant, sandbox), sandbox.state.jenkins.job("ios-prod")
    job.hidden = True
    verification.verify_by_id(pipeline.pk)
    for _look in range(2):
        began = timezone.now() - timedelta(minutes=minutes)
        PipelineIntegration.objects.update(doubted_at=began)
        verification.verify_by_id(pipeline.pk)
        row = fresh(pipeline)
        assert row.verification_status == "INVALID"
        wait = row.verify_at - timezone.now()
        assert wait == pytest.approx(timedelta(minutes=pause), abs=timedelta(seconds=5))
    job.hidden = False
    verification.verify_by_id(pipeline.pk)
    assert fresh(pipeline).is_valid


def test_a_connection_that_never_worked_is_not_verified_again_soon(
    tenant: Any, sandbox: Any
) -> None:
    row = verify(jenkins(tenant, sandbox, verification_status="PENDING", job="/job/x"))
    assert (row.verification_status, row.doubted_at) == ("INVALID", None)
    assert row.verify_at > timezone.now() + timedelta(hours=23)


def test_a_failure_that_has_ended_is_cleared(tenant: Any, sandbox: Any) -> None:
    pipeline, job = jenkins(tenant, sandbox), sandbox.state.jenkins.job("ios-prod")
    for hidden in (True, False, True):
        job.hidden = hidden
        PipelineIntegration.objects.exclude(doubted_at=None).update(
            doubted_at=timezone.now() - verification.DOUBT + timedelta(minutes=1)
        )
        verification.verify_by_id(pipeline.pk)
        assert fresh(pipeline).verification_status == "VALID"
    assert fresh(pipeline).doubted_at > timezone.now() - timedelta(minutes=1)


def test_what_is_disconnected_is_not_verified_any_more(tenant: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant, verify_at=timezone.now())
    disconnect(scm, actor=None)
    assert verification.due_verifications() == []
    verification.verify_by_id(scm.pk)
    assert fresh(scm).checks == []


REFUSED = ProviderError(
    "bad_credentials", "Jenkins refused the token.", "Make one.", outcome=Outcome.CREDENTIALS
)


def test_refused_credentials_are_shown_on_the_connection(tenant: Any) -> None:
    """They are verified again a minute later, since a restarting server refuses everybody."""
    pipeline = factories.PipelineFactory(tenant=tenant)
    verification.credentials_refused(tenant=tenant, integration_id=pipeline.pk, error=REFUSED)
    row = fresh(pipeline)
    assert (row.verification_status, row.verification_error) == ("VALID", REFUSED.message)
    assert row.checks[0]["hint"] == "Make one."
    assert row.verify_at < timezone.now() + timedelta(minutes=2)
    assert not Effect.objects.filter(kind="mail.refused").exists()
    event = AuditEvent.objects.get(action="integration.refused")
    assert (event.actor_id, event.subject_id) == (None, pipeline.pk)
    assert event.changes == {"verification_error": ["", REFUSED.message]}


def test_credentials_that_stay_refused_make_the_connection_invalid_and_owners_get_a_mail(
    tenant: Any, sandbox: Any, member_of: Any
) -> None:
    member_of(tenant, Role.OWNER)
    pipeline = jenkins(tenant, sandbox)
    pipeline.api_token = "wrong"
    pipeline.save()
    verification.credentials_refused(tenant=tenant, integration_id=pipeline.pk, error=REFUSED)
    verification.verify_by_id(pipeline.pk)
    assert fresh(pipeline).verification_status == "VALID"
    type(pipeline).objects.update(doubted_at=timezone.now() - verification.DOUBT)
    verification.verify_by_id(pipeline.pk)
    row = fresh(pipeline)
    assert row.verification_status == "INVALID"
    assert row.verify_at < timezone.now() + timedelta(minutes=6)
    assert Effect.objects.filter(kind="mail.refused").exists()


def test_a_temporary_refusal_leaves_the_connection_unchanged(tenant: Any, sandbox: Any) -> None:
    pipeline = jenkins(tenant, sandbox)
    verification.credentials_refused(tenant=tenant, integration_id=pipeline.pk, error=REFUSED)
    verification.verify_by_id(pipeline.pk)
    row = fresh(pipeline)
    assert (row.verification_status, row.verification_error, row.doubted_at) == ("VALID", "", None)
    assert not is_refused(tenant_id=tenant.pk, integration_id=pipeline.pk)


def test_a_verification_that_failed_for_a_person_is_repeated_soon(
    tenant: Any, sandbox: Any
) -> None:
    """The person verified while Jenkins was reloading."""
    pipeline, job = jenkins(tenant, sandbox), sandbox.state.jenkins.job("ios-prod")
    job.hidden = True
    row = verify(pipeline)
    assert row.verification_status == "INVALID"
    assert row.verify_at < timezone.now() + timedelta(minutes=6)
    job.hidden = False
    verification.verify_by_id(row.pk)
    assert fresh(row).verification_status == "VALID"


def test_credentials_refused_twice_are_recorded_once(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    for _n in range(2):
        verification.credentials_refused(tenant=tenant, integration_id=pipeline.pk, error=REFUSED)
    assert AuditEvent.objects.filter(action="integration.refused").count() == 1


@pytest.mark.parametrize("integration_id", ["pipeline_jenkins_gone", "nonsense", ""])
def test_refused_credentials_of_an_unknown_connection_are_ignored(
    tenant: Any, integration_id: str
) -> None:
    verification.credentials_refused(tenant=tenant, integration_id=integration_id, error=REFUSED)


def test_another_tenants_refusal_changes_nothing_here(tenant: Any) -> None:
    theirs = factories.PipelineFactory()
    verification.credentials_refused(tenant=tenant, integration_id=theirs.pk, error=REFUSED)
    assert fresh(theirs).verification_status == "VALID"


def test_a_channels_name_is_kept_after_later_checks(tenant: Any, sandbox: Any) -> None:
    slack = verify(wired_to(tenant, sandbox).slack)
    name = slack.channel_name("C123")
    assert name.startswith("#")
    edited = edit(slack, actor=None, values={"slack_channels": ["C456", "C123"]})
    assert (edited.checks, edited.channel_name("C123")) == ([], name)
    edited.token = "xoxb-revoked"
    edited.save()
    refused = verify(fresh(slack))
    assert (refused.is_valid, refused.channel_name("C123")) == (False, name)
    edit(refused, actor=None, values={"slack_channels": ["C456"]})
    verify(fresh(slack))
    assert fresh(slack).recipient_names.keys() <= {"C456"}  # of what is chosen alone


def test_the_apps_number_is_learnt_and_forgotten_with_the_app(tenant: Any, sandbox: Any) -> None:
    target = verify(
        factories.AppStoreFactory(
            tenant=tenant,
            issuer_id=accounts.APPLE_ISSUER_ID,
            key_id=accounts.APPLE_KEY_ID,
            credentials=sandbox.accounts.apple_api_key,
        )
    )
    assert target.console_url == "https://appstoreconnect.apple.com/apps/6450000001"
    edited = edit(target, actor=None, values={"app_identifier": "com.example.other"})
    assert edited.console_url == "https://appstoreconnect.apple.com/apps"
