"""One round trip claims only what the claim of many statements would, and in the same way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from delivr.effects import clock, runner
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.plain_claim import claim_plain
from delivr.tests import factories

pytestmark = [
    pytest.mark.on_postgresql,
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has it"),
]
LATER, BEFORE = timedelta(minutes=5), -timedelta(minutes=5)


def _effect(**columns: Any) -> Effect:
    effect: Effect = factories.EffectFactory(next_at=clock.now(), **columns)
    IntegrationHealth.objects.create(tenant=effect.tenant, integration_id=effect.integration_id)
    return effect


def test_it_takes_what_the_other_takes() -> None:
    mine, theirs = _effect(), _effect()
    taken, expected = claim_plain(mine.pk), runner._claim(theirs.pk)
    assert taken is not None
    assert expected is not None
    told = ("state", "attempts", "lease_token", "payload", "kind", "result", "dispatched_at")
    assert {n: getattr(taken, n) for n in told} == {n: getattr(expected, n) for n in told}
    assert taken.lease_until is not None
    assert expected.lease_until is not None
    assert abs(taken.lease_until - expected.lease_until) < timedelta(seconds=10)
    stored = Effect.objects.get(pk=mine.pk)
    assert (stored.state, stored.lease_until) == ("LEASED", taken.lease_until)
    assert claim_plain(mine.pk) is None


@pytest.mark.parametrize(
    ("of_effect", "of_health"),
    [
        ({"next_at": LATER}, {}),
        ({"expires_at": BEFORE}, {}),
        ({"state": "DONE"}, {}),
        ({"state": "LEASED", "lease_until": LATER}, {}),
        ({"kind": "of a later version"}, {}),
        ({}, {"failures": 5}),
        ({}, {"open_until": LATER}),
        ({}, {"probe_until": LATER}),
        ({}, {"rate_limited_until": LATER}),
        ({}, {"credentials_refused_at": BEFORE}),
    ],
)
def test_it_leaves_the_rest_alone(of_effect: dict[str, Any], of_health: dict[str, Any]) -> None:
    effect, now = _effect(), clock.now()

    def times(columns: dict[str, Any]) -> dict[str, Any]:
        return {n: now + v if isinstance(v, timedelta) else v for n, v in columns.items()}

    rows = Effect.objects.filter(pk=effect.pk)
    rows.update(**times({"state": "PENDING", **of_effect}))
    IntegrationHealth.objects.filter(tenant=effect.tenant).update(
        **times({"failures": 0, **of_health})
    )
    before = rows.values().get()
    assert claim_plain(effect.pk) is None
    assert rows.values().get() == before


@pytest.mark.parametrize(("leased", "elsewhere"), [(4, 0), (0, 8), (3, 5)])
def test_it_never_takes_more_than_there_is_room_for(leased: int, elsewhere: int) -> None:
    effect = _effect()
    for number in range(leased + elsewhere):
        connection_id = effect.integration_id if number < leased else f"other{number}"
        factories.EffectFactory(
            tenant=effect.tenant,
            integration_id=connection_id,
            state="LEASED",
            lease_until=clock.now() + LATER,
        )
    assert claim_plain(effect.pk) is None


def test_an_abandoned_lease_is_taken_over() -> None:
    effect = _effect()
    gone = clock.now() + BEFORE
    Effect.objects.filter(pk=effect.pk).update(state="LEASED", lease_until=gone, lease_token=7)
    taken = claim_plain(effect.pk)
    assert taken is not None
    assert taken.lease_token == 8
