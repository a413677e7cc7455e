"""A kind of effect whose other side is a list: what it has seen, and how it behaves next."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.utils import timezone

from delivr.effects.handlers import EffectHandler
from delivr.effects.models import Effect
from delivr.failures import Outcome, ProviderError


class OtherSide:
    """What the provider has seen, and how it shall behave next."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.looks = 0
        self.next_errors: list[ProviderError | Exception] = []
        self.loses_answer = False
        self.blind = False
        self.in_transaction: list[bool] = []
        self.prepare_raises: Exception | None = None
        self.gave_up: list[str] = []
        self.finished: list[dict[str, Any]] = []
        self.refuses_to_hear = False


WORLD = OtherSide()


class ListHandler(EffectHandler):
    max_attempts = 3

    def prepare(self, effect: Effect) -> None:
        if WORLD.prepare_raises:
            raise WORLD.prepare_raises

    def send(self, effect: Effect) -> dict[str, Any]:
        WORLD.in_transaction.append(connection.in_atomic_block)
        if WORLD.next_errors:
            raise WORLD.next_errors.pop(0)
        WORLD.done.append(effect.pk)
        if WORLD.loses_answer:
            raise failure(Outcome.UNCERTAIN)
        return {"n": len(WORLD.done)}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        WORLD.looks += 1
        if WORLD.next_errors:
            raise WORLD.next_errors.pop(0)
        if WORLD.blind:
            raise ProviderError("cannot_correlate", "Cannot tell.", "", outcome=Outcome.REFUSED)
        return {"found": True} if effect.pk in WORLD.done else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        WORLD.finished.append(result)

    def gave_up(self, effect: Effect) -> None:
        if WORLD.refuses_to_hear:
            raise RuntimeError
        WORLD.gave_up.append(effect.last_error_code)


def failure(outcome: Outcome, **kwargs: Any) -> ProviderError:
    return ProviderError(outcome.value, "It went wrong.", "Mend it.", outcome=outcome, **kwargs)


def make_due(effect: Effect, **changes: Any) -> None:
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now(), **changes)


def fresh(effect: Effect) -> Effect:
    return Effect.objects.get(pk=effect.pk)
