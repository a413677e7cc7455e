"""Test builds: start one, apply what the CI server says about it, cancel it.

A webhook never changes the state of a test build. Its arrival is recorded (`first_webhook_at`), and
the state is read from the CI server.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from builds.addresses import safe_build_url
from builds.models import TestBuild, WebhookDelivery
from builds.polling.next_poll import next_poll
from builds.stopping import create_stop_of_test
from builds.updates.apply import end_of, schedule_log
from builds.updates.filling import reason_of
from builds.updates.update import BuildUpdate, counted
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.operations import create_effect
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.models import PipelineIntegration
from integrations.parameters import parameters_of
from integrations.providers.ci import BuildReport, BuildStatus
from releases.models import MOVING
from releases.operations import VERSION, is_legal_branch, job_of_branch

MAX_KEPT = 10  # newest test builds of a pipeline that are kept …
MIN_AGE = timedelta(hours=2)  # … with those whose trigger or stop may still be open
MAX_PER_MINUTE = 5  # test builds that one user may start, on pages and by the API together


@transaction.atomic
def start_test(
    *, pipeline: PipelineIntegration, actor: User | None, version: str, branch: str
) -> TestBuild:
    """Start one build of the pipeline, with the parameters that a release would send.

    Raises Conflict("not_verified") or Conflict("build_in_progress"), and ValidationError under
    `version` and `branch` for values that a release could not have.
    """
    pipeline = PipelineIntegration.objects.select_for_update().get(pk=pipeline.pk)
    if not pipeline.is_valid or pipeline.disconnected_at:
        raise Conflict("not_verified", _("A check of the pipeline fails. Verify it first."))
    if pipeline.test_builds.moving().exists():
        raise Conflict("build_in_progress", _("A test build is already in progress."))
    test = TestBuild(tenant=pipeline.tenant, pipeline=pipeline, started_by=actor)
    test.parameters = _parameters(test, version.strip(), branch.strip())
    _delete_old(pipeline)
    test.save(force_insert=True)
    create_effect(
        tenant=pipeline.tenant,
        kind="build.test",
        integration_id=pipeline.pk,
        dedupe_key=f"test:{test.pk}:trigger",
        payload={"testBuildId": test.pk},
    )
    changes = {name: [None, test.parameters[name]] for name in ("VERSION", "BRANCH")}
    record(actor=actor, action="test_build.started", subject=pipeline, changes=changes)
    return test


def _delete_old(pipeline: PipelineIntegration) -> None:
    """Delete old test builds. The page shows only the newest; the others help in support."""
    kept = pipeline.test_builds.values_list("pk", flat=True)[: MAX_KEPT - 1]
    old = pipeline.test_builds.filter(created_at__lt=clock.now() - MIN_AGE)
    old.exclude(pk__in=list(kept)).delete()


def _parameters(test: TestBuild, version: str, branch: str) -> dict[str, str]:
    """The parameters; the job is set, too. Raises ValidationError."""
    errors = {}
    if not VERSION.fullmatch(version):
        words = _("Not started: a version has up to 64 characters: letters, digits and . + _ -")
        errors["version"] = [words]
    if not is_legal_branch(branch):
        errors["branch"] = [_("Not started: this is not a valid git branch name.")]
    else:
        try:
            test.job_path = job_of_branch(test.pipeline, branch)
        except ValueError as error:
            errors["branch"] = [str(error)]
    if errors:
        raise ValidationError(errors)
    return parameters_for_test(test, version=version, branch=branch)


def parameters_for_test(
    test: TestBuild, *, version: str, branch: str, commit: str | None = None
) -> dict[str, str]:
    """See `integrations.parameters.parameters_of`."""
    pipeline = test.pipeline
    return parameters_of(
        pipeline.parameters,
        version=version,
        branch=branch,
        build_id=test.pk,
        platform=pipeline.platform,
        commit=commit,
    )


@transaction.atomic
def cancel_test(*, test: TestBuild, actor: User | None) -> TestBuild:
    """Mark a test build CANCELLED now, and have the CI server stop it after the commit.

    Raises Conflict("not_moving") if it is no longer in progress.
    """
    found = lock_test(test.pk)
    if found is None or not found.is_moving:
        raise Conflict("not_moving", _("This test build has already finished."))
    before = found.status
    _finish(found, BuildStatus.CANCELLED)
    create_stop_of_test(found)
    changes = {"status": [before, found.status]}
    record(actor=actor, action="test_build.cancelled", subject=found.pipeline, changes=changes)
    return found


def lock_test(test_id: str) -> TestBuild | None:
    """The row, locked; its effect is locked after it. None if the row was deleted: its effect is
    kept longer."""
    tests: Any = TestBuild.objects.select_for_update(of=("self",)).select_related("pipeline")
    found: TestBuild | None = tests.filter(pk=test_id).first()
    return found


@transaction.atomic
def apply_test_update(test_id: str, update: BuildUpdate) -> None:
    """Apply a state that was read from the CI server; an outdated one changes nothing."""
    test = lock_test(test_id)
    if test is not None and test.status == BuildStatus.CANCELLED:
        _note_identifiers(test, update)
    if test is None or not test.is_moving:
        return
    update = counted(test.pipeline, update)
    if test.status == BuildStatus.RUNNING and update.status == BuildStatus.QUEUED:
        return
    test.polls = test.polls + 1 if test.status == update.status else 0
    test.status, test.misses, test.missing_since = update.status, 0, None
    test.reported_status = update.reported
    test.end_claimed_at = test.end_claimed_at if update.status in MOVING else None
    test.server_started_at = test.server_started_at or update.started_at
    _note_handle(test, update)
    test.url = test.url or safe_build_url(update.url, test.pipeline.home)
    test.queue_reason = reason_of(test, update)
    test.started_at = test.started_at or update.started_at
    if test.status not in MOVING:
        test.finished_at = end_of(test, update, clock.now())
        schedule_log(test)
    test.poll_at = next_poll(test)
    test.save()


def _note_identifiers(test: TestBuild, update: BuildUpdate) -> None:
    """Cancelled while its trigger was open: the effect that stops it needs the handle."""
    _note_handle(test, update)
    test.save(update_fields=["external_id", "queue_id", "number"])


def _note_handle(test: TestBuild, update: BuildUpdate) -> None:
    test.external_id = test.external_id or update.external_id
    test.queue_id = test.queue_id or update.queue_id
    test.number = test.number or update.number


@transaction.atomic
def test_failed(test_id: str, *, error: str, hint: str) -> None:
    """Its trigger gave up."""
    test = lock_test(test_id)
    if test is not None and test.status == BuildStatus.TRIGGERING:
        test.error, test.hint = error[:500], hint[:500]
        _finish(test, BuildStatus.TRIGGER_FAILED)


@transaction.atomic
def test_missed(test_id: str, *, is_lost: Callable[[TestBuild], bool]) -> None:
    """The CI server has no such build: it is between the queue and its start, or gone for good."""
    test = lock_test(test_id)
    if test is None or not test.is_moving:
        return
    test.misses += 1
    test.missing_since = test.missing_since or clock.now()
    if is_lost(test):
        _finish(test, BuildStatus.LOST)
    else:
        test.poll_at = next_poll(test)
        test.save()


def _finish(test: TestBuild, status: BuildStatus) -> None:
    test.status, test.finished_at, test.poll_at = status, clock.now(), None
    test.save()


# --- Webhooks ------------------------------------------------------------------------------------


def job_of_report(delivery: WebhookDelivery, report: BuildReport) -> str:
    """The pipeline's job in which a number of the report counts."""
    ci: Any = delivery.pipeline.provider_class
    job: str = ci.job_of_report(delivery.pipeline, report.job_path)
    return job


def match_test(delivery: WebhookDelivery, report: BuildReport) -> TestBuild | None:
    """The test build that a report is about; only those of the delivery's pipeline are searched."""
    tests = TestBuild.objects.for_tenant(delivery.tenant_id).filter(pipeline=delivery.pipeline_id)
    of_job = tests.filter(job_path=job_of_report(delivery, report))
    keys = (
        (tests, "pk", report.build_id),
        (tests, "external_id", report.external_id),
        (tests, "queue_id", report.queue_id),
        (of_job, "number", report.number),
    )
    for rows, name, value in keys:
        found: TestBuild | None = rows.filter(**{name: value}).first() if value else None
        if found is not None:
            return found
    return None


@transaction.atomic
def note_test_webhook(test_id: str, *, is_end: bool) -> None:
    """A webhook about it arrived: poll at once if it is still polled, and again soon if the webhook
    reports an end that the CI server does not show yet."""
    test = lock_test(test_id)
    if test is None:
        return
    test.first_webhook_at = test.first_webhook_at or clock.now()
    if is_end and test.is_moving:
        test.end_claimed_at = clock.now()
    if test.poll_at is not None:
        test.poll_at = clock.now()
        enqueue_on_commit("poll_test", test.pk)
    test.save()
