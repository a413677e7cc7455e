"""Ask the CI server: webhooks are hints, this is how every build comes to its true end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from builds.adopting import as_row
from builds.duplicates import create_stops, may_be_duplicated
from builds.effects import ci_of
from builds.models import Build, Source, TestBuild
from builds.polling.next_poll import FAILED, next_poll
from builds.testbuilds import operations as testing
from builds.updates.apply import BuildUpdate, apply_update, disown, is_newest, lock_build
from builds.updates.identity import why_not_adopted, why_not_found
from builds.webhooks.deliveries import apply_unmatched, settle_asked
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
from integrations.concurrency import FULL, slot
from integrations.providers.base import BuildState, BuildStatus
from releases.models import ReleaseStatus

CLAIM = timedelta(seconds=40)
AFTER_A_FAILURE = timedelta(seconds=20)
ONCE_VERIFIED = timedelta(0)  # due, but not handed out while the credentials are refused
MAX_RETRIES = 5  # that are offered, the newest first
LOST_AFTER = 3  # answers "no such build" in a row …
LOST_WITHIN = timedelta(minutes=3)  # … over at least this time


def due_builds() -> list[str]:
    """Ids of builds to ask about; each is handed out to one asker for 40 s."""
    return _hand_out(Build)


def due_tests() -> list[str]:
    """Likewise of test builds."""
    return _hand_out(TestBuild)


@transaction.atomic
def _hand_out(model: type[Build | TestBuild]) -> list[str]:
    now = clock.now()
    # Who holds a row is at it just now, and waiting for several would break the order of locks.
    free = model.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(free.due(now).order_by("poll_at").values_list("pk", flat=True)[:200])
    model.objects.filter(pk__in=ids).update(poll_at=now + CLAIM)
    return ids


def poll_build(build_id: str) -> None:
    """The job `poll`: ask about one build, apply the answer, plan the next question."""
    build = (
        Build.objects.select_related("tenant", "release_pipeline__pipeline")
        .filter(pk=build_id, poll_at__isnull=False)
        .first()
    )
    if build is not None:
        with slot(**_integration(build)) as is_free:
            if is_free:
                _poll(build)
            else:
                _later(build, FULL)


def poll_test(test_id: str) -> None:
    """The job `poll_test`: the same for a test build."""
    tests = TestBuild.objects.select_related("tenant", "pipeline")
    test = tests.filter(pk=test_id, poll_at__isnull=False).first()
    if test is not None:
        with slot(**_integration(test)) as is_free:
            if is_free:
                _poll_test(test)
            else:
                _later(test, FULL)


def _poll(build: Build) -> None:
    try:
        state = _ask(build)
    except Unasked:
        return
    if state is None:
        _missed(build, reason="")
        return
    if reason := why_not_found(build, state):
        _missed(build, reason=reason)
        return
    _take_in(build, state)
    _plan(build.pk)
    if may_be_duplicated(build):
        _look_for_duplicates(build)
    if state.status in FAILED and state.number is not None:  # what never left the queue has none
        _look_for_retries(build)


def _poll_test(test: TestBuild) -> None:
    if test.pipeline.disconnected_at is not None:
        testing.test_missed(test.pk, is_lost=lambda _test: True)
        return
    try:
        state = _ask(test)
    except Unasked:
        return
    if state is None or why_not_found(test, state):
        testing.test_missed(test.pk, is_lost=lambda row: _is_lost(row, clock.now()))
    else:
        testing.apply_test_update(test.pk, BuildUpdate.from_state(state, Source.POLL))


class Unasked(Exception):
    """The CI server could not be asked: the row says when it will be."""


def _ask(build: Build | TestBuild) -> BuildState | None:
    """What the CI server says of a build; None where it knows none. Raises Unasked."""
    integration = _integration(build)
    if is_refused(**integration):
        _later(build, ONCE_VERIFIED)
        raise Unasked
    blocked = blocked_until(**integration)
    if blocked is not None:
        _later(build, blocked - clock.now())
        raise Unasked
    try:
        state: BuildState | None = ci_of(build).read(
            queue_id=build.queue_id,
            number=build.number,
            build_id=build.pk,
            since=build.created_at,
        )
    except ProviderError as error:
        _failed(build, error)
        raise Unasked from error
    note_success(**integration)
    return state


def _look_for_duplicates(build: Build) -> None:
    try:
        create_stops(Build.objects.select_related("release_pipeline__pipeline").get(pk=build.pk))
    except ProviderError as error:
        note_failure(**_integration(build), error=error)  # the next question looks again


def _look_for_retries(asked: Build) -> None:
    """Keep what succeeded on the CI server after our build failed there, for a person to adopt."""
    build = Build.objects.select_related(
        "release_pipeline__pipeline", "release_pipeline__release"
    ).get(pk=asked.pk)
    rows = Build.objects.filter(pk=build.pk, status=build.status)
    is_cancelled = build.release_pipeline.release.status == ReleaseStatus.CANCELLED
    if is_cancelled or not is_newest(build):
        rows.update(poll_at=None)
        return
    try:
        found = ci_of(build).retries(number=build.number, build_id=build.pk, since=build.created_at)
    except ProviderError as error:
        note_failure(**_integration(build), error=error)  # the next question looks again
        return
    good = [retry for retry in found if _may_be_adopted(build, retry.state)]
    rows.update(retries=[as_row(retry, build) for retry in good[:MAX_RETRIES]])


def _may_be_adopted(build: Build, state: BuildState) -> bool:
    return state.status == BuildStatus.SUCCESS and not why_not_adopted(build, state)


@transaction.atomic
def _take_in(build: Build, state: BuildState) -> None:
    """Apply the answer, and in the same transaction what came in about a number new to us."""
    apply_update(
        build.pk, replace(BuildUpdate.from_state(state, Source.POLL), detail=_healed(build, state))
    )
    if state.number is not None and build.number is None:
        apply_unmatched(build_id=build.pk)
    if state.status not in POLLED:
        settle_asked(build.pk)


def _healed(build: Build, state: BuildState) -> str:
    """What asking found out that nobody had told us: it ended, and we still had it running."""
    if state.status == build.status or state.status in POLLED:
        return ""
    told = build.events.filter(source=Source.WEBHOOK, to_status=state.status)
    if told.exists():  # by a doorbell, or by a report that we asked about
        return ""
    return _("Jenkins says “%(there)s”, we had “%(here)s”.") % {
        "there": look_of(state.status, "build").label,
        "here": look_of(build.status, "build").label,
    }


def _integration(build: Build | TestBuild) -> dict[str, str]:
    return {"tenant_id": build.tenant_id, "integration_id": build.pipeline.pk}


def _later(build: Build | TestBuild, delay: timedelta) -> None:
    _wait_until(build, clock.now() + delay)


def _wait_until(build: Build | TestBuild, moment: datetime | None) -> None:
    waiting = type(build).objects.filter(pk=build.pk, poll_at__isnull=False)  # else it came to rest
    waiting.update(poll_at=moment)


@transaction.atomic
def _plan(build_id: str) -> None:
    build = lock_build(build_id)
    build.polls, build.misses, build.missing_since = build.polls + 1, 0, None
    build.poll_at = next_poll(build)
    build.save(update_fields=["polls", "misses", "missing_since", "poll_at"])


@transaction.atomic
def _missed(asked: Build, *, reason: str) -> None:
    """The job answers, and has no such build, or another one under its number (`reason`): a moment
    between queue and build, or gone for good."""
    build = lock_build(asked.pk)
    if build.status != asked.status:
        return  # it moved while we asked: what we heard is about the past
    if reason:
        settle_asked(build.pk, reason=reason)
        disown(build.pk, reason=reason)
    build = lock_build(asked.pk)
    now = clock.now()
    build.misses += 1
    build.missing_since = build.missing_since or now
    if not build.is_moving:
        build.end_claimed_at = None  # nobody can confirm it any more
    build.poll_at = next_poll(build)
    build.save(update_fields=["misses", "missing_since", "end_claimed_at", "poll_at"])
    if build.is_moving and _is_lost(build, now):
        apply_update(
            build.pk, BuildUpdate(status=BuildStatus.LOST, source=Source.POLL, detail=reason)
        )


def _is_lost(build: Build | TestBuild, now: datetime) -> bool:
    since = build.missing_since or now
    return build.misses >= LOST_AFTER and now - since >= LOST_WITHIN


POLLED = (BuildStatus.QUEUED, BuildStatus.RUNNING)


def _failed(build: Build | TestBuild, error: ProviderError) -> None:
    """Not a word about the build: ask again later.

    One at rest is only looked back at: where its job is gone, or forbidden by now, that holds up
    nothing else of the connection, and its day ends all the same.
    """
    if not build.is_moving and error.outcome is not Outcome.RATE_LIMITED:
        release_probe(**_integration(build))
        _wait_until(build, next_poll(build))
        return
    note_failure(**_integration(build), error=error)
    pause = AFTER_A_FAILURE
    if error.outcome is Outcome.CREDENTIALS:
        pause = ONCE_VERIFIED
        import_string(settings.CREDENTIALS_REFUSED)(
            tenant=build.tenant,
            integration_id=build.pipeline.pk,
            error=error,
        )
    elif error.retry_after:
        pause = timedelta(seconds=error.retry_after)
    _later(build, pause)
