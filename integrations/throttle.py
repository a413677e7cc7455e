"""Rate and concurrency limits for calls to providers during web requests.

A provider may take 20 s to respond, and anyone who signs up can choose its server: without these
limits, a few requests to a hanging server would block all threads of the web processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from django.utils.translation import gettext as _

from delivr.api.problems import throttled
from delivr.security.ratelimit import hit
from delivr.tenants.models import User

WINDOW = 60  # seconds
VERIFICATIONS = 60  # per minute, on pages and in the API together
PER_PROCESS = 2  # calls at a time in a web process, which has four threads (WEB_THREADS)
PER_USER = 1  # of these for one user
MAX_WAIT = 2.0  # seconds; most providers respond in less than one

_changed = Condition()
_calls: Counter[int] = Counter()  # by user


def throttle(what: str, *, user: User, limit: int = VERIFICATIONS) -> None:
    """Count one `what` of this user, across all workspaces. Raises Problem 429 beyond `limit` per
    minute."""
    if seconds := hit(f"{what}:{user.pk}", limit=limit, window=WINDOW):
        raise throttled(_("Too many attempts. Wait a minute, then try again."), seconds)


@contextmanager
def provider_slot(user: User) -> Iterator[None]:
    """Hold one of the slots for calling a provider. Raises Problem 429 if none becomes free."""
    with _changed:
        if not _changed.wait_for(lambda: _is_free_for(user), timeout=MAX_WAIT):
            words = _("Too many checks are running. Try again in a few seconds.")
            raise throttled(words, 5)
        _calls[user.pk] += 1
    try:
        yield
    finally:
        with _changed:
            _calls[user.pk] -= 1
            if not _calls[user.pk]:
                del _calls[user.pk]
            _changed.notify_all()


@contextmanager
def throttled_call(what: str, *, user: User, limit: int = VERIFICATIONS) -> Iterator[None]:
    """`throttle`, and hold a `provider_slot` during the call. Raises Problem 429."""
    throttle(what, user=user, limit=limit)
    with provider_slot(user):
        yield


def _is_free_for(user: User) -> bool:
    return _calls.total() < PER_PROCESS and _calls[user.pk] < PER_USER
