"""Nothing goes on for ever; what breaks the order of times does not start."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils import timezone

from delivr.effects.handlers import Postpone, handler_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect, retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import due_effects
from delivr.effects.tests.world import ListHandler, fresh, make_due

pytestmark = pytest.mark.django_db


# --- Bounds ---------------------------------------------------------------------------------------


def test_many_looks_do_not_overflow(effect: Effect, world: Any) -> None:
    make_due(effect, dispatched_at=timezone.now(), reconciles=200)
    run_effect(effect.pk)
    row = fresh(effect)
    assert (row.state, row.reconciles, row.last_error) == (EffectState.PENDING, 201, "")


def test_waiting_for_another_ends_with_its_own_time(effect: Effect, world: Any) -> None:
    world.prepare_raises = Postpone(timedelta(seconds=30))
    make_due(effect, expires_at=timezone.now())
    run_effect(effect.pk)
    assert (fresh(effect).state, fresh(effect).last_error_code) == (EffectState.DEAD, "expired")


def test_an_end_that_nobody_can_be_told_of_is_tried_often_and_then_written(
    effect: Effect, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.refuses_to_hear = True
    make_due(effect, expires_at=timezone.now())
    tries = 0
    while fresh(effect).state != EffectState.DEAD:
        tries += 1
        assert tries < 30
        with contextlib.suppress(RuntimeError):
            run_effect(effect.pk)
        past = timezone.now() - timedelta(seconds=1)
        make_due(effect, lease_until=past) if fresh(effect).state != EffectState.DEAD else None
    assert tries >= 2 * ListHandler.max_attempts


@pytest.mark.parametrize("settle", [timedelta(seconds=60), timedelta(0)])
def test_a_handler_that_breaks_the_order_of_times_is_refused_at_the_start(
    world: Any, settle: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ListHandler, "settle", settle)
    handler_for.cache_clear()
    with pytest.raises(ImproperlyConfigured, match=r"test\.list"):
        apps.get_app_config("effects").ready()


def test_every_handler_that_is_registered_keeps_the_order_of_times() -> None:
    handler_for.cache_clear()
    apps.get_app_config("effects").ready()
    assert handler_for.cache_info().currsize == len(django_settings.EFFECT_HANDLERS)


# --- Kinds that nobody knows ----------------------------------------------------------------------


def test_an_unknown_kind_is_not_handed_out_and_can_be_given_up(
    effect: Effect, world: Any, owner: Any
) -> None:
    make_due(effect, kind="from.the.future")
    assert due_effects() == []
    with pytest.raises(ValidationError, match="does not know"):
        retry_effect(effect=fresh(effect), actor=owner)
    cancel_effect(effect=fresh(effect), actor=owner)
    assert fresh(effect).state == EffectState.CANCELLED
