"""Poll the CI server. Webhooks only speed things up: polling alone finds the result of every
build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from builds.duplicates import create_stops, may_be_duplicated
from builds.effects import ci_of
from builds.models import Build, Source, TestBuild
from builds.offers.finding import find_offers, parts
from builds.polling.next_poll import FAILED, next_poll
from builds.testbuilds import operations as testing
from builds.updates.apply import apply_update, is_newest, lock_build, undo_unconfirmed_end
from builds.updates.identity import why_not_found
from builds.updates.traced import in_trace_of
from builds.updates.update import BuildUpdate, counted_status
from builds.webhooks.deliveries import apply_unmatched, settle_polled
from delivr.effects import clock
from delivr.effects.health import (
    blocked_until,
    is_refused,
    note_failure,
    note_success,
    release_probe,
)
from delivr.failures import Outcome, ProviderError
from delivr.pages.statuses import look_of
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.ci import BuildState, BuildStatus
from releases.models import ReleaseStatus

CLAIM = timedelta(seconds=40)
FAILURE_PAUSE = timedelta(seconds=20)
UNTIL_VERIFIED = timedelta(0)  # due at once, but not handed out while credentials are refused
LOST_AFTER = 3  # consecutive responses "no such build" …
LOST_WITHIN = timedelta(minutes=3)  # … over at least this time


def due_builds() -> list[str]:
    """Ids of builds that are due to be polled; each is claimed for one worker for 40 s."""
    return _hand_out(Build)


def due_tests() -> list[str]:
    """The same for test builds."""
    return _hand_out(TestBuild)


@transaction.atomic
def _hand_out(model: type[Build | TestBuild]) -> list[str]:
    now = clock.now()
    # A locked row is being worked on, and waiting for several locks would break the lock order.
    free = model.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(free.due(now).order_by("poll_at").values_list("pk", flat=True)[:200])
    model.objects.filter(pk__in=ids).update(poll_at=now + CLAIM)
    return ids


def poll_build(build_id: str) -> None:
    """The job `poll`: poll one build, apply the response, schedule the next poll."""
    builds = Build.objects.select_related("tenant", "release_pipeline__pipeline")
    _poll_in_slot(builds.filter(pk=build_id), _poll)


def poll_test(test_id: str) -> None:
    """The job `poll_test`: the same for a test build."""
    tests = TestBuild.objects.select_related("tenant", "pipeline")
    _poll_in_slot(tests.filter(pk=test_id), _poll_test)


def _poll_in_slot(rows: Any, poll: Callable[[Any], None]) -> None:
    build = rows.filter(poll_at__isnull=False).first()
    if build is not None:
        with slot(**_integration(build)) as is_free:
            if is_free:
                poll(build)
            else:
                _postpone(build, SLOT_RETRY_DELAY)


def _poll(build: Build) -> None:
    try:
        state = _read_state(build)
    except NotPolled:
        return
    if state is None:
        _missed(build, reason="")
        return
    if reason := why_not_found(build, state):
        _missed(build, reason=reason)
        return
    if build.status == BuildStatus.CANCELLED and next_poll(build) is not None:
        _look_whether_it_stopped(build, state)
        return
    with in_trace_of(build, "poll", is_news=state.status != build.status):
        _apply_state(build, state)
    _plan(build.pk)
    if may_be_duplicated(build):
        _look_for_duplicates(build)
    # A run that goes on after it failed is being retried.
    if {build.status, counted_status(build.pipeline, state.status)} & set(FAILED):
        _look_for_offers(build)


@transaction.atomic
def _look_whether_it_stopped(polled: Build, state: BuildState) -> None:
    """The build was cancelled: record if the CI server is still running it long afterwards."""
    build = lock_build(polled.pk)
    ci: Any = build.pipeline.provider_class
    after = ci.force_cancel_after
    runs_on = state.status in POLLED
    is_late = build.finished_at is not None and clock.now() - build.finished_at >= after
    build.still_running_at = clock.now() if runs_on and is_late else None
    build.poll_at = next_poll(build) if runs_on else None
    build.save(update_fields=["still_running_at", "poll_at"])


def _poll_test(test: TestBuild) -> None:
    if test.pipeline.disconnected_at is not None:
        testing.test_missed(test.pk, is_lost=lambda _test: True)
        return
    try:
        state = _read_state(test)
    except NotPolled:
        return
    if state is None or why_not_found(test, state):
        testing.test_missed(test.pk, is_lost=lambda row: _is_lost(row, clock.now()))
    else:
        testing.apply_test_update(test.pk, BuildUpdate.from_state(state, Source.POLL))


class NotPolled(Exception):
    """The CI server could not be asked; the build's next poll is scheduled."""


