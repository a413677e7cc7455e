"""Claim an effect, look before sending again, write ahead, send, settle.

The row is the job. Each step is one short transaction; no transaction is open during a call. Only
who holds the newest lease token may settle the row: a worker that was frozen is fenced off.
"""

from __future__ import annotations

import contextlib
import logging
import random
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.module_loading import import_string

from delivr.effects import clock
from delivr.effects.handlers import (
    CALL,
    LEASE,
    MARGIN,
    EffectHandler,
    Postpone,
    Unneeded,
    handler_for,
)
from delivr.effects.health import RATE_LIMIT_DEFAULT, admit, give_back, note_failure, note_success
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import wake
from delivr.failures import Outcome, ProviderError
from delivr.run.crashpoints import crashpoint

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=2)
MOST_DOUBLINGS = 20
LAST_CHANCES = 5  # to tell the business rows of an end; then the effect ends without


EXPIRED = ("expired", "It could not be sent in time.", "Retry it if it is still wanted.")


class Fenced(Exception):
    """Somebody else holds the row by now: what this worker has is discarded."""


def run_effect(effect_id: str) -> None:
    """Do what the effect promises, if it is due and nobody else is at it. Safe to call twice."""
    effect = claim(effect_id)
    if effect is not None:
        crashpoint("after_claim")
        with contextlib.suppress(Fenced):
            Attempt(effect, handler_for(effect.kind)).run()


@transaction.atomic
def claim(effect_id: str) -> Effect | None:
    """Take the lease by one conditional UPDATE; None if it is not due, or not ours to take."""
    if settings.EFFECTS_PAUSED:
        return None
    now = clock.now()
    due = Effect.objects.filter(pk=effect_id, kind__in=settings.EFFECT_HANDLERS).due(now)
    effect = due.first()
    if effect is None:
        return None
    later = None if _ends_without_a_call(effect, now) else admit(effect, now)
    if later is not None:
        pause = later if now >= effect.expires_at else min(later, effect.expires_at)
        due.update(state=EffectState.PENDING, next_at=pause, lease_until=None, enqueued_at=None)
        return None
    taken = due.update(
        state=EffectState.LEASED,
        lease_until=now + LEASE,
        lease_token=F("lease_token") + 1,
        attempts=F("attempts") + 1,
    )
    return Effect.objects.select_related("tenant").get(pk=effect_id) if taken else None


def _ends_without_a_call(effect: Effect, now: datetime) -> bool:
    """Too late to be sent, and surely never sent: nobody's permission is needed to give it up."""
    return now >= effect.expires_at and effect.dispatched_at is None


