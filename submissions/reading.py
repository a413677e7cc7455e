"""Asks the stores how submissions stand: what a review decided, how far a roll-out is, and what
somebody changed by hand. No notification of a store is needed for it; one only makes a look due
(`submissions/notifications.py`)."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from delivr.effects import clock
from delivr.effects.handlers import Postpone
from delivr.effects.health import is_refused, one_call
from delivr.failures import ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.registry import provider_for
from integrations.providers.stores import StoreProvider
from submissions.effects import open_effects
from submissions.locks import ONE_CALL, locked
from submissions.models import Submission
from submissions.states import apply_state, lock_submission

CLAIM = timedelta(seconds=60)  # longer than one look takes
FAILURE_PAUSE = timedelta(minutes=1)
BATCH = 100


@transaction.atomic
def due() -> list[str]:
    """Ids of submissions that are due; each is claimed for one worker for a minute."""
    now = clock.now()
    free = Submission.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(free.due(now).order_by("read_at").values_list("pk", flat=True)[:BATCH])
    Submission.objects.filter(pk__in=ids).update(read_at=now + CLAIM)
    return ids


def read(submission_id: str) -> None:
    """The job `submission`: ask the store about one, and apply the response."""
    rows = Submission.objects.select_related("target", "release")
    row = rows.filter(pk=submission_id, read_at__isnull=False).first()
    if row is None:
        return
    where = {"tenant_id": row.tenant_id, "integration_id": row.target_id}
    if row.target.disconnected_at is not None:
        Submission.objects.filter(pk=row.pk).update(read_at=None)
        return
    if is_refused(**where):
        _again(row, FAILURE_PAUSE)
        return
    with slot(**where) as is_free:
        if is_free:
            _read(row, where)
        else:
            _again(row, SLOT_RETRY_DELAY)


def _read(row: Submission, where: dict[str, str]) -> None:
    was_acting = open_effects(row).exists()
    try:
        provider: StoreProvider = provider_for(row.target)
        with locked(provider.lock_key, longest=ONE_CALL), one_call(**where):
            found = provider.read_submission(row.plan)
    except Postpone as later:
        _again(row, later.delay)
        return
    except ProviderError as error:
        pause = max(timedelta(seconds=error.retry_after or 0), FAILURE_PAUSE)
        _again(row, pause, read_error=error.message[:500])
        return
    with transaction.atomic():
        now = lock_submission(row.pk)
        if (now.changed_at, now.acts) != (row.changed_at, row.acts):
            # Written while the store was asked: the response may be older.
            _again(now, timedelta(seconds=1))
            return
        apply_state(now, found, is_acting=was_acting or open_effects(now).exists())
        if now.notified_at != row.notified_at and now.read_at is not None:
            # The store sent word while it was asked: its answer may be older.
            _again(now, timedelta(seconds=1))


def _again(row: Submission, pause: timedelta, **changes: str) -> None:
    Submission.objects.filter(pk=row.pk).update(read_at=clock.now() + pause, **changes)
