"""The interface of an effect handler: how to send, how to find what was sent, what follows."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from delivr.effects.models import Effect, EffectState

LEASE = timedelta(seconds=60)
CALL = timedelta(seconds=20)
MARGIN = timedelta(seconds=10)
LEAST_WAIT, MOST_WAIT = timedelta(seconds=2), timedelta(minutes=1)  # for another effect


class Postpone(Exception):
    """Not yet: something that this effect depends on has to happen first. `other` is that effect,
    as it was read, if it is one."""

    def __init__(self, delay: timedelta, other: Effect | None = None) -> None:
        super().__init__(str(delay))
        self.delay = delay
        self.other = other


def wait_for(other: Effect, now: datetime) -> Postpone:
    """Wait for another open effect, which wakes this one when it settles (`operations.wake`).

    Look again when the other one is due, after a minute at the latest in case the wake is lost.
    """
    due_at = other.next_at if other.state == EffectState.PENDING else other.lease_until
    return Postpone(min(max((due_at or now) - now, LEAST_WAIT), MOST_WAIT), other)


@dataclass(frozen=True)
class Pace:
    """Effects of one connection with the same `key` are sent one after the other, `every` apart."""

    key: str
    every: timedelta


class Unneeded(Exception):
    """The effect has become pointless (its release was cancelled, say): it ends as CANCELLED, with
    the words given as its error."""


class EffectHandler(ABC):
    """Handles one kind of effect. `send` and `find` run outside of transactions and may raise
    ProviderError; `finish` and `gave_up` run inside the transaction that settles the row."""

    base: ClassVar[timedelta] = timedelta(seconds=5)
    cap: ClassVar[timedelta] = timedelta(minutes=5)
    max_attempts: ClassVar[int] = 8
    expires_after: ClassVar[timedelta] = timedelta(hours=1)
    settle: ClassVar[timedelta] = timedelta(seconds=90)
    look_twice: ClassVar[timedelta] = timedelta(0)  # until an effect not found is looked for again
    send_again_when_uncertain: ClassVar[bool] = False  # for what cannot be looked up
    # How long to wait after each failed attempt, in place of a delay that doubles; after the
    # attempt that follows the last one it fails for good.
    schedule: ClassVar[Sequence[timedelta]] = ()
    is_awaited: ClassVar[bool] = False  # a person waits for it: see `queue.enqueue`
    idempotent: ClassVar[bool] = False  # sent again after a lost response without looking first

    def around(self, effect: Effect) -> AbstractContextManager[None]:
        """What is held while an attempt runs, such as a lock in the database. Entering it may raise
        Postpone or ProviderError."""
        return nullcontext()

    @abstractmethod
    def send(self, effect: Effect) -> dict[str, Any]:
        """Do it and return what is worth keeping (ids, URLs)."""

    @abstractmethod
    def find(self, effect: Effect) -> dict[str, Any] | None:
        """Look for what an earlier `send` may have done; None if it is not there."""

    def check_absent(self, effect: Effect) -> None:
        """`find` did not find it, although it had time to appear: it is sent again, unless this
        raises ProviderError("cannot_correlate") because `find` may have missed it. Reads only."""
        return

    def prepare(self, effect: Effect) -> None:
        """Raise Postpone or Unneeded before anything is sent. Reads only."""
        return

    def is_urgent(self, effect: Effect) -> bool:
        """True for what must not wait for other calls: see `health.admit`. Makes no query."""
        return False

    def pace(self, effect: Effect) -> Pace | None:
        """How often its like may be sent; None if that does not matter. Reads only."""
        return None

    def lock(self, effect: Effect) -> None:
        """Take the locks that `finish` and `gave_up` need: release, pipeline, build, in order."""
        return

    @abstractmethod
    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """Store the result and create the effects that follow from it."""

    def gave_up(self, effect: Effect) -> None:
        """Update the business rows: this will not be tried again without a person."""
        return

    def revive(self, effect: Effect) -> None:
        """A person retries a dead effect. Raises ValidationError if that makes no sense."""
        return


@functools.cache
def handler_for(kind: str) -> EffectHandler:
    handler: EffectHandler = import_string(settings.EFFECT_HANDLERS[kind])()
    if not CALL + MARGIN < LEASE < handler.settle:
        raise ImproperlyConfigured(
            f"The order of times is broken for {kind}: a call ({CALL}) and its margin ({MARGIN}) "
            f"must end before the lease ({LEASE}), and the lease before settling "
            f"({handler.settle}): else something is sent twice."
        )
    return handler


def is_known(kind: str) -> bool:
    """True if this version has a handler for the kind; else its effects wait."""
    return kind in settings.EFFECT_HANDLERS
