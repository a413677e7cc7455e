"""Webhook deliveries. A delivery is stored raw first and applied afterwards, exactly once."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from builds.models import Build, BuildEvent, DeliveryState, Trust, WebhookDelivery
from builds.offers.looking import look_after_report
from builds.polling.next_poll import FAILED
from builds.stopping import create_stop_of_duplicate
from builds.testbuilds import operations as testing
from builds.updates.apply import apply_update, lock_build, mirror_if_newest
from builds.updates.filling import fill_artifacts
from builds.updates.identity import why_not_reported
from builds.updates.traced import in_trace_of
from builds.updates.transitions import Transition
from builds.updates.update import BuildUpdate
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import Conflict
from delivr.monitoring import traces
from delivr.monitoring.logs import log_ids
from delivr.tenants.models import User
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildReport, CiProvider
from integrations.providers.registry import webhooks_of
from releases.models import MOVING

CLAIM = timedelta(seconds=15)
LOOK_AGAIN = timedelta(seconds=5)
ORPHAN_AFTER = timedelta(minutes=15)
BATCH = 200  # deliveries to go through while a build is locked; the sweeper does the rest


class SettledElsewhere(Exception):
    """Another worker applied this delivery first: roll back."""


@transaction.atomic(savepoint=False)
def store(
    *,
    pipeline: PipelineIntegration,
    dedupe_key: str,
    trust: Trust,
    body: bytes,
    event: str = "",
    sender: str = "",
) -> WebhookDelivery:
    """Store a delivery as it was received; for a duplicate, return the row that already exists."""
    row = unsaved(
        pipeline_id=pipeline.pk,
        tenant_id=pipeline.tenant_id,
        dedupe_key=dedupe_key,
        trust=trust,
        body=body,
        event=event,
        sender=sender,
        now=clock.now(),
    )
    WebhookDelivery.objects.bulk_create([row], ignore_conflicts=True)
    kept: WebhookDelivery = WebhookDelivery.objects.defer("body").get(
        pipeline=pipeline, dedupe_key=dedupe_key
    )
    if kept.pk == row.pk:
        enqueue_on_commit("delivery", row.pk)
    return kept


def unsaved(*, now: datetime, **values: Any) -> WebhookDelivery:
    """The row of a delivery that is received now. A worker is told of it, if there is a broker, and
    the sweeper finds it if the worker lost it."""
    next_at = now + CLAIM if settings.CELERY_BROKER_URL else now
    return WebhookDelivery(received_at=now, next_at=next_at, traceparent=traces.here(), **values)


@transaction.atomic
def due_deliveries() -> list[str]:
    """Ids of deliveries that are due to be applied; each is claimed for one worker for 15 s."""
    now = clock.now()
    free = WebhookDelivery.objects.select_for_update(skip_locked=True, no_key=True)
    due = free.waiting().filter(next_at__lte=now)
    ids = list(due.order_by("next_at").values_list("pk", flat=True)[:200])
    WebhookDelivery.objects.filter(pk__in=ids).update(next_at=now + CLAIM)
    return ids


def apply_delivery(delivery_id: str) -> None:
    """The job `delivery`: parse the delivery, find its build, apply the update."""
    waiting = WebhookDelivery.objects.waiting().select_related("pipeline")
    delivery = waiting.filter(pk=delivery_id).first()
    if delivery is not None:
        with (
            log_ids(tenant=delivery.tenant_id, delivery=delivery.pk),
            traces.span("delivery", parent=delivery.traceparent),
            contextlib.suppress(SettledElsewhere),
        ):
            _process(delivery)


def _process(delivery: WebhookDelivery) -> None:
    try:
        report = read(delivery)
    except ValueError as error:
        _settle(delivery, DeliveryState.REJECTED, reason=str(error))
        return
    if report.status is None and not report.asks:
        _settle(delivery, DeliveryState.IGNORED, reason=report.note)
        return
    build = match(delivery, report)
    if build is not None and report.is_of_run:
        build = _newest_attempt(build)
        report = replace(report, external_id=build.external_id or report.external_id)
    if build is None:
        _apply_to_test_build(delivery, report)
    elif reason := why_not_reported(build, report):
        _set_aside(delivery, report, build, reason)
    else:
        with in_trace_of(build, "webhook", since=delivery.received_at):
            _apply(delivery, report, build)


def read(delivery: WebhookDelivery) -> BuildReport:
    """Parse the body. Raises ValueError with a message for people if it cannot be parsed."""
    ci = cast("type[CiProvider]", delivery.pipeline.provider_class)
    sender = delivery.sender or ci.sender
    parse = ci.parsers.get(sender) or webhooks_of(sender).parse
    return parse(bytes(delivery.body), delivery.event)


def match(delivery: WebhookDelivery, report: BuildReport) -> Build | None:
    """The build that a report is about: by our id, else by the CI server's ids, else by the number.
    Only builds of the delivery's pipeline are searched."""
    builds = Build.objects.for_tenant(delivery.tenant_id).of_pipeline(delivery.pipeline_id)
    # Each job has its own numbers: a number from the current job means nothing in an earlier one.
    job = testing.job_of_report(delivery, report)
    of_job = builds.filter(release_pipeline__job_path=job)
    if not report.build_id:
        return _by_handle(builds, of_job, report)
    # An id that we do not know means another build.
    named: Build | None = builds.filter(pk=report.build_id).first()
    if named is not None and named.handle.is_another(report):
        retries = builds.filter(release_pipeline=named.release_pipeline_id)  # that were adopted
        return _by_handle(retries, retries, report) or named
    return named


