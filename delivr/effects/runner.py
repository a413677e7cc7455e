"""Runs an effect: claim it, look for an earlier result, write ahead, send, settle.

Each step is one short transaction; no transaction is open during a call. Only the holder of the
newest lease token may settle the row, so a worker that was frozen in the meantime cannot (fencing).
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
from delivr.effects.health import (
    RATE_LIMIT_DEFAULT,
    admit,
    note_failure,
    note_success,
    release_probe,
)
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import wake
from delivr.effects.pace import in_turn
from delivr.effects.plain_claim import claim_plain
from delivr.failures import Outcome, ProviderError
from delivr.monitoring import traces
from delivr.monitoring.logs import log_ids
from delivr.run.crashpoints import crashpoint

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=2)
MOST_DOUBLINGS = 20
NOT_YET_PAUSE = timedelta(seconds=30)
LAST_CHANCES = 5  # attempts to run `gave_up` before the effect is settled without it


EXPIRED = ("expired", "It could not be sent in time.", "Retry it if it is still wanted.")


class Fenced(Exception):
    """Another worker holds the lease now: this worker's result is discarded."""


def run_effect(effect_id: str) -> None:
    """Send the effect if it is due and not leased to another worker. Safe to call twice."""
    effect = claim(effect_id)
    if effect is not None:
        crashpoint("after_claim", effect.kind)
        ids = {"tenant": effect.tenant_id, "release": effect.release_id, "effect": effect.pk}
        with (
            log_ids(**ids, build=effect.build_id),
            traces.span(
                f"effect {effect.kind}", parent=effect.traceparent, attempt=effect.attempts
            ),
            contextlib.suppress(Fenced),
        ):
            Attempt(effect, handler_for(effect.kind)).run()


def keep_lease(effect: Effect) -> bool:
    """Lease the effect for as long again as at first, in the midst of a call that takes minutes.
    False if another worker has taken it over: then end without another request."""
    now = clock.now()
    ours = Effect.objects.filter(
        pk=effect.pk, state=EffectState.LEASED, lease_token=effect.lease_token, lease_until__gt=now
    )
    # An answer that is lost from here on may show up in the store that much later.
    return bool(ours.update(lease_until=now + LEASE, dispatched_at=now))


def claim(effect_id: str) -> Effect | None:
    """Take the lease by one conditional UPDATE; None if it is not due or may not be sent now."""
    if settings.EFFECTS_PAUSED:
        return None
    return claim_plain(effect_id) or _claim(effect_id)


@transaction.atomic
def _claim(effect_id: str) -> Effect | None:
    now = clock.now()
    due = Effect.objects.filter(pk=effect_id, kind__in=settings.EFFECT_HANDLERS).due(now)
    effect = due.first()
    if effect is None:
        return None
    later = None if _ends_without_a_call(effect, now) else _admitted_at(effect, now)
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


def _admitted_at(effect: Effect, now: datetime) -> datetime | None:
    """None if it may be sent now."""
    return admit(effect, now, is_urgent=handler_for(effect.kind).is_urgent(effect))


def _ends_without_a_call(effect: Effect, now: datetime) -> bool:
    """Expired and certainly never sent: giving it up needs no permission from the breaker."""
    return now >= effect.expires_at and effect.dispatched_at is None


