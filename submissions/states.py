"""What a submission's row says: changed by what delivr did, and by what the store reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median_high
from typing import Any

from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.pages.statuses import look_of
from integrations.providers.stores import (
    HAS_USERS,
    Act,
    ReleaseType,
    StoreState,
    SubmissionState,
)
from releases.messages.notices import Notice, notify
from releases.operations import lock_release, recompute
from submissions.models import ENDED, Submission, SubmissionEvent, store_of

SOONEST, LATEST = timedelta(seconds=5), timedelta(minutes=5)  # between two looks
AT_REST = timedelta(hours=1)  # … while it is live
REVIEWS_COUNTED = 10  # the newest ones
WATCHED_LIVE = timedelta(days=30)  # afterwards the store is not asked any more

# After an act of ours the store is expected to say this.
AFTER_ACT = {
    Act.PAUSE: SubmissionState.PAUSED,
    Act.RESUME: SubmissionState.ROLLING_OUT,
    Act.HALT: SubmissionState.HALTED,
    Act.COMPLETE: SubmissionState.LIVE,
    Act.WITHDRAW: SubmissionState.WITHDRAWN,
}
_NOTICES = {
    SubmissionState.REJECTED: Notice.SUBMISSION_REJECTED,
    SubmissionState.NEEDS_PERSON: Notice.SUBMISSION_NEEDS_PERSON,
}
IN_REVIEW = (SubmissionState.WAITING_FOR_REVIEW, SubmissionState.IN_REVIEW)
_ON_THE_WAY = {
    SubmissionState.WAITING_FOR_REVIEW,
    SubmissionState.IN_REVIEW,
    SubmissionState.APPROVED,
    SubmissionState.REJECTED,
}


def lock_submission(submission_id: str) -> Submission:
    """The locked row, after its release's, as everywhere."""
    release_id = Submission.objects.values_list("release_id", flat=True).get(pk=submission_id)
    release = lock_release(release_id)
    row: Submission = (
        Submission.objects.select_for_update(of=("self",))
        .select_related("target", "release_target")
        .get(pk=submission_id)
    )
    row.release = release
    return row


