"""Ask the CI server: webhooks are hints, this is how every build comes to its true end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from builds import testing
from builds.deliveries import apply_unmatched
from builds.effects import ci_of
from builds.hearing import News, hear, lock_build, next_poll
from builds.models import Build, Source, TestBuild
from builds.repeats import may_be_doubled, promise_stops
from delivr.effects import clock
from delivr.effects.health import blocked_until, is_refused, note_failure, note_success
from delivr.failures import Outcome, ProviderError
from delivr.statuses import look_of
from integrations.providers.base import BuildState, BuildStatus
from integrations.slots import FULL, slot

CLAIM = timedelta(seconds=40)
AFTER_A_MISS = timedelta(seconds=10)
AFTER_A_FAILURE = timedelta(seconds=20)
ONCE_VERIFIED = timedelta(0)  # due, but not handed out while the credentials are refused
LOST_AFTER = 3  # answers "no such build" in a row
CLOCK_SKEW = timedelta(minutes=10)  # between the CI server's clock and the database's


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
    if state is None or _is_foreign(build, state):
        _missed(build)
        return
    _take_in(build, state)
    _plan(build.pk)
    if may_be_doubled(build):
        _look_for_repeats(build)


def _is_foreign(build: Build, state: BuildState) -> bool:
    """The number is another build's: numbers start anew where a job was made again, or where the
    CI server came back from a backup."""
    if None not in (build.queue_id, state.queue_id) and build.queue_id != state.queue_id:
        return True
    return state.started_at is not None and state.started_at < build.created_at - CLOCK_SKEW


def _poll_test(test: TestBuild) -> None:
    if test.pipeline.disconnected_at is not None:
        testing.test_missed(test.pk, lost_after=0, pause=FULL)
        return
    try:
        state = _ask(test)
    except Unasked:
        return
    if state is None:
        testing.test_missed(test.pk, lost_after=LOST_AFTER, pause=AFTER_A_MISS)
    else:
        testing.hear_test(test.pk, News.from_state(state, Source.POLL))


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
        note_failure(**integration, error=error)
        _failed(build, error)
        raise Unasked from error
    note_success(**integration)
    return state


def _look_for_repeats(build: Build) -> None:
    try:
        promise_stops(Build.objects.select_related("release_pipeline__pipeline").get(pk=build.pk))
    except ProviderError as error:
        note_failure(**_integration(build), error=error)  # the next question looks again


@transaction.atomic
def _take_in(build: Build, state: BuildState) -> None:
    """Apply the answer, and in the same transaction what came in about a number new to us."""
    hear(build.pk, replace(News.from_state(state, Source.POLL), detail=_healed(build, state)))
    if state.number is not None and build.number is None:
        apply_unmatched(build_id=build.pk)


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
    waiting = type(build).objects.filter(pk=build.pk, poll_at__isnull=False)  # else it came to rest
    waiting.update(poll_at=clock.now() + delay)


@transaction.atomic
def _plan(build_id: str) -> None:
    build = lock_build(build_id)
    build.polls, build.misses = build.polls + 1, 0
    build.poll_at = next_poll(build)
    build.save(update_fields=["polls", "misses", "poll_at"])


@transaction.atomic
def _missed(asked: Build) -> None:
    """Unknown there: a moment between queue and build, or gone for good."""
    build = lock_build(asked.pk)
    if build.status != asked.status:
        return  # it moved while we asked: what we heard is about the past
    if build.misses + 1 >= LOST_AFTER:
        hear(build.pk, News(status=BuildStatus.LOST, source=Source.POLL))
        Build.objects.filter(pk=build.pk).exclude(status__in=POLLED).update(poll_at=None)
        return
    build.misses += 1
    build.poll_at = clock.now() + AFTER_A_MISS
    build.save(update_fields=["misses", "poll_at"])


POLLED = (BuildStatus.QUEUED, BuildStatus.RUNNING)


def _failed(build: Build | TestBuild, error: ProviderError) -> None:
    """Not a word about the build: ask again later."""
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