class Attempt:
    """One claimed attempt at one effect."""

    def __init__(self, effect: Effect, handler: EffectHandler) -> None:
        self.effect = effect
        self.handler = handler
        # An earlier attempt may have done it.
        self.in_doubt = effect.dispatched_at is not None and not handler.idempotent

    @property
    def _integration(self) -> dict[str, str]:
        effect = self.effect
        return {"tenant_id": effect.tenant_id, "integration_id": effect.integration_id}

    def run(self) -> None:
        try:
            with self.handler.around(self.effect):
                self._execute()
        except Postpone as later:
            self._postpone(later.delay)
            self._release_probe()
            self._wake_if_settled(later.other)
        except Unneeded as why:
            told = {"last_error": str(why)} if str(why) else {}
            self._settle(EffectState.CANCELLED, **told)
            self._release_probe()
        except ProviderError as error:
            self._handle_failure(error)
        except Fenced:
            raise
        except Exception:
            log.exception("Effect %s met a fault of ours.", self.effect.pk)
            traces.failed("internal_error")
            self._release_probe()  # the breaker does not count it
            self._retry_later(_internal_error())

    def _postpone(self, delay: timedelta) -> None:
        """Wait for what it depends on, but not beyond its expiry."""
        if clock.now() >= self.effect.expires_at:
            self._mark_dead(*EXPIRED)
        else:
            self._wait(delay, attempts=F("attempts") - 1)

    @transaction.atomic
    def _wake_if_settled(self, other: Effect | None) -> None:
        """Wake this effect if the one it waits for settled before this one became PENDING.

        Settling locks that row: either it finds this effect waiting, or we find it settled here.
        One that had already failed settles again only after a person retried it or gave it up.
        """
        if other is None:
            return
        row = Effect.objects.select_for_update().filter(pk=other.pk).first()
        if row is not None and not row.is_open and row.state != other.state:
            wake(Effect.objects.filter(pk=self.effect.pk))

    def _release_probe(self) -> None:
        """No call was made: another effect may probe the provider instead."""
        if not _ends_without_a_call(self.effect, clock.now()):
            release_probe(**self._integration)

    def _execute(self) -> None:
        if self.in_doubt:
            found = self._find_earlier_result()
            if found is not None:
                self._finish(found)
                return
            if self._may_still_appear():
                return
            self.handler.check_absent(self.effect)
            self.in_doubt = False
        self.handler.prepare(self.effect)
        if self._end_if_exhausted():
            return
        with in_turn(**self._integration, pace=self.handler.pace(self.effect)):
            self._write_ahead()
            crashpoint("after_write_ahead", self.effect.kind)
            result = self.handler.send(self.effect)
            crashpoint("after_send", self.effect.kind)
        note_success(**self._integration)
        self._finish(result)

    def _find_earlier_result(self) -> dict[str, Any] | None:
        """What an earlier attempt did, or None. A handler that cannot look it up leaves it to a
        person, or has it sent again."""
        try:
            return self.handler.find(self.effect)
        except ProviderError as error:
            if error.code != "cannot_correlate" or not self.handler.send_again_when_uncertain:
                raise
            return None

    def _may_still_appear(self) -> bool:
        """Not found, but sent too recently to be sure: look again when it had time to appear."""
        assert self.effect.dispatched_at is not None  # noqa: S101 # in doubt means dispatched
        now, settled_at = clock.now(), self.effect.dispatched_at + self.handler.settle
        if now < settled_at:
            doublings = min(self.effect.reconciles, MOST_DOUBLINGS)
            self._recheck_later(min(settled_at - now, LOOK_AGAIN * 2**doublings))
            return True
        absent_at = self.effect.absent_at or now
        if now - absent_at < self.handler.look_twice:
            self._recheck_later(absent_at + self.handler.look_twice - now, absent_at=absent_at)
            return True
        return False

    def _recheck_later(self, wait: timedelta, **changes: Any) -> None:
        counts = {"reconciles": F("reconciles") + 1, "attempts": F("attempts") - 1}
        self._wait(max(wait, LOOK_AGAIN), **counts, **changes)

    def _end_if_exhausted(self) -> bool:
        """Too late or too many attempts: a person should decide rather than send it now."""
        if clock.now() >= self.effect.expires_at:
            self._mark_dead(*EXPIRED)
            return True
        if self.effect.attempts > self.handler.max_attempts:
            last = self.effect.last_error or "It failed too often."
            self._mark_dead("attempts", last, self.effect.last_error_hint)
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
            self._lock()
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
            crashpoint("before_settle_commit", self.effect.kind)
        crashpoint("after_finish", self.effect.kind)

    def _handle_failure(self, error: ProviderError) -> None:
        note_failure(**self._integration, error=error)
        traces.failed(error.code)
        if error.outcome is Outcome.REFUSED or self._expired_while_waiting(error):
            self._mark_dead(error.code, error.message, error.hint, **self._clear_dispatch())
        elif error.outcome is Outcome.CREDENTIALS:
            self._wait_for_credentials(error)
        elif error.outcome is Outcome.RATE_LIMITED:
            delay = timedelta(seconds=error.retry_after or 0) or RATE_LIMIT_DEFAULT
            self._wait(
                delay, attempts=F("attempts") - 1, **self._clear_dispatch(), **_error_columns(error)
            )
        elif error.outcome is Outcome.NOT_YET:
            delay = timedelta(seconds=error.retry_after or 0) or NOT_YET_PAUSE
            self._wait(
                delay, attempts=F("attempts") - 1, **self._clear_dispatch(), **_error_columns(error)
            )
        elif error.outcome is Outcome.NOT_SENT or self.handler.idempotent:
            self._retry_later(error, **self._clear_dispatch())
        else:
            self._retry_later(error)

    def _expired_while_waiting(self, error: ProviderError) -> bool:
        """These outcomes use up no attempt, so only the expiry ends the waiting."""
        free = (Outcome.CREDENTIALS, Outcome.RATE_LIMITED, Outcome.NOT_YET)
        return error.outcome in free and clock.now() >= self.effect.expires_at

    def _clear_dispatch(self) -> dict[str, Any]:
        """This attempt certainly did nothing; doubt from an earlier attempt remains."""
        return {} if self.in_doubt else {"dispatched_at": None}

    def _retry_later(self, error: ProviderError, **changes: Any) -> None:
        if self.effect.attempts >= 2 * self.handler.max_attempts:
            self._mark_dead(error.code, error.message, error.hint)  # looking for it fails, too
        elif not self.handler.schedule:
            self._wait(self._jitter(), **changes, **_error_columns(error))
        elif self.effect.attempts > len(self.handler.schedule):
            self._mark_dead(error.code, error.message, error.hint, **changes)
        else:
            self._wait(self._scheduled(), **changes, **_error_columns(error))

    def _scheduled(self) -> timedelta:
        """The delay of the schedule, and up to a fifth of it more."""
        delay = self.handler.schedule[max(self.effect.attempts - 1, 0)]
        return delay * (1 + random.random() / 5)  # noqa: S311 # spreads load, guards nothing

    def _jitter(self) -> timedelta:
        """Full jitter: a random delay between zero and the exponential bound."""
        doublings = min(self.effect.attempts - 1, MOST_DOUBLINGS)
        bound = min(self.handler.cap, self.handler.base * float(2**doublings))
        return bound * random.random()  # noqa: S311 # spreads load, guards nothing

    def _wait_for_credentials(self, error: ProviderError) -> None:
        """The credentials are refused: the effect waits until the connection is verified again.

        In one transaction, so that no effect waits without the members being notified. Locks are
        taken in the order of a verification: connection, health, effect.
        """
        effect, refused = self.effect, import_string(settings.CREDENTIALS_REFUSED)
        changes = {"attempts": F("attempts") - 1, **self._clear_dispatch(), **_error_columns(error)}
        with transaction.atomic():
            refused(tenant=effect.tenant, integration_id=effect.integration_id, error=error)
            self._wait(effect.expires_at - clock.now(), **changes)

    def _mark_dead(self, code: str, message: str, hint: str, **changes: Any) -> None:
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
                self._lock()
                self.handler.gave_up(self.effect)
                self._update(**changes)
        except Fenced:
            raise
        except Exception:
            if self.effect.attempts < 2 * self.handler.max_attempts + LAST_CHANCES:
                raise  # the lease expires, and another attempt calls `gave_up` again
            log.exception("Effect %s ends, although its `gave_up` fails.", self.effect.pk)
            self._update(**changes)

    def _lock(self) -> None:
        """Lock all rows that settling changes, this one last. Raises Fenced without the lease."""
        self.handler.lock(self.effect)
        if not self._leased_row().select_for_update().values_list("pk").first():
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
        if not self._leased_row().update(**changes):
            raise Fenced

    def _leased_row(self) -> Any:
        return Effect.objects.filter(
            pk=self.effect.pk, state=EffectState.LEASED, lease_token=self.effect.lease_token
        )


def _error_columns(error: ProviderError) -> dict[str, str]:
    return {
        "last_error_code": error.code[:60],
        "last_error": error.message[:500],
        "last_error_hint": error.hint[:500],
    }


def _internal_error() -> ProviderError:
    return ProviderError(
        "internal_error",
        "delivr had an internal error.",
        "delivr retries it. The server log has the details.",
        outcome=Outcome.UNCERTAIN,
    )