def note(
    row: Submission,
    what: str,
    *,
    by: str = "",
    is_outside: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> SubmissionEvent:
    return SubmissionEvent.objects.create(
        tenant_id=row.tenant_id,
        submission=row,
        state=row.state,
        percent=row.percent,
        what=what[:300],
        by=by[:120],
        is_outside=is_outside,
        facts=dict(facts or {}),
    )


def set_state(row: Submission, state: SubmissionState, *, cause: str) -> None:
    """Save the row with its new state, and derive the release's status. The caller holds the
    locks."""
    now = clock.now()
    if row.state != state:
        row.changed_at = now
    row.state = state
    row.ended_at = (row.ended_at or now) if state in ENDED else None
    row.read_at = next_read(row, now)
    row.save()
    recompute(row.release, cause=cause, of_store=True)


def apply_state(row: Submission, found: StoreState, *, is_acting: bool) -> None:
    """The store was asked. `is_acting`: an effect of ours may be the cause of what changed. The
    caller holds the locks."""
    now, before = clock.now(), row.seen
    is_news = (found.state, found.percent) != (before.state, before.percent)
    is_outside = is_news and not is_acting and _is_outside(row, before, found)
    row.store_state, row.store_url = found.word[:60], (found.url or row.store_url)[:500]
    row.percent, row.day, row.next_step_at = found.percent, found.day, found.next_step_at
    row.message, row.hint = found.message[:1000], found.hint[:500]
    row.references = {**row.references, **found.references}
    row.last_read_at, row.read_error = now, ""
    if found.state != SubmissionState.DRAFT and row.submitted_at is None:
        row.submitted_at = now
    _adopt_share(row, found.percent)
    if row.state in IN_REVIEW and found.state not in IN_REVIEW and row.submitted_at:
        row.review_took = now - row.submitted_at
    set_state(row, found.state, cause=f"{row.pk}:{found.state}:{now.isoformat()}")
    if is_news:
        by = found.by if is_outside else ""
        note(row, words_of(row, found, is_outside=is_outside), by=by, is_outside=is_outside)
    if found.state != before.state and (notice := _NOTICES.get(found.state)):
        _tell(row, notice, cause=now.isoformat())


def tell_person(row: Submission, *, cause: str) -> None:
    """Something stands in the way, and a person must mend it."""
    _tell(row, Notice.SUBMISSION_NEEDS_PERSON, cause=cause)


def _tell(row: Submission, notice: Notice, *, cause: str) -> None:
    words = {
        "platform": str(row.target.platform.label),
        "store": store_of(row.target).label,
        "reason": " ".join(filter(None, (row.message, row.hint))),
    }
    notify(row.release, notice, cause=f"{row.pk}:{cause}", words=words)


def usual_review(row: Submission) -> timedelta | None:
    """The median of the last reviews of its target; None without any."""
    others = Submission.objects.for_tenant(row.tenant_id).filter(
        target=row.target_id, review_took__isnull=False
    )
    took = others.order_by("-created_at").values_list("review_took", flat=True)[:REVIEWS_COUNTED]
    return median_high(took) if took else None


def _adopt_share(row: Submission, percent: float | None) -> None:
    """Count the steps that were taken, by whomever."""
    if row.shares and percent is not None:
        row.step = sum(share <= percent for share in row.shares)


def _is_outside(row: Submission, before: StoreState, found: StoreState) -> bool:
    """Neither the review, nor time, nor delivr explains the change."""
    if not found.is_ours:
        return True
    pair = (before.state, found.state)
    if before.state == SubmissionState.DRAFT:
        return row.submitted_at is None and found.state in _ON_THE_WAY | HAS_USERS
    if SubmissionState.PAUSED in pair or SubmissionState.HALTED in pair:
        return found.state != SubmissionState.REPLACED
    if found.state == SubmissionState.WITHDRAWN:
        return True
    if before.state == SubmissionState.APPROVED and found.state in HAS_USERS:
        return row.release_type == ReleaseType.MANUAL and not _was_published(row)
    if before.state == SubmissionState.REJECTED:
        return found.state in _ON_THE_WAY
    is_set_by_hand = store_of(row.target).picks_shares and before.state in HAS_USERS
    return is_set_by_hand and found.percent != before.percent


def _was_published(row: Submission) -> bool:
    """By an act of ours, or the store has nothing to publish by hand."""
    acts = Effect.objects.for_tenant(row.tenant_id).filter(
        kind="store.act", release_id=row.release_id
    )
    is_ours = acts.filter(payload__submission=row.pk, payload__step=Act.PUBLISH).exists()
    return is_ours or not store_of(row.target).has_release_type


def words_of(row: Submission, found: StoreState, *, is_outside: bool) -> str:
    """What happened, as the timeline says it."""
    words = {
        "state": look_of(found.state).label,
        "percent": f"{found.percent:g}" if found.percent is not None else "",
        "console": store_of(row.target).console,
    }
    if found.state == SubmissionState.ROLLING_OUT and words["percent"]:
        text = _("Rolled out to %(percent)s %%")
        outside = _("Rolled out to %(percent)s %% in %(console)s")
    else:
        text, outside = "%(state)s", _("%(state)s: changed in %(console)s, not by delivr")
    return (outside if is_outside else text) % words


def next_read(row: Submission, now: datetime) -> datetime | None:
    """When to ask the store again: soon after a change, with growing pauses afterwards."""
    if row.state in ENDED or row.submitted_at is None:
        return None
    since = now - row.changed_at
    if row.state == SubmissionState.LIVE:
        return now + AT_REST if since < WATCHED_LIVE else None
    return now + min(max(since / 4, SOONEST), LATEST)
