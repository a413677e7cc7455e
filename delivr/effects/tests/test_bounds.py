"""Every kind of waiting ends; a handler whose time-outs are in the wrong order stops the start."""

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
from delivr.effects.tests.fake_provider import FakeHandler, make_due, reload

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


def test_many_lookups_do_not_overflow(effect: Effect, provider: Any) -> None:
    make_due(effect, dispatched_at=timezone.now(), reconciles=200)
    run_effect(effect.pk)
    row = reload(effect)
    assert (row.state, row.reconciles, row.last_error) == (EffectState.PENDING, 201, "")


def test_an_effect_that_waits_for_another_expires(effect: Effect, provider: Any) -> None:
    provider.prepare_raises = Postpone(timedelta(seconds=30))
    make_due(effect, expires_at=timezone.now())
    run_effect(effect.pk)
    assert (reload(effect).state, reload(effect).last_error_code) == (EffectState.DEAD, "expired")


def test_a_failing_gave_up_is_retried_and_then_skipped(
    effect: Effect, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.gave_up_fails = True
    make_due(effect, expires_at=timezone.now())
    tries = 0
    while reload(effect).state != EffectState.DEAD:
        tries += 1
        assert tries < 30
        with contextlib.suppress(RuntimeError):
            run_effect(effect.pk)
        past = timezone.now() - timedelta(seconds=1)
        make_due(effect, lease_until=past) if reload(effect).state != EffectState.DEAD else None
    assert tries >= 2 * FakeHandler.max_attempts


@pytest.mark.parametrize("settle", [timedelta(seconds=60), timedelta(0)])
def test_a_handler_with_time_outs_in_the_wrong_order_stops_the_start(
    provider: Any, settle: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeHandler, "settle", settle)
    handler_for.cache_clear()
    with pytest.raises(ImproperlyConfigured, match=r"test\.list"):
        apps.get_app_config("effects").ready()


def test_every_registered_handler_has_time_outs_in_order() -> None:
    handler_for.cache_clear()
    apps.get_app_config("effects").ready()
    assert handler_for.cache_info().currsize == len(django_settings.EFFECT_HANDLERS)


# --- Unknown kinds --------------------------------------------------------------------------------


def test_an_unknown_kind_is_not_due_and_can_be_cancelled(
    effect: Effect, provider: Any, owner: Any
) -> None:
    make_due(effect, kind="from.the.future")
    assert due_effects() == []
    with pytest.raises(ValidationError, match="does not support"):
        retry_effect(effect=reload(effect), actor=owner)
    cancel_effect(effect=reload(effect), actor=owner)
    assert reload(effect).state == EffectState.CANCELLED
