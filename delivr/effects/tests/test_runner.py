"""What the runner guarantees, with a fake provider that keeps a list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from delivr.effects import runner
from delivr.effects.handlers import Postpone, Unneeded, wait_for
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import cancel_effect, create_effect, resume_integration, retry_effect
from delivr.effects.runner import claim, run_effect
from delivr.effects.sweeper import due_effects
from delivr.effects.tests.fake_provider import FakeHandler, failure, make_due, reload
from delivr.failures import Outcome

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


def test_an_effect_is_sent_once_and_done(effect: Effect, provider: Any) -> None:
    run_effect(effect.pk)
    run_effect(effect.pk)
    assert provider.sent == [effect.pk]
    assert reload(effect).state == EffectState.DONE
    assert reload(effect).result == {"n": 1}


def test_the_same_dedupe_key_is_one_effect(effect: Effect, tenant: Any) -> None:
    again = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="one"
    )
    assert again.pk == effect.pk


def test_the_write_ahead_precedes_the_call(effect: Effect, provider: Any) -> None:
    provider.next_errors = [failure(Outcome.UNCERTAIN)]
    run_effect(effect.pk)
    assert reload(effect).dispatched_at is not None
    assert reload(effect).state == EffectState.PENDING


def test_a_lost_answer_is_found_and_nothing_is_sent_again(effect: Effect, provider: Any) -> None:
    provider.loses_response = True
    run_effect(effect.pk)
    provider.loses_response = False
    make_due(effect)
    run_effect(effect.pk)
    assert provider.sent == [effect.pk]
    assert reload(effect).state == EffectState.DONE
    assert reload(effect).result == {"found": True}


def test_an_absent_effect_waits_until_it_had_time_to_appear(effect: Effect, provider: Any) -> None:
    provider.next_errors = [failure(Outcome.UNCERTAIN)]
    run_effect(effect.pk)
    make_due(effect)
    run_effect(effect.pk)
    assert (provider.sent, provider.lookups) == ([], 1)
    assert reload(effect).reconciles == 1
    long_ago = timezone.now() - FakeHandler.settle - timedelta(seconds=1)
    make_due(effect, dispatched_at=long_ago)
    run_effect(effect.pk)
    assert provider.sent == [effect.pk]


def test_what_cannot_be_looked_up_goes_to_a_person(effect: Effect, provider: Any) -> None:
    provider.loses_response, provider.cannot_look_up = True, True
    run_effect(effect.pk)
    make_due(effect)
    run_effect(effect.pk)
    assert provider.sent == [effect.pk]
    assert reload(effect).state == EffectState.DEAD
    assert reload(effect).last_error_code == "cannot_correlate"


@pytest.mark.parametrize(
    ("outcome", "state", "dispatched"),
    [
        (Outcome.NOT_SENT, EffectState.PENDING, False),
        (Outcome.REFUSED, EffectState.DEAD, False),
        (Outcome.CREDENTIALS, EffectState.PENDING, False),
        (Outcome.RATE_LIMITED, EffectState.PENDING, False),
        (Outcome.NOT_YET, EffectState.PENDING, False),
        (Outcome.UNCERTAIN, EffectState.PENDING, True),
    ],
)
def test_each_outcome_leaves_its_state(
    effect: Effect, provider: Any, outcome: Outcome, state: str, dispatched: bool
) -> None:
    provider.next_errors = [failure(outcome, retry_after=60)]
    run_effect(effect.pk)
    row = reload(effect)
    assert row.state == state
    assert row.last_error == "It went wrong."
    assert row.last_error_hint == "Mend it."
    assert (row.dispatched_at is not None) is dispatched


def test_a_refused_connection_while_looking_keeps_the_doubt(effect: Effect, provider: Any) -> None:
    provider.loses_response = True
    run_effect(effect.pk)
    make_due(effect)
    provider.next_errors = [failure(Outcome.NOT_SENT)]
    run_effect(effect.pk)
    assert reload(effect).dispatched_at is not None


def test_rate_limit_stops_the_whole_integration_and_costs_no_attempt(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    provider.next_errors = [failure(Outcome.RATE_LIMITED, retry_after=120)]
    run_effect(effect.pk)
    run_effect(other.pk)
    assert provider.sent == []
    assert reload(effect).attempts == 0
    assert reload(other).next_at > timezone.now() + timedelta(seconds=100)


def test_what_is_not_ready_yet_waits_and_costs_nothing(effect: Effect, provider: Any) -> None:
    for _n in range(6):
        provider.next_errors = [failure(Outcome.NOT_YET, retry_after=60)]
        make_due(effect)
        run_effect(effect.pk)
    row = reload(effect)
    assert (row.attempts, row.next_at > timezone.now() + timedelta(seconds=50)) == (0, True)
    assert not IntegrationHealth.objects.exclude(failures=0).exists()


def test_the_breaker_opens_after_five_failures_in_a_row(effect: Effect, provider: Any) -> None:
    for _n in range(5):
        provider.next_errors = [failure(Outcome.NOT_SENT)]
        make_due(effect, attempts=0)
        run_effect(effect.pk)
    assert IntegrationHealth.objects.get().open_until > timezone.now()
    make_due(effect)
    run_effect(effect.pk)
    assert provider.sent == []


def test_after_the_pause_one_effect_probes_alone(
    effect: Effect, provider: Any, tenant: Any
) -> None:
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
    runner.Attempt(probe, FakeHandler()).run()
    for other in others:
        make_due(other)
        run_effect(other.pk)
    assert len(provider.sent) == 4


def test_at_most_four_of_one_integration_run_at_once(provider: Any, tenant: Any) -> None:
    rows = [
        create_effect(tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key=f"n{n}")
        for n in range(6)
    ]
    claimed = [claim(row.pk) for row in rows]
    assert [row is not None for row in claimed] == [True] * 4 + [False] * 2
    assert reload(rows[5]).attempts == 0


def test_at_most_eight_of_one_tenant_run_at_once(provider: Any, tenant: Any) -> None:
    rows = [
        create_effect(
            tenant=tenant, kind="test.list", integration_id=f"comm_{n}", dedupe_key=f"n{n}"
        )
        for n in range(10)
    ]
    assert [claim(row.pk) is not None for row in rows] == [True] * 8 + [False] * 2


def test_attempts_are_bounded(effect: Effect, provider: Any) -> None:
    for _n in range(10):
        provider.next_errors = [failure(Outcome.NOT_SENT)]
        make_due(effect)
        IntegrationHealth.objects.all().delete()
        run_effect(effect.pk)
    assert reload(effect).state == EffectState.DEAD
    assert reload(effect).attempts == FakeHandler.max_attempts + 1
    assert provider.gave_up == ["attempts"]


def test_lookups_are_bounded(effect: Effect, provider: Any) -> None:
    provider.loses_response = True
    run_effect(effect.pk)
    for _n in range(20):
        provider.next_errors = [failure(Outcome.NOT_SENT)]
        make_due(effect)
        IntegrationHealth.objects.all().delete()
        run_effect(effect.pk)
    assert reload(effect).state == EffectState.DEAD
    assert reload(effect).attempts == 2 * FakeHandler.max_attempts


def test_an_expired_effect_is_not_sent(effect: Effect, provider: Any) -> None:
    make_due(effect, expires_at=timezone.now() - timedelta(seconds=1))
    run_effect(effect.pk)
    assert provider.sent == []
    assert reload(effect).last_error_code == "expired"


def test_the_effect_of_a_crashed_worker_is_sent_when_its_lease_ends(
    effect: Effect, provider: Any
) -> None:
    held = claim(effect.pk)
    assert held is not None
    assert claim(effect.pk) is None
    make_due(effect, lease_until=timezone.now() - timedelta(seconds=1))
    run_effect(effect.pk)
    assert reload(effect).state == EffectState.DONE


def test_a_frozen_worker_is_fenced_off(effect: Effect, provider: Any) -> None:
    frozen = claim(effect.pk)
    assert frozen is not None
    make_due(effect, lease_until=timezone.now() - timedelta(seconds=1))
    run_effect(effect.pk)
    with pytest.raises(runner.Fenced):
        runner.Attempt(frozen, FakeHandler()).run()
    assert provider.sent == [effect.pk]


def test_no_transaction_is_open_during_a_call(
    transactional_db: None, effect: Effect, provider: Any
) -> None:
    run_effect(effect.pk)
    assert provider.in_transaction == [False]


def test_postponing_costs_no_attempt(effect: Effect, provider: Any) -> None:
    provider.prepare_raises = Postpone(timedelta(seconds=30))
    run_effect(effect.pk)
    row = reload(effect)
    assert (row.state, row.attempts) == (EffectState.PENDING, 0)
    assert row.next_at > timezone.now() + timedelta(seconds=20)


def test_an_effect_that_settled_meanwhile_is_not_waited_for(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    Effect.objects.filter(pk=other.pk).update(next_at=timezone.now() + timedelta(seconds=40))
    provider.prepare_raises = wait_for(reload(other), timezone.now())
    run_effect(effect.pk)
    assert reload(effect).next_at > timezone.now() + timedelta(seconds=30), "it is still open"
    make_due(effect)
    Effect.objects.filter(pk=other.pk).update(state=EffectState.DONE)  # after it was read
    run_effect(effect.pk)
    row = reload(effect)
    assert (row.state, row.enqueued_at) == (EffectState.PENDING, None)
    assert row.next_at <= timezone.now()


def test_an_effect_waits_for_one_that_failed_until_a_person_decides(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    Effect.objects.filter(pk=other.pk).update(state=EffectState.DEAD)
    provider.prepare_raises = Postpone(timedelta(hours=1), reload(other))
    run_effect(effect.pk)
    assert reload(effect).next_at > timezone.now() + timedelta(minutes=30)
    make_due(effect)
    Effect.objects.filter(pk=other.pk).update(state=EffectState.CANCELLED)  # after it was read
    run_effect(effect.pk)
    assert reload(effect).next_at <= timezone.now()


def test_an_unneeded_effect_is_cancelled(effect: Effect, provider: Any) -> None:
    provider.prepare_raises = Unneeded()
    run_effect(effect.pk)
    assert reload(effect).state == EffectState.CANCELLED


def test_an_internal_error_is_uncertain(effect: Effect, provider: Any) -> None:
    provider.next_errors = [RuntimeError("boom")]
    run_effect(effect.pk)
    row = reload(effect)
    assert row.state == EffectState.PENDING
    assert row.dispatched_at is not None
    assert "boom" not in row.last_error


@pytest.mark.parametrize("was_sent", [True, False])
def test_after_a_restore_an_effect_is_looked_for_before_it_is_sent(
    effect: Effect, provider: Any, was_sent: bool
) -> None:
    provider.sent = [effect.pk] if was_sent else []
    call_command("restored")
    run_effect(effect.pk)
    assert (provider.lookups, provider.sent) == (1, [effect.pk] if was_sent else [])
    assert reload(effect).state == (EffectState.DONE if was_sent else EffectState.PENDING)
    make_due(effect, dispatched_at=timezone.now() - FakeHandler.settle)
    run_effect(effect.pk)
    assert provider.sent == [effect.pk]


def test_a_restore_does_not_touch_settled_effects(effect: Effect, provider: Any) -> None:
    run_effect(effect.pk)
    sent_at = reload(effect).dispatched_at
    call_command("restored")
    assert reload(effect).dispatched_at == sent_at


def test_nothing_is_sent_while_paused(effect: Effect, provider: Any, settings: Any) -> None:
    settings.EFFECTS_PAUSED = True
    run_effect(effect.pk)
    assert provider.sent == []


def test_unknown_kinds_wait(effect: Effect, provider: Any) -> None:
    make_due(effect, kind="from.the.future")
    run_effect(effect.pk)
    assert reload(effect).state == EffectState.PENDING


def test_a_dead_effect_can_be_retried_but_not_a_done_one(
    effect: Effect, provider: Any, owner: Any
) -> None:
    provider.next_errors = [failure(Outcome.REFUSED)]
    run_effect(effect.pk)
    retry_effect(effect=effect, actor=owner)
    run_effect(effect.pk)
    assert reload(effect).state == EffectState.DONE
    with pytest.raises(Exception, match="failed"):
        retry_effect(effect=effect, actor=owner)


def test_a_person_may_send_again_what_cannot_be_looked_up(
    effect: Effect, provider: Any, owner: Any
) -> None:
    provider.loses_response, provider.cannot_look_up = True, True
    run_effect(effect.pk)
    make_due(effect)
    run_effect(effect.pk)
    provider.loses_response = False
    retry_effect(effect=effect, actor=owner)
    run_effect(effect.pk)
    assert provider.sent == [effect.pk, effect.pk]
    assert reload(effect).state == EffectState.DONE


def test_a_pending_effect_can_be_cancelled_but_not_a_leased_one(
    effect: Effect, provider: Any, owner: Any
) -> None:
    claim(effect.pk)
    with pytest.raises(Exception, match="in progress"):
        cancel_effect(effect=effect, actor=owner)
    make_due(effect, state=EffectState.PENDING)
    cancel_effect(effect=effect, actor=owner)
    run_effect(effect.pk)
    assert provider.sent == []


def test_a_resumed_integration_sends_its_waiting_effects(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    provider.next_errors = [failure(Outcome.CREDENTIALS)]
    run_effect(effect.pk)
    run_effect(effect.pk)
    assert provider.sent == []
    resume_integration(tenant=tenant, integration_id="comm_x")
    run_effect(effect.pk)
    assert provider.sent == [effect.pk]


def test_due_effects_are_returned_once(effect: Effect, provider: Any) -> None:
    assert due_effects() == [effect.pk]
    assert due_effects() == []


@pytest.mark.parametrize("outcome", [Outcome.CREDENTIALS, Outcome.RATE_LIMITED, Outcome.NOT_YET])
def test_an_effect_in_doubt_that_cannot_be_looked_up_expires(
    effect: Effect, provider: Any, outcome: Outcome
) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    provider.next_errors = [failure(outcome)]
    make_due(effect, dispatched_at=long_ago, expires_at=long_ago)
    run_effect(effect.pk)
    found = reload(effect)
    assert (found.state, found.last_error_code) == (EffectState.DEAD, outcome.value)
    assert found.dispatched_at == long_ago  # so that a retry looks before it sends


def test_an_effect_expires_while_its_integration_is_rate_limited(
    effect: Effect, provider: Any
) -> None:
    resting_until = timezone.now() + timedelta(hours=20)
    IntegrationHealth.objects.create(
        tenant=effect.tenant, integration_id="comm_x", rate_limited_until=resting_until
    )
    run_effect(effect.pk)
    assert reload(effect).next_at == effect.expires_at
    make_due(effect, expires_at=timezone.now())
    run_effect(effect.pk)
    assert (reload(effect).state, reload(effect).last_error_code) == (EffectState.DEAD, "expired")
    assert provider.sent == []


@pytest.mark.parametrize("reason", [Postpone(timedelta(seconds=1)), Unneeded()], ids=repr)
def test_a_probe_that_makes_no_call_lets_the_next_effect_probe(
    effect: Effect, provider: Any, tenant: Any, reason: Exception
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    provider.prepare_raises = reason
    run_effect(effect.pk)
    provider.prepare_raises = None
    run_effect(other.pk)
    assert provider.sent == [other.pk]


def test_a_refusal_closes_the_breaker(effect: Effect, provider: Any, tenant: Any) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    provider.next_errors = [failure(Outcome.REFUSED)]
    run_effect(effect.pk)
    run_effect(other.pk)
    assert provider.sent == [other.pk]