def _read_state(build: Build | TestBuild) -> BuildState | None:
    """The build's state on the CI server; None if the server has no such build. Raises
    NotPolled."""
    if (timeout := build.pipeline.silence) is not None:
        _wait_for_report(build, timeout)
        raise NotPolled
    integration = _integration(build)
    if is_refused(**integration):
        _postpone(build, UNTIL_VERIFIED)
        raise NotPolled
    blocked = blocked_until(**integration)
    if blocked is not None:
        _postpone(build, blocked - clock.now())
        raise NotPolled
    try:
        state: BuildState | None = ci_of(build).read(
            build.handle, build_id=build.pk, since=build.created_at
        )
    except ProviderError as error:
        _failed(build, error)
        raise NotPolled from error
    note_success(**integration)
    return state


def _wait_for_report(build: Build | TestBuild, timeout: timedelta) -> None:
    """The CI server cannot be asked: a build without reports for `timeout` is lost."""
    reported_at = _last_heard_of(build) if isinstance(build, Build) else build.created_at
    if not build.is_moving:
        # Nobody confirms an end, but a lost build is shown as such for a day.
        _wait_until(build, next_poll(build) if build.status == BuildStatus.LOST else None)
    elif clock.now() - reported_at < timeout:
        _wait_until(build, reported_at + timeout)
    elif isinstance(build, Build):
        apply_update(
            build.pk,
            BuildUpdate(
                status=BuildStatus.LOST, source=Source.POLL, queue_reason=_unheard_of(timeout)
            ),
        )
    else:
        testing.test_missed(build.pk, is_lost=lambda _test: True)


def _last_heard_of(build: Build) -> datetime:
    """When it was created, last reported, or adopted by a person."""
    report = build.deliveries.aggregate(at=Max("received_at"))["at"]
    adopted = build.events.filter(source=Source.PERSON, applied=True).aggregate(at=Max("at"))["at"]
    newest: datetime = max(filter(None, (build.created_at, report, adopted)))
    return newest


