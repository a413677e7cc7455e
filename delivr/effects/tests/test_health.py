"""The breaker, the pauses, the credentials: what counts against an integration, and what not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivr.effects.health import blocked_until, note_failure, note_success
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import create_effect, resume_integration
from delivr.effects.runner import run_effect
from delivr.effects.tests.world import failure, fresh, make_due
from delivr.failures import Outcome

pytestmark = pytest.mark.django_db


# --- Health: what counts, what does not -----------------------------------------------------------


def health() -> IntegrationHealth:
    return IntegrationHealth.objects.get(integration_id="comm_x")


def test_a_fault_of_ours_opens_nobodys_breaker(effect: Effect, world: Any) -> None:
    for _n in range(6):
        world.next_errors = [RuntimeError("boom")]
        make_due(effect, attempts=0, dispatched_at=None)
        run_effect(effect.pk)
    assert health().failures == 0
    assert health().blocked_until(timezone.now()) is None


def test_a_fault_of_ours_gives_back_the_turn_to_try(
    effect: Effect, world: Any, tenant: Any
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    world.prepare_raises = RuntimeError("boom")
    run_effect(effect.pk)
    world.prepare_raises = None
    run_effect(other.pk)
    assert world.done == [other.pk]


def test_calls_that_fail_together_rest_once(effect: Effect, world: Any, tenant: Any) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=4)
    for _straggler in range(4):  # all were on their way when the first of them failed
        note_failure(tenant_id=tenant.pk, integration_id="comm_x", error=failure(Outcome.UNCERTAIN))
    assert health().failures == 5
    assert health().open_until < timezone.now() + timedelta(seconds=31)


def test_a_failed_try_doubles_the_rest_and_a_good_one_ends_it(
    effect: Effect, world: Any, tenant: Any
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    world.next_errors = [failure(Outcome.NOT_SENT)]
    run_effect(effect.pk)
    rest = health().open_until - timezone.now()
    assert timedelta(seconds=50) < rest <= timedelta(seconds=60)
    assert health().last_error == "It went wrong."
    assert health().failing_since is not None
    IntegrationHealth.objects.update(open_until=timezone.now())
    make_due(effect)
    run_effect(effect.pk)
    well = health()
    assert (well.failures, well.open_until, well.probe_until) == (0, None, None)
    assert (well.failing_since, well.last_error) == (None, "")


def test_a_question_is_the_one_that_tries_after_a_rest(tenant: Any) -> None:
    whose = {"tenant_id": tenant.pk, "integration_id": "comm_x"}
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    assert blocked_until(**whose) is None
    assert blocked_until(**whose) is not None
    note_success(**whose)
    assert blocked_until(**whose) is None


def test_a_pause_that_was_asked_for_outlasts_a_call_that_worked(
    effect: Effect, world: Any, tenant: Any
) -> None:
    whose = {"tenant_id": tenant.pk, "integration_id": "comm_x"}
    note_failure(**whose, error=failure(Outcome.RATE_LIMITED, retry_after=120))
    note_failure(**whose, error=failure(Outcome.RATE_LIMITED, retry_after=1))
    note_success(**whose)
    run_effect(effect.pk)
    assert world.done == []
    assert fresh(effect).next_at > timezone.now() + timedelta(seconds=100)


def test_refused_credentials_stop_all_of_the_integration_until_it_is_verified(
    effect: Effect, world: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    world.next_errors = [failure(Outcome.CREDENTIALS)]
    run_effect(effect.pk)
    run_effect(other.pk)
    make_due(effect)
    run_effect(effect.pk)
    assert world.done == []
    assert [fresh(e).attempts for e in (effect, other)] == [0, 0]
    assert fresh(other).next_at == other.expires_at  # no clock ends the pause before
    resume_integration(tenant=tenant, integration_id="comm_x")
    for waiting in (effect, other):
        run_effect(waiting.pk)
    assert len(world.done) == 2


def test_a_pause_is_told_in_the_transaction_that_makes_it(
    effect: Effect, world: Any, settings: Any
) -> None:
    settings.CREDENTIALS_REFUSED = f"{__name__}.refuse_to_listen"
    world.next_errors = [failure(Outcome.CREDENTIALS)]
    with pytest.raises(RuntimeError):
        run_effect(effect.pk)
    assert fresh(effect).state == EffectState.LEASED  # the lease ends, and it is met again


def refuse_to_listen(**_about: Any) -> None:
    raise RuntimeError
