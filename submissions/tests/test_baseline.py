"""Figures beside those of the previous release at the same stage, and rules that compare."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from delivr.effects import clock
from integrations.models import HealthIntegration
from integrations.providers.stores import SubmissionState
from releases.models import Release
from releases.tests.pages import Setup, text_of
from submissions.models import HealthReading, HealthWatch, Submission
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.test_health_pages import api, rule, source, tried
from submissions.tests.test_rules import (
    GOOD,
    Sentry,
    acts,
    fresh,
    halting,
    look,
    rolled_out,
    sentry,
)

__all__ = ["api", "sentry", "source"]
pytestmark = pytest.mark.django_db


def previous(
    setup: Setup,
    source: HealthIntegration,
    values: list[float],
    *,
    version: str = "1.4.0",
    percent: float = 5.0,
    track: str = "production",
    sample: int = 20_000,
) -> Submission:
    """An earlier submission with readings at one share, one an hour."""
    release = setup.release(version=version)
    row = Submission.objects.create(
        tenant=setup.tenant,
        release=release,
        release_target=release.targets.get(target=setup.ios),
        target=setup.ios,
        store_build="200",
        track=track,
        state=SubmissionState.REPLACED,
        created_at=clock.now() - timedelta(days=30),
    )
    for number, value in enumerate(values):
        at = row.created_at + timedelta(hours=number)
        HealthReading.objects.create(
            tenant=setup.tenant,
            submission=row,
            source=source,
            metric="crash_free_sessions",
            value=value,
            sample=sample,
            until=at,
            percent=percent,
            at=at,
        )
    return row


def comparing(sentry: Sentry, **changes: Any) -> Any:
    return halting(sentry, threshold=None, margin=0.5, **changes)


def test_figures_stand_beside_those_of_the_previous_release(
    setup: Setup,
    release: Release,
    store: type[FakeStore],
    sentry: Sentry,
    member: Any,
    api_for: Any,
) -> None:
    previous(setup, sentry.row, [91.0], version="1.3.0")
    previous(setup, sentry.row, [99.5, 99.2], version="1.4.0")
    previous(setup, sentry.row, [92.0], version="1.4.1", percent=20.0)  # another stage
    previous(setup, sentry.row, [93.0], version="1.4.2", track="internal")
    Submission.objects.filter(release__version="1.4.0").update(
        created_at=clock.now() - timedelta(days=20)
    )
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*GOOD)
    look(row)
    page = text_of(member.get(reverse("release", args=[release.pk])))
    assert "1.4.0 at this step: 99.50 % (20,000 sessions)" in page
    (figure,) = api_for(setup.tenant).get(f"/api/v1/submissions/{row.pk}").json()["health"]
    assert figure["previous"] == {"version": "1.4.0", "value": 99.5, "sample": 20_000}


def test_it_is_compared_at_the_same_age(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    previous(setup, sentry.row, [99.5, 99.2, 99.1])
    row = rolled_out(setup, release, store, halting(sentry))
    for event in row.events.all():
        row.events.filter(pk=event.pk).update(at=event.at - timedelta(hours=1, minutes=10))
    Submission.objects.filter(pk=row.pk).update(
        changed_at=clock.now() - timedelta(hours=1, minutes=10)
    )
    sentry.says(*GOOD)
    look(row)
    assert HealthWatch.objects.get(submission=row).before[0]["value"] == 99.2


def test_no_figures_of_another_workspace_app_or_of_itself(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    from delivr.tests.factories import SentryFactory

    other = Setup(SentryFactory().tenant)
    previous(other, SentryFactory(tenant=other.tenant), [97.0])
    row = rolled_out(setup, release, store, comparing(sentry))
    sentry.says(90.0, 20_000)
    look(row, times=3)
    assert HealthWatch.objects.get(submission=row).before == []
    assert acts(store) == []  # nothing to compare with: UNKNOWN


def test_it_halts_if_it_is_certainly_worse_than_before(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    previous(setup, sentry.row, [99.5])
    row = rolled_out(setup, release, store, comparing(sentry))
    sentry.says(99.2, 20_000)
    look(row, times=2)
    assert acts(store) == []
    sentry.says(98.5, 20_000)
    assert look(row, times=2).state == "HALTED"
    event = row.events.get(facts__has_key="rule")
    assert event.what == (
        f"98.50 % crash-free sessions (20,000 sessions) in {sentry.row}, after 99.50 % (20,000 "
        "sessions) of the previous release: stopped by a rule"
    )
    assert (event.facts["margin"], event.facts["before"]["value"]) == (0.5, 99.5)
    assert "than those of the previous release" in event.facts["sentence"]


def test_it_advances_if_it_is_certainly_not_worse(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    previous(setup, sentry.row, [99.5])
    advance = comparing(sentry, action="ADVANCE", after_hours=1e-7)
    row = rolled_out(setup, release, store, advance)
    sentry.says(99.0, 20_000)  # by just the margin
    look(row)
    assert fresh(row).percent == 5
    sentry.says(99.45, 20_000)
    assert look(row).percent == 20


def test_a_back_test_compares_each_with_the_one_before(
    setup: Setup, source: HealthIntegration
) -> None:
    previous(setup, source, [99.9, 99.9], version="1.3.0")
    bad = previous(setup, source, [99.9, 98.0, 98.0], version="1.4.0")
    at = bad.readings.order_by("at")[2].at
    found = tried(setup, source, threshold=None, margin=0.5)
    assert found == [("1.4.0", at), ("1.3.0", None)]


@pytest.mark.parametrize("margin", [-0.1, 51, "NaN", "Infinity"])
def test_margins_out_of_range_are_refused(
    api: Any,
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    source: HealthIntegration,
    margin: Any,
) -> None:
    wanted = rule(source, margin=margin)
    wanted.pop("threshold")
    body = {"targetId": setup.ios.pk, "steps": [5, 100], "rolloutRules": [wanted]}
    answer = api.post(f"/api/v1/releases/{release.pk}/submissions", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["rolloutRules"])
    both = {**body, "rolloutRules": [rule(source, margin=1)]}
    answer = api.post(f"/api/v1/releases/{release.pk}/submissions", both)
    assert "not both" in answer.json()["errors"]["rolloutRules"][0]
    good = {**body, "rolloutRules": [{**wanted, "margin": 0.5}]}
    made = api.post(f"/api/v1/releases/{release.pk}/submissions", good).json()
    assert (made["rolloutRules"][0]["margin"], made["rolloutRules"][0]["threshold"]) == (0.5, None)


def test_a_silent_comparison_says_with_what(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    row = rolled_out(setup, release, store, comparing(sentry))
    for earlier, words in ((False, "has no crash-free sessions of an earlier release"), (True, "")):
        if earlier:
            previous(setup, sentry.row, [99.5])
            words = "to tell it from 99.50 % (20,000 sessions) of 1.4.0."
        sentry.says(99.0, 20_000)
        look(row)
        row.rules.update(unknown_since=clock.now() - timedelta(hours=7))
        assert words in look(row).unjudged