def _unheard_of(timeout: timedelta) -> str:
    hours = {"hours": timeout // timedelta(hours=1)}
    return _("The CI server reported nothing about it for %(hours)d hours.") % hours


def _look_for_duplicates(build: Build) -> None:
    try:
        create_stops(Build.objects.select_related("release_pipeline__pipeline").get(pk=build.pk))
    except ProviderError as error:
        note_failure(**_integration(build), error=error)  # the next poll tries again


def _look_for_offers(build: Build) -> None:
    """Keep what a person may adopt for a failed build."""
    part = parts().get(pk=build.release_pipeline_id)
    if part.release.status == ReleaseStatus.CANCELLED or not is_newest(build):
        Build.objects.filter(pk=build.pk, status=build.status).update(poll_at=None)
        return
    try:
        find_offers(part)
    except ProviderError as error:
        note_failure(**_integration(build), error=error)  # the next poll tries again


@transaction.atomic
def _apply_state(build: Build, state: BuildState) -> None:
    """Apply the response, and in the same transaction the deliveries that waited for its handle."""
    update = BuildUpdate.from_state(state, Source.POLL)
    apply_update(build.pk, replace(update, detail=_correction(build, state)))
    if state.adds_identifier_to(build.handle):
        apply_unmatched(build_id=build.pk)
    if state.status not in POLLED:
        settle_polled(build.pk)


def _correction(build: Build, state: BuildState) -> str:
    """What polling found that no webhook had reported: the build ended, and we had it running."""
    if state.status == build.status or state.status in POLLED:
        return ""
    reported = build.events.filter(source=Source.WEBHOOK, to_status=state.status)
    if reported.exists():  # also by a webhook that only made us poll
        return ""
    return _("%(server)s reports “%(there)s”, delivr had “%(here)s”.") % {
        "server": build.pipeline.kind_label,
        "there": look_of(state.status, "build").label,
        "here": look_of(build.status, "build").label,
    }


def _integration(build: Build | TestBuild) -> dict[str, str]:
    return {"tenant_id": build.tenant_id, "integration_id": build.pipeline.pk}


def _postpone(build: Build | TestBuild, delay: timedelta) -> None:
    _wait_until(build, clock.now() + delay)


def _wait_until(build: Build | TestBuild, poll_at: datetime | None) -> None:
    waiting = type(build).objects.filter(pk=build.pk, poll_at__isnull=False)  # null: it finished
    waiting.update(poll_at=poll_at)


@transaction.atomic
def _plan(build_id: str) -> None:
    build = lock_build(build_id)
    build.polls, build.misses, build.missing_since = build.polls + 1, 0, None
    build.poll_at = next_poll(build)
    build.save(update_fields=["polls", "misses", "missing_since", "poll_at"])


@transaction.atomic
def _missed(polled: Build, *, reason: str) -> None:
    """The job responds, but has no such build, or has another one under its number (`reason`).
    Either the build is between the queue and its start, or it is gone for good."""
    build = lock_build(polled.pk)
    if build.status != polled.status:
        return  # the status changed during the poll: the response is outdated
    if reason:
        settle_polled(build.pk, reason=reason)
        undo_unconfirmed_end(build.pk, reason=reason)
    build = lock_build(polled.pk)
    now = clock.now()
    build.misses += 1
    build.missing_since = build.missing_since or now
    if not build.is_moving:
        build.end_claimed_at = None  # nothing can confirm it any more
    build.poll_at = next_poll(build)
    build.save(update_fields=["misses", "missing_since", "end_claimed_at", "poll_at"])
    if build.is_moving and _is_lost(build, now):
        apply_update(
            build.pk, BuildUpdate(status=BuildStatus.LOST, source=Source.POLL, detail=reason)
        )


def _is_lost(build: Build | TestBuild, now: datetime) -> bool:
    since = build.missing_since or now
    return build.misses >= LOST_AFTER and now - since >= LOST_WITHIN


POLLED = (BuildStatus.QUEUED, BuildStatus.WAITING, BuildStatus.RUNNING)


def _failed(build: Build | TestBuild, error: ProviderError) -> None:
    """The poll failed, which says nothing about the build: poll again later.

    A finished build is only polled for retries: if its job is gone or forbidden by now, that must
    not block the rest of the connection, and polling still ends after a day.
    """
    if not build.is_moving and error.outcome is not Outcome.RATE_LIMITED:
        release_probe(**_integration(build))
        _wait_until(build, next_poll(build))
        return
    note_failure(**_integration(build), error=error)
    pause = FAILURE_PAUSE
    if error.outcome is Outcome.CREDENTIALS:
        pause = UNTIL_VERIFIED
        import_string(settings.CREDENTIALS_REFUSED)(
            tenant=build.tenant, integration_id=build.pipeline.pk, error=error
        )
    elif error.retry_after:
        pause = timedelta(seconds=error.retry_after)
    _postpone(build, pause)
