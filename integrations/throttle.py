"""How often a person may make delivr ask a provider while a request waits, and how many at once.

A provider may take 20 s to answer, and whoever signs up chooses it: without these bounds a few
requests to a server that hangs would hold all threads of the web processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.security.ratelimit import hit
from delivr.tenants.models import User

WINDOW = 60  # seconds
VERIFICATIONS = 60  # a minute, on pages and by the API together
AT_ONCE = 2  # in one web process, of its four threads (WEB_THREADS)
EACH = 1  # of them for one user
PATIENCE = 2.0  # seconds; most providers answer in less than one

_changed = Condition()
_asking: Counter[int] = Counter()  # by user


def throttle(what: str, *, user: User, limit: int = VERIFICATIONS) -> None:
    """Count one more `what` of this user, in whichever workspace. Raises Problem 429 beyond
    `limit` a minute."""
    if seconds := hit(f"{what}:{user.pk}", limit=limit, window=WINDOW):
        raise _slow_down(_("That was often. Wait a minute, then try again."), seconds)


@contextmanager
def a_place(user: User) -> Iterator[None]:
    """One of the few places for asking a provider now. Raises Problem 429 where none gets free."""
    with _changed:
        if not _changed.wait_for(lambda: _is_free_for(user), timeout=PATIENCE):
            words = _("Others are being asked at this moment. Try again in some seconds.")
            raise _slow_down(words, 5)
        _asking[user.pk] += 1
    try:
        yield
    finally:
        with _changed:
            _asking[user.pk] -= 1
            if not _asking[user.pk]:
                del _asking[user.pk]
            _changed.notify_all()


@contextmanager
def asking(what: str, *, user: User, limit: int = VERIFICATIONS) -> Iterator[None]:
    """`throttle`, and `a_place` while the provider is asked. Raises Problem 429."""
    throttle(what, user=user, limit=limit)
    with a_place(user):
        yield


def _is_free_for(user: User) -> bool:
    return _asking.total() < AT_ONCE and _asking[user.pk] < EACH


def _slow_down(words: str, seconds: int) -> Problem:
    return Problem(429, "throttled", words, headers={"Retry-After": str(seconds)})
