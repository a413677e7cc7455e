"""One worker at a time in a store's app, where the store itself has no such lock.

In some stores a second edit by the same account ends the first one, whatever that was doing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import F, Q

from delivr.effects import clock
from delivr.effects.handlers import Postpone
from submissions.models import StoreLock

LONGEST = timedelta(seconds=60)  # after which a worker that died does not hold it any more
RETRY_DELAY = timedelta(seconds=2)


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Hold the lock of a `StoreProvider.lock_key`. Raises Postpone if somebody else does."""
    if not key:
        yield
        return
    token = _take(key)
    if token is None:
        raise Postpone(RETRY_DELAY)
    try:
        yield
    finally:
        StoreLock.objects.filter(key=key, token=token).update(held_until=None)


def _take(key: str) -> int | None:
    """The token of the lock that was taken; None if it is held."""
    now = clock.now()
    StoreLock.objects.get_or_create(key=key)
    free = StoreLock.objects.filter(Q(held_until=None) | Q(held_until__lte=now), key=key)
    if not free.update(held_until=now + LONGEST, token=F("token") + 1):
        return None
    return int(StoreLock.objects.values_list("token", flat=True).get(key=key))