def _newest_attempt(build: Build) -> Build:
    """Of the builds that were adopted from the same run, the newest; else the build itself."""
    ci = cast("type[CiProvider]", build.pipeline.provider_class)
    attempts = Build.objects.filter(release_pipeline=build.release_pipeline_id)
    newer = attempts.filter(attempt__gt=build.attempt).order_by("-attempt")
    return next((one for one in newer if ci.is_retry(one.handle, of=build.handle)), build)


def _by_handle(builds: Any, of_job: Any, report: BuildReport) -> Build | None:
    keys = (
        (builds, "external_id", report.external_id),
        (builds, "queue_id", report.queue_id),
        (of_job, "number", report.number),
    )
    for rows, name, value in keys:
        found: Build | None = None
        if value:
            found = rows.filter(**{name: value}).order_by("-created_at").first()
        if found is not None:
            return found
    return None


def _apply_to_test_build(delivery: WebhookDelivery, report: BuildReport) -> None:
    """For a test build, a webhook only shows that webhooks arrive, and causes a poll."""
    test = testing.match_test(delivery, report)
    if test is None:
        _unmatched(delivery, report)
        return
    testing.note_test_webhook(test.pk, is_end=report.status not in (None, *MOVING))
    reason = _("It is about a test build, whose status is read from the CI server.")
    if delivery.pipeline.silence is not None:
        reason = _("It is about a test build.")
        if report.status is not None:
            testing.apply_test_update(test.pk, BuildUpdate.from_report(report, delivery))
    _settle(delivery, DeliveryState.APPLIED, reason=reason)


@transaction.atomic
def _set_aside(delivery: WebhookDelivery, report: BuildReport, build: Build, reason: str) -> None:
    """The report contradicts the build. If it has our id, it may be of a duplicate: check that.

    What a person runs again is not stopped; the poll finds how it ends.
    """
    ci = cast("type[CiProvider]", delivery.pipeline.provider_class)
    if ci.is_retry(report, of=build.handle):
        reason = _("Someone is running %(build)s again on the CI server.") % {"build": build}
        if build.status in FAILED:
            poll_now(build)
    elif report.build_id == build.pk:
        create_stop_of_duplicate(build, report)
    _settle(delivery, DeliveryState.ORPHAN, reason=reason)
    look = functools.partial(look_after_report, delivery.pipeline, branch=report.branch)
    transaction.on_commit(look, robust=True)  # those of other releases need other locks


@transaction.atomic
def _apply(delivery: WebhookDelivery, report: BuildReport, build: Build) -> None:
    step = apply_update(build.pk, BuildUpdate.from_report(report, delivery))
    if step is Transition.ASK:
        poll_now(build)
    state = DeliveryState.IGNORED if step is Transition.IGNORE else DeliveryState.APPLIED
    _settle(delivery, state, reason=str(_REASONS.get(step, "")), build=build)
    if step is not Transition.ASK and report.adds_identifier_to(build.handle):
        apply_unmatched(build_id=build.pk)


_REASONS = {
    Transition.IGNORE: gettext_lazy("Late or repeated: the build is already past this status."),
    Transition.ASK: gettext_lazy("The result was read from the CI server."),
    Transition.STOP: gettext_lazy(
        "The build was cancelled in delivr and is stopped on the CI server."
    ),
}


