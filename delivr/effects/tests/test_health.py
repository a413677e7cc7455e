"""The breaker, rate limits and refused credentials: what counts against an integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivr.effects.health import blocked_until, forget_pause, note_failure, note_success
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import create_effect, resume_integration
from delivr.effects.runner import run_effect
from delivr.effects.tests.fake_provider import failure, make_due, reload
from delivr.failures import Outcome

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


def health() -> IntegrationHealth:
    return IntegrationHealth.objects.get(integration_id="comm_x")


def test_an_internal_error_does_not_open_the_breaker(effect: Effect, provider: Any) -> None:
    for _n in range(6):
        provider.next_errors = [RuntimeError("boom")]
        make_due(effect, attempts=0, dispatched_at=None)
        run_effect(effect.pk)
    assert health().failures == 0
    assert health().blocked_until(timezone.now()) is None


def test_an_internal_error_releases_the_probe(effect: Effect, provider: Any, tenant: Any) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    provider.prepare_raises = RuntimeError("boom")
    run_effect(effect.pk)
    provider.prepare_raises = None
    run_effect(other.pk)
    assert provider.sent == [other.pk]


def test_calls_that_fail_at_once_open_the_breaker_once(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=4)
    for _n in range(4):  # all had begun when the first of them failed
        note_failure(tenant_id=tenant.pk, integration_id="comm_x", error=failure(Outcome.UNCERTAIN))
    assert health().failures == 5
    assert health().open_until < timezone.now() + timedelta(seconds=31)


def test_a_failed_probe_doubles_the_pause_and_a_good_one_ends_it(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    provider.next_errors = [failure(Outcome.NOT_SENT)]
    run_effect(effect.pk)
    pause = health().open_until - timezone.now()
    assert timedelta(seconds=50) < pause <= timedelta(seconds=60)
    assert health().last_error == "It went wrong."
    assert health().failing_since is not None
    IntegrationHealth.objects.update(open_until=timezone.now())
    make_due(effect)
    run_effect(effect.pk)
    healthy = health()
    assert (healthy.failures, healthy.open_until, healthy.probe_until) == (0, None, None)
    assert (healthy.failing_since, healthy.last_error) == (None, "")


def test_a_call_outside_of_effects_may_be_the_probe(tenant: Any) -> None:
    integration = {"tenant_id": tenant.pk, "integration_id": "comm_x"}
    IntegrationHealth.objects.create(tenant=tenant, integration_id="comm_x", failures=5)
    assert blocked_until(**integration) is None
    assert blocked_until(**integration) is not None
    note_success(**integration)
    assert blocked_until(**integration) is None


def test_a_rate_limit_outlasts_a_call_that_worked(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    integration = {"tenant_id": tenant.pk, "integration_id": "comm_x"}
    note_failure(**integration, error=failure(Outcome.RATE_LIMITED, retry_after=120))
    note_failure(**integration, error=failure(Outcome.RATE_LIMITED, retry_after=1))
    note_success(**integration)
    run_effect(effect.pk)
    assert provider.sent == []
    assert reload(effect).next_at > timezone.now() + timedelta(seconds=100)


def test_a_wait_that_a_failing_server_asks_for_is_kept(
    tenant: Any,
) -> None:
    """Retry-After of a 503, which "Try now" may not skip either."""
    integration = {"tenant_id": tenant.pk, "integration_id": "int_1"}
    note_failure(**integration, error=failure(Outcome.UNCERTAIN, retry_after=120))
    forget_pause(tenant_id=tenant.pk, integration_ids=["int_1"])
    until = blocked_until(**integration)
    assert until is not None
    assert until > timezone.now() + timedelta(seconds=110)
    assert IntegrationHealth.objects.get().failures == 1


def test_refused_credentials_stop_the_integration_until_it_is_verified(
    effect: Effect, provider: Any, tenant: Any
) -> None:
    other = create_effect(
        tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="two"
    )
    provider.next_errors = [failure(Outcome.CREDENTIALS)]
    run_effect(effect.pk)
    run_effect(other.pk)
    make_due(effect)
    run_effect(effect.pk)
    assert provider.sent == []
    assert [reload(e).attempts for e in (effect, other)] == [0, 0]
    assert reload(other).next_at == other.expires_at  # it waits until it expires
    resume_integration(tenant=tenant, integration_id="comm_x")
    for waiting in (effect, other):
        run_effect(waiting.pk)
    assert len(provider.sent) == 2


def test_a_pause_is_reported_in_its_own_transaction(
    effect: Effect, provider: Any, settings: Any
) -> None:
    settings.CREDENTIALS_REFUSED = f"{__name__}.fail_to_report"
    provider.next_errors = [failure(Outcome.CREDENTIALS)]
    with pytest.raises(RuntimeError):
        run_effect(effect.pk)
    assert reload(effect).state == EffectState.LEASED  # it is tried again when the lease ends


def fail_to_report(**_about: Any) -> None:
    raise RuntimeError