class Attempt:
    """One claimed attempt at one effect."""

    def __init__(self, effect: Effect, handler: EffectHandler) -> None:
        self.effect = effect
        self.handler = handler
        self.in_doubt = effect.dispatched_at is not None  # an earlier attempt may have done it

    @property
    def _integration(self) -> dict[str, str]:
        effect = self.effect
        return {"tenant_id": effect.tenant_id, "integration_id": effect.integration_id}

    def run(self) -> None:
        try:
            self._go()
        except Postpone as later:
            self._postpone(later.delay)
            self._give_back()
            self._look_back(later.other)
        except Unneeded:
            self._settle(EffectState.CANCELLED)
            self._give_back()
        except ProviderError as error:
            self._failed(error)
        except Fenced:
            raise
        except Exception:
            log.exception("Effect %s met a fault of ours.", self.effect.pk)
            self._give_back()  # nobody's breaker counts it
            self._again(_own_fault())

    def _postpone(self, delay: timedelta) -> None:
        """Wait for what it builds on, but not longer than its own time."""
        if clock.now() >= self.effect.expires_at:
            self._die(*EXPIRED)
        else:
            self._wait(delay, attempts=F("attempts") - 1)

    @transaction.atomic
    def _look_back(self, other: str) -> None:
        """Did what we wait for settle while we were not PENDING yet? Then nobody woke us.

        Its row's lock is held while it settles: either it finds us waiting, or we find it done.
        """
        if not other:
            return
        row = Effect.objects.select_for_update().filter(pk=other).first()
        if row is not None and not row.is_open:
            wake(Effect.objects.filter(pk=self.effect.pk))

    def _give_back(self) -> None:
        """No call was made: another effect may have the turn that this one was given."""
        if not _ends_without_a_call(self.effect, clock.now()):
            give_back(**self._integration)

    def _go(self) -> None:
        if self.in_doubt:
            found = self._look()
            if found is not None:
                self._finish(found)
                return
            if self._must_settle():
                return
            self.in_doubt = False
        self.handler.prepare(self.effect)
        if self._is_over():
            return
        self._write_ahead()
        crashpoint("after_write_ahead")
        result = self.handler.send(self.effect)
        crashpoint("after_send")
        note_success(**self._integration)
        self._finish(result)

    def _look(self) -> dict[str, Any] | None:
        """Was it done already? A handler that cannot tell leaves it to a person, or sends again."""
        try:
            return self.handler.find(self.effect)
        except ProviderError as error:
            if error.code != "cannot_correlate" or not self.handler.send_again_when_uncertain:
                raise
            return None

    def _must_settle(self) -> bool:
        """Absent, but too fresh to be sure: look again when it has had time to appear."""
        assert self.effect.dispatched_at is not None  # noqa: S101 # asked only then
        now, ripe = clock.now(), self.effect.dispatched_at + self.handler.settle
        if now < ripe:
            doublings = min(self.effect.reconciles, MOST_DOUBLINGS)
            self._look_again(min(ripe - now, LOOK_AGAIN * 2**doublings))
            return True
        absent_at = self.effect.absent_at or now
        if now - absent_at < self.handler.look_twice:
            self._look_again(absent_at + self.handler.look_twice - now, absent_at=absent_at)
            return True
        return False

    def _look_again(self, wait: timedelta, **changes: Any) -> None:
        counts = {"reconciles": F("reconciles") + 1, "attempts": F("attempts") - 1}
        self._wait(max(wait, LOOK_AGAIN), **counts, **changes)

    def _is_over(self) -> bool:
        """Too late or too often: better shown to a person than sent now."""
        if clock.now() >= self.effect.expires_at:
            self._die(*EXPIRED)
            return True
        if self.effect.attempts > self.handler.max_attempts:
            last = self.effect.last_error or "It failed too often."
            self._die("attempts", last, self.effect.last_error_hint)
            return True
        return False

    def _write_ahead(self) -> None:
        """From here on the other side may have done it. Stop if too little of the lease is left."""
        now = clock.now()
        lease_until = self.effect.lease_until
        if lease_until is None or lease_until - now < CALL + MARGIN:
            raise Fenced
        self._update(dispatched_at=now, absent_at=None)
        self.effect.dispatched_at = now

    def _finish(self, result: dict[str, Any]) -> None:
        with transaction.atomic():
            self._hold()
            self.handler.finish(self.effect, result)
            self._update(
                state=EffectState.DONE,
                result=result,
                done_at=clock.now(),
                lease_until=None,
                last_error="",
                last_error_code="",
                last_error_hint="",
            )
            crashpoint("before_settle_commit")
        crashpoint("after_finish")

    def _failed(self, error: ProviderError) -> None:
        note_failure(**self._integration, error=error)
        if error.outcome is Outcome.REFUSED or self._waits_in_vain(error):
            self._die(error.code, error.message, error.hint, **self._cleared())
        elif error.outcome is Outcome.CREDENTIALS:
            self._pause(error)
        elif error.outcome is Outcome.RATE_LIMITED:
            delay = timedelta(seconds=error.retry_after or 0) or RATE_LIMIT_DEFAULT
            self._wait(delay, attempts=F("attempts") - 1, **self._cleared(), **_words(error))
        elif error.outcome is Outcome.NOT_SENT:
            self._again(error, **self._cleared())
        else:
            self._again(error)

    def _waits_in_vain(self, error: ProviderError) -> bool:
        """No attempt is used up by these, so that its time alone can end the waiting."""
        free = (Outcome.CREDENTIALS, Outcome.RATE_LIMITED)
        return error.outcome in free and clock.now() >= self.effect.expires_at

    def _cleared(self) -> dict[str, Any]:
        """This attempt surely did nothing; a doubt that an earlier one left stays."""
        return {} if self.in_doubt else {"dispatched_at": None}

    def _again(self, error: ProviderError, **changes: Any) -> None:
        if self.effect.attempts >= 2 * self.handler.max_attempts:
            self._die(error.code, error.message, error.hint)  # not even looking worked
        else:
            self._wait(self._jitter(), **changes, **_words(error))

    def _jitter(self) -> timedelta:
        """Full jitter: anywhere between nothing and the doubling bound."""
        doublings = min(self.effect.attempts - 1, MOST_DOUBLINGS)
        bound = min(self.handler.cap, self.handler.base * float(2**doublings))
        return bound * random.random()  # noqa: S311 # spreads load, guards nothing

    def _pause(self, error: ProviderError) -> None:
        """The credentials are refused: the effect waits until the connection is verified again.

        One transaction, so that nothing waits without anybody being told; locks in the order of
        a verification: connection, health, effect.
        """
        effect, refused = self.effect, import_string(settings.CREDENTIALS_REFUSED)
        changes = {"attempts": F("attempts") - 1, **self._cleared(), **_words(error)}
        with transaction.atomic():
            refused(tenant=effect.tenant, integration_id=effect.integration_id, error=error)
            self._wait(effect.expires_at - clock.now(), **changes)

    def _die(self, code: str, message: str, hint: str, **changes: Any) -> None:
        self._settle(
            EffectState.DEAD,
            last_error_code=code,
            last_error=message[:500],
            last_error_hint=hint[:500],
            **changes,
        )

    def _settle(self, state: EffectState, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self.effect, name, value)
        changes |= {"state": state, "done_at": clock.now(), "lease_until": None}
        try:
            with transaction.atomic():
                self._hold()
                self.handler.gave_up(self.effect)
                self._update(**changes)
        except Fenced:
            raise
        except Exception:
            if self.effect.attempts < 2 * self.handler.max_attempts + LAST_CHANCES:
                raise  # the lease ends, and somebody tries to tell again
            log.exception("Effect %s ends, although nobody could be told.", self.effect.pk)
            self._update(**changes)

    def _hold(self) -> None:
        """Take the locks of settling, this row's last. Raises Fenced where it is not ours."""
        self.handler.lock(self.effect)
        if not self._mine().select_for_update().values_list("pk").first():
            raise Fenced

    def _wait(self, delay: timedelta, **changes: Any) -> None:
        now = clock.now()
        end = self.effect.expires_at
        self._update(
            state=EffectState.PENDING,
            next_at=min(now + delay, end) if now < end else now + delay,
            lease_until=None,
            enqueued_at=None,
            **changes,
        )

    def _update(self, **changes: Any) -> None:
        if not self._mine().update(**changes):
            raise Fenced

    def _mine(self) -> Any:
        return Effect.objects.filter(
            pk=self.effect.pk, state=EffectState.LEASED, lease_token=self.effect.lease_token
        )


def _words(error: ProviderError) -> dict[str, str]:
    return {
        "last_error_code": error.code[:60],
        "last_error": error.message[:500],
        "last_error_hint": error.hint[:500],
    }


def _own_fault() -> ProviderError:
    return ProviderError(
        "internal_error",
        "delivr met a fault of its own.",
        "It is tried again; the log has the details.",
        outcome=Outcome.UNCERTAIN,
    )
