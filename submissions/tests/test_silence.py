"""A person is told once when a rule has had too little data for hours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from delivr.effects import clock
from delivr.effects.models import Effect, IntegrationHealth
from integrations.providers.stores import Act, StoreState, SubmissionState
from integrations.providers.tests.wire import Reply
from releases.models import Release
from releases.tests.pages import Setup, text_of
from submissions.health.silence import PATIENCE
from submissions.models import RolloutRule, Submission
from submissions.operations import act_on
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import run_all
from submissions.tests.test_rules import (
    BAD,
    GOOD,
    HOME,
    LITTLE,
    Sentry,
    fresh,
    halting,
    look,
    look_at_store,
    rolled_out,
    sentry,
)

__all__ = ["sentry"]
pytestmark = pytest.mark.django_db
NOTHING = (None, 0)


def hours_pass(row: Submission, spent: timedelta = PATIENCE) -> None:
    for rule in row.rules.exclude(unknown_since=None):
        row.rules.filter(pk=rule.pk).update(unknown_since=rule.unknown_since - spent)


def told(release: Release) -> list[str]:
    found = Effect.objects.filter(kind="message.post", release_id=release.pk)
    found = found.filter(payload__notice="submission_needs_person").order_by("created_at")
    return [effect.payload["words"]["reason"] for effect in found]


def blockers(api: Any, release: Release) -> list[dict[str, Any]]:
    found = api.get(f"/api/v1/releases/{release.pk}").json()["blockers"]
    return [one for one in found if one["code"] == "health_unknown"]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (NOTHING, "has had no crash-free sessions of 1.5.0 for hours."),
        (LITTLE, "97.00 % crash-free sessions (50 sessions)"),
        ("error", "cannot be asked"),
    ],
)
def test_it_is_told_once_why_nothing_is_known_and_goes_away_with_data(
    setup: Setup,
    release: Release,
    store: type[FakeStore],
    sentry: Sentry,
    api_for: Any,
    member: Any,
    says: Any,
    words: str,
) -> None:
    row, api = rolled_out(setup, release, store, halting(sentry)), api_for(setup.tenant)
    if says == "error":
        sentry.wire.routes[f"{HOME}/sessions/"] = Reply({"detail": "Internal"}, 500)
    else:
        sentry.says(*says)
    look(row)
    hours_pass(row, PATIENCE - timedelta(minutes=1))
    look(row)
    assert (told(release), blockers(api, release)) == ([], [])
    hours_pass(row, timedelta(minutes=2))
    look(row, times=3)
    (reason,) = set(told(release))
    assert words in reason
    assert "no rule stops or continues the roll-out" in reason
    count = len(told(release))
    assert count == len(setup.slack.channels)
    (blocker,) = blockers(api, release)
    assert words in blocker["message"]
    assert blocker["hint"]
    assert blocker["since"]
    page = text_of(member.get(reverse("release", args=[release.pk])))
    assert words in page

    sentry.says(*GOOD)
    IntegrationHealth.objects.update(failures=0, open_until=None)  # the pause after failures ended
    look(row)
    assert blockers(api, release) == []
    assert fresh(row).unjudged == ""
    sentry.says(*NOTHING)
    look(row)
    assert len(told(release)) == count
    hours_pass(row)
    look(row, times=2)
    assert len(told(release)) == 2 * count  # it is another silence


def test_a_bad_reading_is_known(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*NOTHING)
    look(row)
    sentry.says(*BAD)
    look(row)
    assert RolloutRule.objects.get().unknown_since is None


def test_nobody_is_told_while_nobody_new_gets_it(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry, api_for: Any
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*NOTHING)
    look(row)
    act_on(submission=fresh(row), act=Act.HALT, actor=None)
    run_all(row)
    hours_pass(row)
    look(row)
    assert (told(release), RolloutRule.objects.get().unknown_since) == ([], None)
    store.state = StoreState(state=SubmissionState.LIVE, word="LIVE", percent=100)
    look_at_store(row)
    look(row)
    assert blockers(api_for(setup.tenant), release) == []


def test_rules_of_another_source_are_not_judged_by_it(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    users = halting(sentry, metric="crash_free_users")
    row = rolled_out(setup, release, store, halting(sentry), users)
    sentry.says(*GOOD)
    look(row)
    first, second = row.rules.all()
    assert first.unknown_since is None
    assert second.unknown_since <= clock.now()
