"""What happens next with an effect: the same words for the page and the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivr.effects.models import Effect
from delivr.effects.next_attempt import what_next
from delivr.tests import factories

SOON = timezone.now() + timedelta(seconds=20)


def effect(**columns: Any) -> Effect:
    found: Effect = factories.EffectFactory.build(next_at=SOON, **columns)
    return found


@pytest.mark.parametrize(
    ("columns", "words", "when"),
    [
        ({"state": "DONE"}, "", None),
        ({"state": "CANCELLED"}, "", None),
        ({"state": "DEAD"}, "It failed.", None),
        ({"state": "DEAD", "dispatched_at": SOON}, "A retry checks there first", None),
        (
            {"state": "DEAD", "dispatched_at": SOON, "last_error_code": "cannot_correlate"},
            "Check there",
            None,
        ),
        ({"state": "LEASED", "lease_until": SOON}, "in progress", SOON),
        ({}, "It will be sent", SOON),
        ({"last_error": "Jenkins is away."}, "retried", SOON),
        ({"dispatched_at": SOON}, "sends it only if it is missing", SOON),
        ({"expires_at": SOON}, "It will expire then", SOON),
        ({"kind": "from.the.future"}, "does not support this kind", None),
    ],
)
def test_each_state_says_what_happens_next(columns: dict[str, Any], words: str, when: Any) -> None:
    text, at = what_next(effect(**columns))
    assert words in text
    assert bool(text) == bool(words)
    assert at == when


def test_paused_sending_has_no_time(settings: Any) -> None:
    settings.EFFECTS_PAUSED = True
    text, when = what_next(effect())
    assert "paused" in text
    assert when is None


@pytest.mark.django_db
def test_the_api_shows_all_columns_and_the_next_attempt(tenant: Any, api_for: Any) -> None:
    row = factories.EffectFactory(
        tenant=tenant, state="LEASED", lease_until=SOON, dispatched_at=SOON, reconciles=2
    )
    factories.EffectFactory(tenant=tenant, state="DONE")
    done, leased = api_for(tenant).get("/api/v1/effects").json()["results"]
    assert done["next"] is None
    assert leased["dedupeKey"] == row.dedupe_key
    assert leased["reconciles"] == 2
    assert leased["dispatchedAt"] == leased["leaseUntil"] == leased["next"]["at"]
    assert "in progress" in leased["next"]["text"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["state=LOST", "kind=nonsense", "releaseId=none", "releaseId=%00", "kind=%00"]
)
def test_an_invalid_filter_is_refused_in_words(tenant: Any, api_for: Any, query: str) -> None:
    answer = api_for(tenant).get(f"/api/v1/effects?{query}")
    assert answer.status_code == 400
    (name,) = answer.json()["errors"]
    assert query.startswith(name)


@pytest.mark.django_db
def test_all_invalid_filters_are_named_at_once(tenant: Any, api_for: Any) -> None:
    answer = api_for(tenant).get("/api/v1/effects?state=x&kind=y&releaseId=z")
    assert set(answer.json()["errors"]) == {"state", "kind", "releaseId"}