def settle_polled(build_id: str, *, reason: str = "") -> None:
    """Settle the deliveries that caused a poll, now that it was answered. If the number belongs to
    another build (`reason`), they become orphans; else artifacts from signed ones are stored."""
    events = BuildEvent.objects.filter(build=build_id, step=Transition.ASK, delivery__isnull=False)
    pending = events.filter(delivery__state=DeliveryState.APPLIED, delivery__confirmed_at=None)
    ids = list(pending.values_list("delivery_id", flat=True)[:BATCH])
    if not ids:
        return
    deliveries = WebhookDelivery.objects.filter(pk__in=ids)
    if reason:
        deliveries.update(
            state=DeliveryState.ORPHAN, reason=reason[:300], build=None, confirmed_at=clock.now()
        )
        return
    deliveries.update(confirmed_at=clock.now())
    build = lock_build(build_id)
    signed = deliveries.filter(trust=Trust.SIGNED).exclude(body=b"")  # dropped after 30 days
    for delivery in signed.select_related("pipeline"):
        report = read(delivery)
        if report.status == build.status and fill_artifacts(
            build, BuildUpdate.from_report(report, delivery)
        ):
            build.save()
            mirror_if_newest(build)


def poll_now(build: Build) -> None:
    """Have the build polled as soon as possible."""
    Build.objects.filter(pk=build.pk).update(poll_at=clock.now())
    enqueue_on_commit("poll", build.pk)


def _unmatched(delivery: WebhookDelivery, report: BuildReport) -> None:
    """Its build may not have a number yet: try again for 15 minutes, then mark it an orphan. One of
    another job has no build here."""
    job = testing.job_of_report(delivery, report)
    if report.job_path and report.job_path.casefold() != job.casefold():
        reason = _("It is about a job other than this pipeline's.")
        _settle(delivery, DeliveryState.ORPHAN, reason=reason)
        return
    if delivery.state == DeliveryState.NEW:
        look_after_report(delivery.pipeline, branch=report.branch)
    age = clock.now() - (delivery.replayed_at or delivery.received_at)
    if age > ORPHAN_AFTER:
        _settle(
            delivery,
            DeliveryState.ORPHAN,
            reason=_("This build was not started by delivr."),
        )
        return
    WebhookDelivery.objects.waiting().filter(pk=delivery.pk).update(
        state=DeliveryState.UNMATCHED, next_at=clock.now() + max(LOOK_AGAIN, age / 2)
    )


def apply_unmatched(*, build_id: str) -> None:
    """The build just got its number or queue id: apply the deliveries that waited for it.

    Only those: the caller may hold the build's locks, and locking another release now would break
    the lock order.
    """
    for delivery_id in _about(build_id, DeliveryState.UNMATCHED):
        apply_delivery(delivery_id)


def apply_orphans(*, build_id: str) -> None:
    """A person adopted the build: what was reported about it counts now."""
    ids = _about(build_id, DeliveryState.ORPHAN)
    WebhookDelivery.objects.filter(pk__in=ids).update(
        state=DeliveryState.UNMATCHED, next_at=clock.now(), settled_at=None
    )
    apply_unmatched(build_id=build_id)


def _about(build_id: str, state: DeliveryState) -> list[str]:
    """The deliveries of its pipeline that are about the build, the oldest first."""
    build = Build.objects.select_related("release_pipeline").get(pk=build_id)
    found = WebhookDelivery.objects.for_tenant(build.tenant_id).filter(
        pipeline=build.release_pipeline.pipeline_id, state=state
    )
    ids = list(found.order_by("-received_at").values_list("pk", flat=True)[:BATCH])
    return [delivery_id for delivery_id in reversed(ids) if _is_about(delivery_id, build)]


def _is_about(delivery_id: str, build: Build) -> bool:
    delivery = WebhookDelivery.objects.select_related("pipeline").get(pk=delivery_id)
    try:
        report = read(delivery)
    except ValueError:
        return False
    return build.handle.shares_identifier_with(report) and match(delivery, report) == build


@transaction.atomic
def replay(delivery: WebhookDelivery, *, actor: User | None) -> WebhookDelivery:
    """Apply a delivery again as if it had just been received; `received_at` is kept. Raises
    Conflict("body_gone") if its body was deleted."""
    delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
    if not delivery.body:
        raise Conflict("body_gone", _("Its body was deleted after 30 days."))
    before, delivery.state, delivery.reason = delivery.state, DeliveryState.NEW, ""
    delivery.next_at = delivery.replayed_at = clock.now()
    delivery.settled_at = None
    delivery.save()
    changes = {"state": [before, delivery.state]}
    record(actor=actor, action="delivery.replayed", subject=delivery, changes=changes)
    enqueue_on_commit("delivery", delivery.pk)
    return delivery


def _settle(
    delivery: WebhookDelivery, state: DeliveryState, *, reason: str = "", build: Build | None = None
) -> None:
    settled = WebhookDelivery.objects.waiting().filter(pk=delivery.pk)
    if not settled.update(
        state=state, reason=reason[:300], build=build, next_at=None, settled_at=clock.now()
    ):
        raise SettledElsewhere
