"""One call after the other: how often what is alike may be sent through one connection."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivr.effects import clock
from delivr.effects.handlers import Pace, Postpone
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import create_effect
from delivr.effects.pace import Turn, take_turn
from delivr.effects.runner import run_effect
from delivr.effects.tests.fake_provider import FakeHandler, failure, make_due, reload
from delivr.failures import Outcome

SECOND = timedelta(seconds=1)
EVERY_SECOND = Pace("C1", SECOND)


def turn(tenant: Any, key: str = "C1", integration: str = "comm_x") -> Turn:
    pace = Pace(key, SECOND)
    return take_turn(tenant_id=tenant.pk, integration_id=integration, pace=pace)


@pytest.fixture
def paced(provider: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(FakeHandler, "pace", lambda self, effect: EVERY_SECOND)
    return provider


@pytest.mark.django_db
@pytest.mark.on_both
class TestTurns:
    def test_whoever_comes_too_early_waits_or_is_given_a_time_of_its_own(self, tenant: Any) -> None:
        turns = [turn(tenant) for _n in range(5)]
        assert [one.is_taken for one in turns] == [True, True, False, False, False]
        waits = [one.wait for one in turns]
        assert waits[0] == timedelta(0)
        gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
        assert all(0.7 * SECOND <= gap <= SECOND for gap in gaps)  # time passes in between

    def test_channels_and_connections_do_not_wait_for_each_other(self, tenant: Any) -> None:
        keys = [("C1", "comm_x"), ("C2", "comm_x"), ("C1", "comm_y")]
        assert [turn(tenant, *key).wait for key in keys] == [timedelta(0)] * 3

    def test_times_that_have_passed_are_forgotten(self, tenant: Any) -> None:
        IntegrationHealth.objects.create(
            tenant=tenant, integration_id="comm_x", turns={"C9": [1.0, 2.0]}
        )
        assert turn(tenant).is_taken
        assert list(IntegrationHealth.objects.get().turns) == ["C1"]

    def test_an_effect_waits_for_its_turn_without_using_up_an_attempt(
        self, effect: Effect, paced: Any, tenant: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr("delivr.effects.runner.time.sleep", slept.append)
        soon, later = (
            create_effect(tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key=key)
            for key in ("two", "three")
        )
        for one in (effect, soon, later):
            run_effect(one.pk)
        assert paced.sent == [effect.pk, soon.pk]
        assert slept[0] == 0
        assert 0.7 < slept[1] <= 1
        row = reload(later)
        assert (row.state, row.attempts, row.dispatched_at) == (EffectState.PENDING, 0, None)
        assert 1.4 * SECOND < row.next_at - timezone.now() < 2.1 * SECOND
        IntegrationHealth.objects.update(turns={})
        make_due(later)
        run_effect(later.pk)
        assert paced.sent == [effect.pk, soon.pk, later.pk]

    def test_what_waits_for_something_else_takes_no_turn(
        self, effect: Effect, paced: Any, tenant: Any
    ) -> None:
        paced.prepare_raises = Postpone(SECOND)
        run_effect(effect.pk)
        assert turn(tenant).wait == timedelta(0)


@pytest.mark.django_db
@pytest.mark.on_both
def test_an_idempotent_effect_is_sent_again_without_looking(
    effect: Effect, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeHandler, "idempotent", True)
    provider.next_errors = [failure(Outcome.UNCERTAIN)]
    run_effect(effect.pk)
    assert reload(effect).state == EffectState.PENDING
    make_due(effect)
    run_effect(effect.pk)
    assert (reload(effect).state, provider.lookups) == (EffectState.DONE, 0)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_what_four_workers_send_for_two_releases_is_a_second_apart(tenant: Any) -> None:
    """They share a channel: no turn begins less than a second after another one."""
    barrier, begins, told = threading.Barrier(4), [], []

    def work() -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            for _n in range(5):
                mine = turn(tenant)
                (begins if mine.is_taken else told).append(clock.now() + mine.wait)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begins) + len(told) == 20
    late = timedelta(milliseconds=200)  # `clock.now()` is read after the turn
    for times in (sorted(begins), sorted(told)):
        assert all(b - a >= SECOND - late for a, b in itertools.pairwise(times))
