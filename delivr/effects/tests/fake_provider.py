"""A kind of effect whose provider is a list in memory."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.utils import timezone

from delivr.effects.handlers import EffectHandler
from delivr.effects.models import Effect
from delivr.failures import Outcome, ProviderError


class FakeProvider:
    """What the provider has received, and how it behaves next."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.lookups = 0
        self.next_errors: list[ProviderError | Exception] = []
        self.loses_response = False
        self.cannot_look_up = False
        self.in_transaction: list[bool] = []
        self.prepare_raises: Exception | None = None
        self.gave_up: list[str] = []
        self.finished: list[dict[str, Any]] = []
        self.gave_up_fails = False


PROVIDER = FakeProvider()


class FakeHandler(EffectHandler):
    max_attempts = 3

    def prepare(self, effect: Effect) -> None:
        if PROVIDER.prepare_raises:
            raise PROVIDER.prepare_raises

    def send(self, effect: Effect) -> dict[str, Any]:
        PROVIDER.in_transaction.append(connection.in_atomic_block)
        if PROVIDER.next_errors:
            raise PROVIDER.next_errors.pop(0)
        PROVIDER.sent.append(effect.pk)
        if PROVIDER.loses_response:
            raise failure(Outcome.UNCERTAIN)
        return {"n": len(PROVIDER.sent)}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        PROVIDER.lookups += 1
        if PROVIDER.next_errors:
            raise PROVIDER.next_errors.pop(0)
        if PROVIDER.cannot_look_up:
            raise ProviderError("cannot_correlate", "Cannot tell.", "", outcome=Outcome.REFUSED)
        return {"found": True} if effect.pk in PROVIDER.sent else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        PROVIDER.finished.append(result)

    def gave_up(self, effect: Effect) -> None:
        if PROVIDER.gave_up_fails:
            raise RuntimeError
        PROVIDER.gave_up.append(effect.last_error_code)


def failure(outcome: Outcome, **kwargs: Any) -> ProviderError:
    return ProviderError(outcome.value, "It went wrong.", "Mend it.", outcome=outcome, **kwargs)


def make_due(effect: Effect, **changes: Any) -> None:
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now(), **changes)


def reload(effect: Effect) -> Effect:
    return Effect.objects.get(pk=effect.pk)
