"""Fair order of due effects; waiting for another effect without busy polling."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivr.effects.handlers import wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import create_effect, resume_integration
from delivr.effects.sweeper import due_effects
from delivr.effects.tests.fake_provider import reload
from delivr.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


# --- Fair order -----------------------------------------------------------------------------------


def test_one_tenants_flood_does_not_delay_another_tenant(provider: Any, tenant: Any) -> None:
    for integration in ("comm_x", "comm_y"):
        for n in range(130):
            create_effect(
                tenant=tenant,
                kind="test.list",
                integration_id=integration,
                dedupe_key=f"{integration}{n}",
            )
    other = factories.TenantFactory()
    late = create_effect(tenant=other, kind="test.list", integration_id="comm_z", dedupe_key="late")
    with CaptureQueriesContext(connection) as asked:
        batch = due_effects()
    assert late.pk in batch[:3]
    shares = Effect.objects.filter(pk__in=batch).values_list("integration_id", flat=True)
    assert Counter(shares) == {"comm_x": 64, "comm_y": 64, "comm_z": 1}
    with CaptureQueriesContext(connection) as asked_again:
        assert len(due_effects()) == 128
    assert len(asked) == len(asked_again) < 8


def test_nothing_is_due_while_paused(effect: Effect, provider: Any, settings: Any) -> None:
    settings.EFFECTS_PAUSED = True
    assert due_effects() == []
    assert reload(effect).enqueued_at is None


# --- Waiting for another effect -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other_columns", "seconds"),
    [
        ({"next_at": 30}, 30),
        ({"next_at": 0}, 2),
        ({"next_at": 3600}, 60),
        ({"state": EffectState.LEASED, "lease_until": 45}, 45),
    ],
)
def test_an_effect_waits_until_the_other_one_is_due(
    other_columns: dict[str, Any], seconds: int
) -> None:
    now = timezone.now()
    times = {
        name: now + timedelta(seconds=value)
        for name, value in other_columns.items()
        if isinstance(value, int)
    }
    other = factories.EffectFactory.build(**{**other_columns, **times})
    assert wait_for(other, now).delay == timedelta(seconds=seconds)


def test_waking_many_effects_enqueues_few(
    provider: Any, tenant: Any, django_capture_on_commit_callbacks: Any
) -> None:
    for n in range(20):
        create_effect(tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key=f"n{n}")
    later = timezone.now() + timedelta(hours=1)
    Effect.objects.update(next_at=later, enqueued_at=timezone.now())
    with django_capture_on_commit_callbacks() as enqueued:
        resume_integration(tenant=tenant, integration_id="comm_x")
    assert len(enqueued) == 4
    assert not Effect.objects.filter(next_at__gt=timezone.now()).exists()
    assert len(due_effects()) == 20
