"""The ledger's promises, on a kind of effect whose other side is a list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from delivr.effects import runner
from delivr.effects.handlers import Postpone, Unneeded, behind
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import cancel_effect, create_effect, resume_integration, retry_effect
from delivr.effects.runner import claim, run_effect
from delivr.effects.sweeper import due_effects
from delivr.effects.tests.world import ListHandler, failure, fresh, make_due
from delivr.failures import Outcome

pytestmark = pytest.mark.django_db


def test_an_effect_is_sent_once_and_done(effect: Effect, world: Any) -> None:
    run_effect(effect.pk)
    run_effect(effect.pk)
    assert world.done == [effect.pk]
    assert fresh(effect).state == EffectState.DONE
    assert fresh(effect).result == {"n": 1}


def test_the_same_promise_twice_is_one_effect(effect: Effect, tenant: Any) -> None:
    again = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="one"
    )
    assert again.pk == effect.pk


def test_the_write_ahead_precedes_the_call(effect: Effect, world: Any) -> None:
    world.next_errors = [failure(Outcome.UNCERTAIN)]
    run_effect(effect.pk)
    assert fresh(effect).dispatched_at is not None
    assert fresh(effect).state == EffectState.PENDING


def test_a_lost_answer_is_found_and_nothing_is_sent_again(effect: Effect, world: Any) -> None:
    world.loses_answer = True
    run_effect(effect.pk)
    world.loses_answer = False
    make_due(effect)
    run_effect(effect.pk)
    assert world.done == [effect.pk]
    assert fresh(effect).state == EffectState.DONE
    assert fresh(effect).result == {"found": True}


def test_an_absent_effect_waits_until_it_had_time_to_appear(effect: Effect, world: Any) -> None:
    world.next_errors = [failure(Outcome.UNCERTAIN)]
    run_effect(effect.pk)
    make_due(effect)
    run_effect(effect.pk)
    assert (world.done, world.looks) == ([], 1)
    assert fresh(effect).reconciles == 1
    long_ago = timezone.now() - ListHandler.settle - timedelta(seconds=1)
    make_due(effect, dispatched_at=long_ago)
    run_effect(effect.pk)
    assert world.done == [effect.pk]


def test_what_cannot_be_looked_up_goes_to_a_person(effect: Effect, world: Any) -> None:
    world.loses_answer, world.blind = True, True
    run_effect(effect.pk)
    make_due(effect)
    run_effect(effect.pk)
    assert world.done == [effect.pk]
    assert fresh(effect).state == EffectState.DEAD
    assert fresh(effect).last_error_code == "cannot_correlate"


@pytest.mark.parametrize(
    ("outcome", "state", "dispatched"),
    [
        (Outcome.NOT_SENT, EffectState.PENDING, False),
        (Outcome.REFUSED, EffectState.DEAD, False),
        (Outcome.CREDENTIALS, EffectState.PENDING, False),
        (Outcome.RATE_LIMITED, EffectState.PENDING, False),
        (Outcome.UNCERTAIN, EffectState.PENDING, True),
    ],
)
def test_each_outcome_leaves_its_state(
    effect: Effect, world: Any, outcome: Outcome, state: str, dispatched: bool
) -> None:
    world.next_errors = [failure(outcome, retry_after=60)]
    run_effect(effect.pk)
    row = fresh(effect)
    assert row.state == state
    assert row.last_error == "It went wrong."
    assert row.last_error_hint == "Mend it."
    assert (row.dispatched_at is not None) is dispatched


def test_a_refused_connection_while_looking_keeps_the_doubt(effect: Effect, world: Any) -> None:
    world.loses_answer = True
    run_effect(effect.pk)
    make_due(effect)
    world.next_errors = [failure(Outcome.NOT_SENT)]
    run_effect(effect.pk)
    assert fresh(effect).dispatched_at is not None


def test_rate_limit_stops_the_whole_integration_and_costs_no_attempt(
    effect: Effect, world: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    world.next_errors = [failure(Outcome.RATE_LIMITED, retry_after=120)]
    run_effect(effect.pk)
    run_effect(other.pk)
    assert world.done == []
    assert fresh(effect).attempts == 0
    assert fresh(other).next_at > timezone.now() + timedelta(seconds=100)


def test_the_breaker_opens_after_five_failures_in_a_row(effect: Effect, world: Any) -> None:
    for _n in range(5):
        world.next_errors = [failure(Outcome.NOT_SENT)]
        make_due(effect, attempts=0)
        run_effect(effect.pk)
    assert IntegrationHealth.objects.get().open_until > timezone.now()
    make_due(effect)
    run_effect(effect.pk)
    assert world.done == []


def test_after_its_rest_one_goes_ahead_alone(effect: Effect, world: Any, tenant: Any) -> None:
    others = [
        create_effect(
            tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key=f"more{n}"
        )
        for n in range(3)
    ]
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    probe = claim(effect.pk)
    assert probe is not None
    assert [claim(other.pk) for other in others] == [None] * 3
    runner.Attempt(probe, ListHandler()).run()
    for other in others:
        make_due(other)
        run_effect(other.pk)
    assert len(world.done) == 4


def test_at_most_four_of_one_integration_are_out(world: Any, tenant: Any) -> None:
    rows = [
        create_effect(tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key=f"n{n}")
        for n in range(6)
    ]
    claimed = [claim(row.pk) for row in rows]
    assert [row is not None for row in claimed] == [True] * 4 + [False] * 2
    assert fresh(rows[5]).attempts == 0


def test_at_most_eight_of_one_tenant_are_out(world: Any, tenant: Any) -> None:
    rows = [
        create_effect(
            tenant=tenant, kind="test.list", integration_id=f"comm_{n}", dedupe_key=f"n{n}"
        )
        for n in range(10)
    ]
    assert [claim(row.pk) is not None for row in rows] == [True] * 8 + [False] * 2


def test_attempts_are_bounded(effect: Effect, world: Any) -> None:
    for _n in range(10):
        world.next_errors = [failure(Outcome.NOT_SENT)]
        make_due(effect)
        IntegrationHealth.objects.all().delete()
        run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DEAD
    assert fresh(effect).attempts == ListHandler.max_attempts + 1
    assert world.gave_up == ["attempts"]


def test_even_looking_is_bounded(effect: Effect, world: Any) -> None:
    world.loses_answer = True
    run_effect(effect.pk)
    for _n in range(20):
        world.next_errors = [failure(Outcome.NOT_SENT)]
        make_due(effect)
        IntegrationHealth.objects.all().delete()
        run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DEAD
    assert fresh(effect).attempts == 2 * ListHandler.max_attempts


def test_an_expired_effect_is_not_sent(effect: Effect, world: Any) -> None:
    make_due(effect, expires_at=timezone.now() - timedelta(seconds=1))
    run_effect(effect.pk)
    assert world.done == []
    assert fresh(effect).last_error_code == "expired"


def test_a_crashed_holder_is_succeeded_when_its_lease_ends(effect: Effect, world: Any) -> None:
    held = claim(effect.pk)
    assert held is not None
    assert claim(effect.pk) is None
    make_due(effect, lease_until=timezone.now() - timedelta(seconds=1))
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DONE


def test_a_frozen_holder_is_fenced_off(effect: Effect, world: Any) -> None:
    frozen = claim(effect.pk)
    assert frozen is not None
    make_due(effect, lease_until=timezone.now() - timedelta(seconds=1))
    run_effect(effect.pk)
    with pytest.raises(runner.Fenced):
        runner.Attempt(frozen, ListHandler()).run()
    assert world.done == [effect.pk]


def test_no_transaction_is_open_during_a_call(
    transactional_db: None, effect: Effect, world: Any
) -> None:
    run_effect(effect.pk)
    assert world.in_transaction == [False]


def test_postponing_costs_no_attempt(effect: Effect, world: Any) -> None:
    world.prepare_raises = Postpone(timedelta(seconds=30))
    run_effect(effect.pk)
    row = fresh(effect)
    assert (row.state, row.attempts) == (EffectState.PENDING, 0)
    assert row.next_at > timezone.now() + timedelta(seconds=20)


def test_what_settled_while_we_looked_is_not_waited_for(
    effect: Effect, world: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    Effect.objects.filter(pk=other.pk).update(next_at=timezone.now() + timedelta(seconds=40))
    world.prepare_raises = behind(fresh(other), timezone.now())
    run_effect(effect.pk)
    assert fresh(effect).next_at > timezone.now() + timedelta(seconds=30), "it is still open"
    make_due(effect)
    Effect.objects.filter(pk=other.pk).update(state=EffectState.DONE)  # since it was looked at
    run_effect(effect.pk)
    row = fresh(effect)
    assert (row.state, row.enqueued_at) == (EffectState.PENDING, None)
    assert row.next_at <= timezone.now()


def test_what_lost_its_meaning_is_cancelled(effect: Effect, world: Any) -> None:
    world.prepare_raises = Unneeded()
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.CANCELLED


def test_a_fault_of_ours_is_uncertain(effect: Effect, world: Any) -> None:
    world.next_errors = [RuntimeError("boom")]
    run_effect(effect.pk)
    row = fresh(effect)
    assert row.state == EffectState.PENDING
    assert row.dispatched_at is not None
    assert "boom" not in row.last_error


@pytest.mark.parametrize("was_sent", [True, False])
def test_after_a_restore_it_is_looked_for_before_it_is_sent(
    effect: Effect, world: Any, was_sent: bool
) -> None:
    world.done = [effect.pk] if was_sent else []
    call_command("restored")
    run_effect(effect.pk)
    assert (world.looks, world.done) == (1, [effect.pk] if was_sent else [])
    assert fresh(effect).state == (EffectState.DONE if was_sent else EffectState.PENDING)
    make_due(effect, dispatched_at=timezone.now() - ListHandler.settle)
    run_effect(effect.pk)
    assert world.done == [effect.pk]


def test_a_restore_leaves_alone_what_is_settled(effect: Effect, world: Any) -> None:
    run_effect(effect.pk)
    sent_at = fresh(effect).dispatched_at
    call_command("restored")
    assert fresh(effect).dispatched_at == sent_at


def test_nothing_goes_out_while_paused(effect: Effect, world: Any, settings: Any) -> None:
    settings.EFFECTS_PAUSED = True
    run_effect(effect.pk)
    assert world.done == []


def test_unknown_kinds_wait(effect: Effect, world: Any) -> None:
    make_due(effect, kind="from.the.future")
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING


def test_a_dead_effect_can_be_retried_and_a_done_one_not(
    effect: Effect, world: Any, owner: Any
) -> None:
    world.next_errors = [failure(Outcome.REFUSED)]
    run_effect(effect.pk)
    retry_effect(effect=effect, actor=owner)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DONE
    with pytest.raises(Exception, match="gave up"):
        retry_effect(effect=effect, actor=owner)


def test_a_person_may_send_again_what_nobody_can_look_up(
    effect: Effect, world: Any, owner: Any
) -> None:
    world.loses_answer, world.blind = True, True
    run_effect(effect.pk)
    make_due(effect)
    run_effect(effect.pk)
    world.loses_answer = False
    retry_effect(effect=effect, actor=owner)
    run_effect(effect.pk)
    assert world.done == [effect.pk, effect.pk]
    assert fresh(effect).state == EffectState.DONE


def test_a_waiting_effect_can_be_cancelled_and_one_on_its_way_not(
    effect: Effect, world: Any, owner: Any
) -> None:
    claim(effect.pk)
    with pytest.raises(Exception, match="on its way"):
        cancel_effect(effect=effect, actor=owner)
    make_due(effect, state=EffectState.PENDING)
    cancel_effect(effect=effect, actor=owner)
    run_effect(effect.pk)
    assert world.done == []


def test_a_mended_connection_lets_its_effects_go(effect: Effect, world: Any, tenant: Any) -> None:
    world.next_errors = [failure(Outcome.CREDENTIALS)]
    run_effect(effect.pk)
    run_effect(effect.pk)
    assert world.done == []
    resume_integration(tenant=tenant, integration_id="comm_x")
    run_effect(effect.pk)
    assert world.done == [effect.pk]


def test_due_effects_are_handed_out_once(effect: Effect, world: Any) -> None:
    assert due_effects() == [effect.pk]
    assert due_effects() == []


@pytest.mark.parametrize("outcome", [Outcome.CREDENTIALS, Outcome.RATE_LIMITED])
def test_a_doubt_that_nobody_can_clear_up_ends_with_its_time(
    effect: Effect, world: Any, outcome: Outcome
) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    world.next_errors = [failure(outcome)]
    make_due(effect, dispatched_at=long_ago, expires_at=long_ago)
    run_effect(effect.pk)
    found = fresh(effect)
    assert (found.state, found.last_error_code) == (EffectState.DEAD, outcome.value)
    assert found.dispatched_at == long_ago  # a retry looks before it sends


def test_a_long_rest_of_its_integration_does_not_outlast_an_effect(
    effect: Effect, world: Any
) -> None:
    resting_until = timezone.now() + timedelta(hours=20)
    IntegrationHealth.objects.create(
        tenant=effect.tenant, integration_id="comm_x", rate_limited_until=resting_until
    )
    run_effect(effect.pk)
    assert fresh(effect).next_at == effect.expires_at
    make_due(effect, expires_at=timezone.now())
    run_effect(effect.pk)
    assert (fresh(effect).state, fresh(effect).last_error_code) == (EffectState.DEAD, "expired")
    assert world.done == []


@pytest.mark.parametrize("reason", [Postpone(timedelta(seconds=1)), Unneeded()], ids=repr)
def test_whoever_makes_no_call_leaves_the_turn_to_the_next(
    effect: Effect, world: Any, tenant: Any, reason: Exception
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    world.prepare_raises = reason
    run_effect(effect.pk)
    world.prepare_raises = None
    run_effect(other.pk)
    assert world.done == [other.pk]


def test_a_refusal_proves_that_the_other_side_is_there(
    effect: Effect, world: Any, tenant: Any
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    world.next_errors = [failure(Outcome.REFUSED)]
    run_effect(effect.pk)
    run_effect(other.pk)
    assert world.done == [other.pk]
