"""Concurrent changes of a connection: what was read is no longer current."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from builds.tests.test_locks import closing, in_threads, wait_for_a_lock
from delivr.effects.health import is_refused
from delivr.encryption.fields import secret_fields
from delivr.failures import Conflict, Outcome, ProviderError
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.models import FAMILIES, PipelineIntegration, ScmIntegration
from integrations.operations import connect, disconnect, edit, rotate_webhook_secret
from integrations.providers.base import Check
from integrations.rotating import candidate_of, take
from integrations.tests.values import jenkins_values
from integrations.verification import Findings, credentials_refused, store_findings

pytestmark = pytest.mark.django_db
WELL = Findings(checks=[Check(name="credentials", ok=True)])
MADE = {
    "scm": (factories.ScmFactory, {"access_token": "ghp_new"}),
    "targets": (factories.PlayStoreFactory, {"app_identifier": "com.other"}),
    "pipelines": (factories.PipelineFactory, {"jenkins_api_token": "new"}),
    "communication": (factories.SlackFactory, {"slack_bot_token": "xoxb-new"}),
    "tickets": (factories.JiraFactory, {"jira_api_token": "new"}),
    "health": (factories.SentryFactory, {"sentry_token": "new"}),
}


@pytest.fixture
def stopped_clock(monkeypatch: Any) -> None:
    """Everything happens within one microsecond."""
    moment = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_stores_no_credential_in_a_disconnected_row(tenant: Any, family: str) -> None:
    factory, values = MADE[family]
    connection = factory(tenant=tenant)
    disconnect(FAMILIES[family].objects.get(pk=connection.pk), actor=None)
    with pytest.raises(Conflict) as caught:
        edit(connection, actor=None, values=values)
    assert caught.value.code == "disconnected"
    row = FAMILIES[family].objects.get(pk=connection.pk)
    assert {getattr(row, field.attname) for field in secret_fields(type(row))} == {None}


def test_a_rotation_stores_no_secret_in_a_disconnected_row(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    disconnect(PipelineIntegration.objects.get(pk=pipeline.pk), actor=None)
    with pytest.raises(Conflict):
        rotate_webhook_secret(pipeline, actor=None)
    assert PipelineIntegration.objects.get(pk=pipeline.pk).webhook_secret is None


def test_a_second_disconnection_changes_nothing(tenant: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    disconnect(scm, actor=None)
    first = ScmIntegration.objects.get(pk=scm.pk)
    disconnect(scm, actor=None)
    assert ScmIntegration.objects.get(pk=scm.pk).disconnected_at == first.disconnected_at


@pytest.mark.usefixtures("stopped_clock")
def test_findings_about_an_older_row_are_dropped_within_one_microsecond(tenant: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant, verification_status="PENDING")
    read = ScmIntegration.objects.get(pk=scm.pk)
    edit(scm, actor=None, values={"repository_url": "https://github.com/o/other"})
    assert fresh(scm).updated_at == read.updated_at
    assert store_findings(read, WELL, actor=None).verification_status == "PENDING"


@pytest.mark.usefixtures("stopped_clock")
def test_a_verified_credential_is_not_stored_if_the_row_changed_within_one_microsecond(
    tenant: Any,
) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    candidate = candidate_of(scm, values={"access_token": "ghp_tried"})
    edit(scm, actor=None, values={"access_token": "ghp_other"})
    with pytest.raises(Conflict):
        take(candidate, WELL, actor=None, values={"access_token": "ghp_tried"})
    assert fresh(scm).access_token.reveal() == "ghp_other"


@pytest.mark.usefixtures("stopped_clock")
def test_a_verified_credential_is_not_stored_in_a_disconnected_row(tenant: Any) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    candidate = candidate_of(scm, values={"access_token": "ghp_tried"})
    disconnect(ScmIntegration.objects.get(pk=scm.pk), actor=None)
    with pytest.raises(Conflict):
        take(candidate, WELL, actor=None, values={"access_token": "ghp_tried"})
    row = ScmIntegration.objects.get(pk=scm.pk)
    assert (row.access_token, row.verification_status) == (None, "PENDING")
    assert store_findings(candidate, WELL, actor=None).verification_status == "PENDING"


def test_a_pipeline_is_not_moved_to_a_repository_that_was_disconnected(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    other = factories.ScmFactory(tenant=tenant)
    disconnect(other, actor=None)
    with pytest.raises(ValidationError):
        edit(pipeline, actor=None, values={"scm": other.pk})
    assert fresh(pipeline).scm_id == pipeline.scm_id


def run_concurrently(*works: Callable[[], None]) -> None:
    turns = iter(works)
    in_threads(lambda: next(turns)(), len(works))


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_connecting_a_pipeline_and_disconnecting_its_repository_at_once_do_one_of_both(
    tenant: Any,
) -> None:
    """There is never a pipeline with a disconnected repository."""
    for _round in range(6):
        values = jenkins_values(tenant)
        scm = ScmIntegration.objects.get(pk=values["scm"])
        run_concurrently(partial(_connect, tenant, values), partial(_disconnect, scm))
        is_used = PipelineIntegration.objects.filter(scm=scm, disconnected_at=None).exists()
        is_gone = ScmIntegration.objects.get(pk=scm.pk).disconnected_at is not None
        assert is_used != is_gone


def _connect(tenant: Any, values: dict[str, Any]) -> None:
    try:
        connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)
    except ValidationError:
        return


def _disconnect(scm: Any) -> None:
    try:
        disconnect(scm, actor=None)
    except ValidationError:
        return


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_concurrent_edit_and_disconnection_leave_no_credential(tenant: Any) -> None:
    for _round in range(6):
        scm = factories.ScmFactory(tenant=tenant)
        run_concurrently(partial(_edit, scm), partial(_disconnect, scm))
        row = ScmIntegration.objects.get(pk=scm.pk)
        assert (row.access_token, row.disconnected_at is not None) == (None, True)


def _edit(scm: Any) -> None:
    try:
        edit(scm, actor=None, values={"access_token": "ghp_late"})
    except Conflict:
        return


REFUSED = ProviderError("bad_credentials", "Refused.", "Make one.", outcome=Outcome.CREDENTIALS)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_refusal_while_a_verification_ends_leaves_no_endless_pause(
    tenant: Any,
) -> None:
    """The refusal came in doubt already: without the lock it relied on a look that just ended."""
    scm = factories.ScmFactory(tenant=tenant)
    refuse = partial(credentials_refused, tenant=tenant, integration_id=scm.pk, error=REFUSED)
    refuse()
    late = threading.Thread(target=closing(refuse))
    with transaction.atomic():
        store_findings(fresh(scm), WELL, actor=None, by_clock=True)
        late.start()
        wait_for_a_lock(late)
    late.join()
    row = fresh(scm)
    assert is_refused(tenant_id=tenant.pk, integration_id=scm.pk)
    assert row.verify_at < timezone.now() + timedelta(minutes=2)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_refusal_of_the_old_credential_does_not_make_an_edited_connection_valid(
    tenant: Any,
) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    refuse = partial(credentials_refused, tenant=tenant, integration_id=scm.pk, error=REFUSED)
    late = threading.Thread(target=closing(refuse))
    with transaction.atomic():
        edit(scm, actor=None, values={"access_token": "ghp_new"})
        late.start()
        wait_for_a_lock(late)
    late.join()
    assert fresh(scm).verification_status == "PENDING"
