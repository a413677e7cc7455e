"""Asks the sources of health figures about the submissions that users have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from delivr.effects import clock
from delivr.effects.handlers import Postpone
from delivr.effects.health import is_refused, one_call
from delivr.failures import ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.models import HealthIntegration
from integrations.providers.health import Figure, HealthProvider
from integrations.providers.registry import provider_for
from integrations.providers.stores import HAS_USERS, SubmissionState
from submissions.health.baseline import before, read_figure, stored
from submissions.health.deciding import decide, note_failed_look, step_since
from submissions.health.models import HealthReading, HealthWatch, RolloutRule, RuleAction
from submissions.models import Submission
from submissions.states import lock_submission

CLAIM = timedelta(seconds=60)  # longer than one look takes
FAILURE_PAUSE = timedelta(minutes=2)
SOONEST, LATEST = timedelta(minutes=1), timedelta(minutes=15)  # between two looks
AT_REST = timedelta(hours=1)  # … while it is live
WATCHED_LIVE = timedelta(days=7)
WINDOW = timedelta(hours=24)  # what the figures are counted over
BATCH = 100
_MOVING = (SubmissionState.ROLLING_OUT, SubmissionState.PAUSED, SubmissionState.HALTED)


def watched(now: datetime) -> QuerySet[Submission]:
    """The submissions that users have, and that may still be stopped."""
    live = Q(state=SubmissionState.LIVE, changed_at__gt=now - WATCHED_LIVE)
    found: QuerySet[Submission] = Submission.objects.filter(
        Q(state__in=_MOVING) | live, is_current=True
    )
    return found


def due() -> list[str]:
    """Ids of watches that are due; each is claimed for one worker for a minute."""
    now = clock.now()
    _begin(now)
    with transaction.atomic():
        free = HealthWatch.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        rows = free.filter(look_at__lte=now).order_by("look_at")
        ids = list(rows.values_list("pk", flat=True)[:BATCH])
        HealthWatch.objects.filter(pk__in=ids).update(look_at=now + CLAIM)
    return ids


def _begin(now: datetime) -> None:
    """Watch each such submission by every source of its workspace, also one connected since."""
    found = HealthIntegration.objects.valid().filter(disconnected_at=None)
    sources: list[HealthIntegration] = list(found.select_related("target"))
    waiting = RolloutRule.objects.filter(source=None).values("submission")
    rows = watched(now).filter(
        Q(tenant__in={source.tenant_id for source in sources}) | Q(pk__in=waiting)
    )
    rows = rows.select_related("target").prefetch_related("watches", "rules")
    new = [
        HealthWatch(tenant_id=row.tenant_id, submission=row, source_id=source_id, look_at=now)
        for row in rows
        for source_id in _wanted(row, sources) - {watch.source_id for watch in row.watches.all()}
    ]
    HealthWatch.objects.bulk_create(new, ignore_conflicts=True)
    again = HealthWatch.objects.filter(look_at=None, submission__in=watched(now))
    again.filter(Q(source=None) | Q(source__disconnected_at=None)).update(look_at=now)


def _wanted(row: Submission, sources: Sequence[HealthIntegration]) -> set[str | None]:
    found: set[str | None] = {
        source.pk
        for source in sources
        if source.tenant_id == row.tenant_id and source.knows(row.target)
    }
    is_waiting = any(rule.source_id is None for rule in row.rules.all())
    return found | ({None} if is_waiting else set())


def read(watch_id: str) -> None:
    """The job `health`: ask one source about one submission, and apply the rules."""
    rows = HealthWatch.objects.select_related(
        "source__target", "submission__target", "submission__release"
    )
    watch = rows.filter(pk=watch_id, look_at__isnull=False).first()
    if watch is None:
        return
    is_over = not watched(clock.now()).filter(pk=watch.submission_id).exists()
    source = watch.source
    if is_over or (source is not None and source.disconnected_at is not None):
        HealthWatch.objects.filter(pk=watch.pk).update(look_at=None)
    elif source is None:
        _apply(watch, [])
    else:
        _ask(watch, source)


def _ask(watch: HealthWatch, source: HealthIntegration) -> None:
    where = {"tenant_id": watch.tenant_id, "integration_id": source.pk}
    if is_refused(**where):
        _failed(watch, FAILURE_PAUSE)
        return
    with slot(**where) as is_free:
        if not is_free:
            _again(watch, SLOT_RETRY_DELAY)
            return
        try:
            provider: HealthProvider = provider_for(source)
            with one_call(**where):
                found = _figures(provider, watch.submission)
        except Postpone as later:
            _again(watch, later.delay)
            return
        except ProviderError as error:
            pause = max(timedelta(seconds=error.retry_after or 0), FAILURE_PAUSE)
            _failed(watch, pause, read_error=error.message[:500])
            return
    _apply(watch, found)


def _figures(provider: HealthProvider, row: Submission) -> Sequence[Figure]:
    first = row.events.filter(state__in=HAS_USERS).order_by("at").first()
    since = clock.now() - WINDOW
    since = max(since, first.at) if first else since
    return provider.figures(row.target.app_identifier, row.release.version, row.store_build, since)


@transaction.atomic
def _apply(watch: HealthWatch, figures: Sequence[Figure]) -> None:
    """Keep the figures, and do what the rules say."""
    row, now = lock_submission(watch.submission_id), clock.now()
    if not watched(now).filter(pk=row.pk).exists():
        HealthWatch.objects.filter(pk=watch.pk).update(look_at=None)
        return
    if watch.source_id is not None:
        about = {"tenant_id": row.tenant_id, "submission": row, "source_id": watch.source_id}
        HealthReading.objects.bulk_create(
            HealthReading(**about, **_columns(figure), percent=row.percent, at=now)
            for figure in figures
        )
    changes: dict[str, Any] = {"last_read_at": now, "read_error": ""}
    changes["figures"] = list(map(stored, figures))
    if watch.source_id is not None:
        changes["before"] = before(row, watch.source_id, now - step_since(row))
    rows = HealthWatch.objects.filter(pk=watch.pk)
    rows.update(**changes)
    decide(row, watch.source_id, figures, list(map(read_figure, changes.get("before", ()))))
    rows.update(look_at=_next_look(row, watch, now))


def _columns(figure: Figure) -> dict[str, Any]:
    return {
        "metric": figure.metric.value,
        "value": figure.value,
        "sample": figure.sample,
        "until": figure.until,
    }


def _next_look(row: Submission, watch: HealthWatch, now: datetime) -> datetime:
    """Soon after a change, then with growing pauses; at once where a rule needs a second reading,
    or the end of its time."""
    rules = row.rules.filter(source=watch.source_id)
    if any(rule.bad_readings and rule.is_armed for rule in rules):
        return now + SOONEST
    if row.state == SubmissionState.LIVE:
        return now + AT_REST
    begun = step_since(row)
    pause = min(max((now - begun) / 4, SOONEST), LATEST)
    ends = [
        begun + timedelta(hours=rule.after_hours or 0)
        for rule in rules
        if rule.action == RuleAction.ADVANCE
    ]
    return min([now + pause, *(end for end in ends if end > now)])


@transaction.atomic
def _failed(watch: HealthWatch, pause: timedelta, **changes: str) -> None:
    """Its rules know nothing new: a person is told if that goes on."""
    row = lock_submission(watch.submission_id)
    _again(watch, pause, **changes)
    note_failed_look(row, watch.source_id or "")


def _again(watch: HealthWatch, pause: timedelta, **changes: str) -> None:
    HealthWatch.objects.filter(pk=watch.pk).update(look_at=clock.now() + pause, **changes)
