"""One worker at a time in a store's app, where the store itself has no such lock.

In some stores a second edit by the same account ends the first one, whatever that was doing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.db.models import F, Q

from delivr.effects import clock
from delivr.effects.handlers import CALL, MARGIN, Postpone
from submissions.models import StoreLock

# After which a worker that died does not hold it any more.
LONGEST = timedelta(seconds=60)
ONE_CALL = CALL + MARGIN  # for who only reads
RETRY_DELAY = timedelta(seconds=2)
WANTED = timedelta(seconds=15)  # longer than it takes who wants it first to try again
_held: ContextVar[tuple[str, int] | None] = ContextVar("held", default=None)


@contextmanager
def locked(key: str, *, goes_first: bool = False, longest: timedelta = LONGEST) -> Iterator[None]:
    """Hold the lock of a `StoreProvider.lock_key`. Raises Postpone if somebody else does, or wants
    to do something that `goes_first`: a halt waits for one call that is on its way, not for all the
    looks of others."""
    token = _take(key, longest, goes_first=goes_first) if key else None
    if key and token is None:
        raise Postpone(RETRY_DELAY)
    before = _held.set(None if token is None else (key, token))
    try:
        yield
    finally:
        _held.reset(before)
        if token is not None:
            StoreLock.objects.filter(key=key, token=token).update(held_until=None)


def keep() -> bool:
    """Hold the lock that surrounds this call for longer. False if somebody wants to do something
    that goes first, or has it already: then let go of it soon."""
    held = _held.get()
    if held is None:
        return True  # the store has no lock
    key, token = held
    now = clock.now()
    ours = StoreLock.objects.filter(key=key, token=token, held_until__gt=now)
    unwanted = ours.filter(Q(wanted_until=None) | Q(wanted_until__lte=now))
    return bool(unwanted.update(held_until=now + LONGEST))


def _take(key: str, longest: timedelta, *, goes_first: bool) -> int | None:
    """The token of the lock that was taken; None if it is held or wanted first by another one."""
    now = clock.now()
    StoreLock.objects.get_or_create(key=key)
    free = StoreLock.objects.filter(Q(held_until=None) | Q(held_until__lte=now), key=key)
    if not goes_first:
        free = free.filter(Q(wanted_until=None) | Q(wanted_until__lte=now))
    taken = {"held_until": now + longest, "token": F("token") + 1, "wanted_until": None}
    if not free.update(**taken):
        if goes_first:
            StoreLock.objects.filter(key=key).update(wanted_until=now + WANTED)
        return None
    return int(StoreLock.objects.values_list("token", flat=True).get(key=key))
