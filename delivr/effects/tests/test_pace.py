"""One call after the other: how often what is alike may be sent through one connection."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivr.effects import clock
from delivr.effects.handlers import Pace, Postpone
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import create_effect
from delivr.effects.pace import HELD, in_turn
from delivr.effects.runner import run_effect
from delivr.effects.tests.fake_provider import FakeHandler, failure, make_due, reload
from delivr.failures import Outcome, ProviderError

SECOND = timedelta(seconds=1)
EVERY_SECOND = Pace("C1", SECOND)


def turn(tenant: Any, key: str = "C1", integration: str = "comm_x") -> Any:
    return in_turn(tenant_id=tenant.pk, integration_id=integration, pace=Pace(key, SECOND))


class Clock:
    """The database's clock, which only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = timezone.now()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Clock:
    still = Clock()
    monkeypatch.setattr("delivr.effects.clock.now", still.now)
    monkeypatch.setattr("delivr.effects.pace.time.sleep", still.sleep)
    monkeypatch.setattr("delivr.effects.pace.time.monotonic", lambda: still.time.timestamp())
    return still


@pytest.fixture
def paced(provider: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(FakeHandler, "pace", lambda self, effect: EVERY_SECOND)
    return provider


@pytest.mark.django_db
@pytest.mark.on_both
class TestTurns:
    def test_the_next_call_begins_a_second_after_the_end_of_the_one_before(
        self, tenant: Any, still: Clock
    ) -> None:
        with turn(tenant):
            still.sleep(5)
        with turn(tenant):
            pass
        assert still.slept == [5, 1]

    def test_a_call_that_failed_counts(self, tenant: Any, still: Clock) -> None:
        with pytest.raises(ProviderError), turn(tenant):
            raise failure(Outcome.UNCERTAIN)
        with turn(tenant):
            assert still.slept == [1]

    def test_nobody_calls_while_a_call_is_under_way(self, tenant: Any, still: Clock) -> None:
        with turn(tenant), pytest.raises(Postpone), turn(tenant):
            pytest.fail("Two calls at the same time.")
        assert sum(still.slept) <= 2

    def test_who_waits_too_long_is_given_a_time_of_its_own(self, tenant: Any, still: Clock) -> None:
        delays, begun = [], still.time
        with turn(tenant):
            for _n in range(3):
                with pytest.raises(Postpone) as later, turn(tenant):
                    pass
                delays.append(still.time + later.value.delay - begun)
        assert all(b - a >= SECOND for a, b in itertools.pairwise(delays))

    def test_channels_and_connections_do_not_wait_for_each_other(
        self, tenant: Any, still: Clock
    ) -> None:
        with turn(tenant), turn(tenant, "C2"), turn(tenant, "C1", "comm_y"):
            assert still.slept == []

    def test_the_turn_of_a_dead_worker_ends_by_itself(self, tenant: Any, still: Clock) -> None:
        turn(tenant).__enter__()
        still.time += timedelta(seconds=HELD)
        with turn(tenant):
            assert still.slept == []

    def test_a_frozen_worker_does_not_end_the_turn_of_another(
        self, tenant: Any, still: Clock
    ) -> None:
        frozen = turn(tenant)
        frozen.__enter__()
        still.time += timedelta(seconds=HELD)
        with turn(tenant):
            frozen.__exit__(None, None, None)
            still.time += SECOND
            with pytest.raises(Postpone), turn(tenant):
                pytest.fail("Two calls at the same time.")

    def test_times_that_have_passed_are_forgotten(self, tenant: Any) -> None:
        IntegrationHealth.objects.create(
            tenant=tenant, integration_id="comm_x", turns={"C9": [1.0, 2.0]}
        )
        with turn(tenant):
            assert list(IntegrationHealth.objects.get().turns) == ["C1"]

    def test_an_effect_waits_for_its_turn_without_using_up_an_attempt(
        self, effect: Effect, paced: Any, tenant: Any, still: Clock
    ) -> None:
        with turn(tenant):
            run_effect(effect.pk)
        row = reload(effect)
        assert (row.state, row.attempts, row.dispatched_at) == (EffectState.PENDING, 0, None)
        assert row.next_at > still.time
        assert paced.sent == []
        still.time = row.next_at
        run_effect(effect.pk)
        assert paced.sent == [effect.pk]

    def test_what_waits_for_something_else_takes_no_turn(
        self, effect: Effect, paced: Any, tenant: Any, still: Clock
    ) -> None:
        paced.prepare_raises = Postpone(SECOND)
        run_effect(effect.pk)
        with turn(tenant):
            assert still.slept == []


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
def test_what_four_workers_send_into_one_channel_is_apart(
    provider: Any, tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call begins later than the one before it ended, by the pace, however long it took."""
    every, durations = timedelta(seconds=0.2), itertools.cycle([0.3, 0.0, 0.1, 0.0])
    calls: list[tuple[datetime, datetime]] = []

    def send(self: FakeHandler, effect: Effect) -> dict[str, Any]:
        begin = clock.now()
        time.sleep(next(durations))  # on its way
        calls.append((begin, clock.now()))
        return {}

    monkeypatch.setattr(FakeHandler, "pace", lambda self, effect: Pace("C1", every))
    monkeypatch.setattr(FakeHandler, "send", send)
    effects = [
        create_effect(
            tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key=f"call {n}"
        )
        for n in range(12)
    ]
    barrier = threading.Barrier(4)

    def work() -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            while rows := list(Effect.objects.open().values_list("pk", flat=True)):
                for row in rows:
                    run_effect(row)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == len(effects)
    assert all(reload(effect).state == EffectState.DONE for effect in effects)
    calls.sort()
    assert all(begin - end >= every for (_b, end), (begin, _e) in itertools.pairwise(calls))
