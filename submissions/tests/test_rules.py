"""What rules do after the figures of a real request, and what they never do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.tests.factories import SentryFactory
from integrations.models import HealthIntegration
from integrations.providers.stores import Act, StoreState, SubmissionState
from integrations.providers.tests.wire import Reply, Wire
from releases.models import Release
from releases.tests.pages import Setup
from submissions import reading as store_reading
from submissions.health import reading
from submissions.health.wishes import RuleWish
from submissions.models import HealthReading, HealthWatch, RolloutRule, Submission
from submissions.operations import act_on, submit
from submissions.plans import Wishes
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import run_all

pytestmark = pytest.mark.django_db
HOME = "/api/0/organizations/dream11"
GOOD, BAD, LITTLE = (99.9, 20_000), (97.0, 20_000), (97.0, 50)


class Sentry:
    """The source, whose figures a test decides on."""

    def __init__(self, wire: Wire, row: HealthIntegration) -> None:
        self.wire, self.row = wire, row
        self.wire.routes[f"{HOME}/releases/"] = lambda seen: Reply(
            [{"version": f"com.dream11.app@{seen.query['query']}+245"}]
        )

    def says(self, percent: float | None, sample: int, until: datetime | None = None) -> None:
        totals = {
            "sum(session)": sample,
            "crash_free_rate(session)": None if percent is None else percent / 100,
            "count_unique(user)": 0,
            "crash_free_rate(user)": None,
        }
        answer = {"groups": [{"by": {}, "totals": totals}]}
        if until:
            answer["end"] = until.isoformat()
        self.wire.routes[f"{HOME}/sessions/"] = Reply(answer)


@pytest.fixture
def sentry(tenant: Any, setup: Setup) -> Iterator[Sentry]:
    setup.ios.app_identifier = "com.dream11.app"
    setup.ios.save()
    with Wire() as wire, override_settings(OUTBOUND_ALLOW=[wire.url.split("://")[1]]):
        own = {"server_url": wire.url, "api_token": "token", "options": {"project_id": "17"}}
        row = SentryFactory(tenant=tenant, **own)
        yield Sentry(wire, row)


def halting(sentry: Sentry, **changes: Any) -> RuleWish:
    values = {
        "source": sentry.row.pk,
        "metric": "crash_free_sessions",
        "threshold": 99.0,
        "min_sample": 100,
        "action": "HALT",
        **changes,
    }
    return RuleWish(**values)


def rolled_out(
    setup: Setup, release: Release, store: type[FakeStore], *rules: RuleWish
) -> Submission:
    """A submission that 5 % of the users have."""
    wishes = Wishes(shares=[5, 20, 100], rollout_rules=rules)
    row = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)
    run_all(row)
    store.state = StoreState(state=SubmissionState.ROLLING_OUT, word="LIVE", percent=5)
    return look_at_store(row)


def look_at_store(row: Submission) -> Submission:
    Submission.objects.filter(pk=row.pk).update(read_at=clock.now())
    store_reading.read(row.pk)
    return fresh(row)


def fresh(row: Submission) -> Submission:
    found: Submission = Submission.objects.get(pk=row.pk)
    return found


def look(row: Submission, times: int = 1) -> Submission:
    """Read every source of the submission, and send what follows."""
    for _ in range(times):
        reading.due()
        for watch in HealthWatch.objects.filter(submission=row):
            HealthWatch.objects.filter(pk=watch.pk).update(look_at=clock.now())
            reading.read(watch.pk)
        run_all(row)
    return fresh(row)


def acts(store: type[FakeStore]) -> list[str]:
    return [step for step, _share in store.taken if step in list(Act)]


# --- Stopping ------------------------------------------------------------------------------------


def test_two_bad_readings_in_a_row_halt_it(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*BAD)
    assert (look(row).state, acts(store)) == ("ROLLING_OUT", [])
    assert (look(row).state, acts(store)) == ("HALTED", ["halt"])
    event = row.events.get(facts__has_key="rule")
    assert event.what == (
        f"97.00 % crash-free sessions (20,000 sessions) in {sentry.row}: stopped by a rule"
    )
    assert (event.facts["value"], event.facts["sample"]) == (97.0, 20_000)
    assert (event.facts["threshold"], event.facts["rule"]) == (99.0, row.rules.get().pk)
    assert event.facts["until"]
    assert "the release is halted" in event.facts["sentence"]
    told = Effect.objects.filter(kind="message.post", release_id=release.pk)
    assert any("97.00 %" in str(effect.payload) for effect in told)


@pytest.mark.parametrize("between", [GOOD, LITTLE, (None, 0)])
def test_bad_readings_have_to_follow_each_other(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry, between: Any
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    for says in (BAD, between, BAD):
        sentry.says(*says)
        look(row)
    assert (fresh(row).state, acts(store)) == ("ROLLING_OUT", [])


@pytest.mark.parametrize("says", [(None, 0), LITTLE, (98.9, 300)])
def test_no_data_neither_halts_nor_advances(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry, says: Any
) -> None:
    advance = halting(sentry, action="ADVANCE", after_hours=0.0001)
    row = rolled_out(setup, release, store, halting(sentry), advance)
    sentry.says(*says)
    assert (look(row, times=3).percent, acts(store)) == (5, [])


def test_a_source_that_fails_does_nothing_and_says_so(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    advance = halting(sentry, action="ADVANCE", after_hours=0.0001)
    row = rolled_out(setup, release, store, halting(sentry), advance)
    sentry.says(*BAD)
    look(row)
    sentry.wire.routes[f"{HOME}/sessions/"] = Reply({"detail": "Internal"}, 500)
    look(row, times=2)
    assert acts(store) == []
    watch = HealthWatch.objects.get(submission=row)
    assert "Sentry" in watch.read_error
    assert watch.figures[0]["value"] == 97.0  # the last ones stay, with their time
    assert watch.look_at is not None


def test_who_resumes_is_not_overruled_until_it_was_good_again(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*BAD)
    look(row, times=2)
    act_on(submission=fresh(row), act=Act.RESUME, actor=None)
    run_all(row)
    assert look(row, times=3).state == "ROLLING_OUT"
    sentry.says(*GOOD)
    look(row)
    sentry.says(*BAD)
    store.done.clear()
    assert look(row, times=2).state == "HALTED"
    assert acts(store) == ["halt", "resume", "halt"]


def test_where_a_store_has_no_halt_it_is_paused(
    setup: Setup,
    release: Release,
    store: type[FakeStore],
    sentry: Sentry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeStore, "stops_by", Act.PAUSE)
    monkeypatch.setattr(FakeStore, "refusal", classmethod(lambda *_: ""))
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*BAD)
    assert (look(row, times=2).state, acts(store)) == ("PAUSED", ["pause"])
    facts = row.events.get(facts__has_key="rule").facts
    assert "Fake Store cannot halt a release, so it is paused." in facts["sentence"]


def test_where_nothing_can_be_stopped_a_person_is_told_once(
    setup: Setup,
    release: Release,
    store: type[FakeStore],
    sentry: Sentry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    monkeypatch.setattr(FakeStore, "refusal", classmethod(lambda *_: "It is too late."))
    sentry.says(*BAD)
    look(row, times=4)
    assert acts(store) == []
    assert "It is too late." in row.events.get(facts__has_key="rule").what


def test_it_takes_the_place_of_a_step_that_is_still_being_tried(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*BAD)
    look(row)
    act_on(submission=fresh(row), act=Act.ADVANCE, actor=None)
    watch = HealthWatch.objects.get(submission=row)
    reading.read(watch.pk)
    run_all(row)
    assert (fresh(row).state, acts(store)) == ("HALTED", ["halt"])


# --- Advancing -----------------------------------------------------------------------------------


def pass_time(row: Submission, **delta: float) -> None:
    """All that happened to it is that much longer ago."""
    for event in row.events.all():
        row.events.filter(pk=event.pk).update(at=event.at - timedelta(**delta))
    for rule in row.rules.exclude(acted_at=None):
        row.rules.filter(pk=rule.pk).update(acted_at=rule.acted_at - timedelta(**delta))
    changed = fresh(row).changed_at - timedelta(**delta)
    Submission.objects.filter(pk=row.pk).update(changed_at=changed)


def test_it_advances_after_the_hours_if_it_is_good(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    rule = halting(sentry, action="ADVANCE", after_hours=24)
    row = rolled_out(setup, release, store, rule)
    sentry.says(*GOOD)
    pass_time(row, hours=23, minutes=50)
    assert look(row).percent == 5
    pass_time(row, minutes=11)
    assert look(row).percent == 20
    assert look(row).percent == 20  # the hours begin anew at each step
    assert row.events.get(facts__has_key="rule").what.startswith("24 hours at this step, 99.90 %")


@pytest.mark.parametrize("says", [BAD, LITTLE])
def test_it_does_not_advance_unless_it_is_good(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry, says: Any
) -> None:
    rule = halting(sentry, action="ADVANCE", after_hours=1)
    row = rolled_out(setup, release, store, rule)
    sentry.says(*says)
    pass_time(row, hours=5)
    assert (look(row, times=3).percent, acts(store)) == (5, [])


def test_figures_from_before_the_step_do_not_advance_it(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    rule = halting(sentry, action="ADVANCE", after_hours=1)
    row = rolled_out(setup, release, store, rule)
    pass_time(row, hours=2)
    sentry.says(*GOOD, until=clock.now() - timedelta(hours=3))
    assert look(row).percent == 5
    sentry.says(*GOOD, until=clock.now() - timedelta(hours=1))
    assert look(row).percent == 20


def test_one_bad_reading_holds_the_next_step_back(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    """The limit of the halt is stricter than that of the advance."""
    advance = halting(sentry, action="ADVANCE", after_hours=1, threshold=90.0)
    row = rolled_out(setup, release, store, halting(sentry), advance)
    pass_time(row, hours=2)
    sentry.says(*BAD)
    assert look(row).percent == 5
    assert look(row).state == "HALTED"
    assert acts(store) == ["halt"]


def test_without_a_source_it_only_waits(
    setup: Setup, release: Release, store: type[FakeStore]
) -> None:
    row = rolled_out(setup, release, store, RuleWish(action="ADVANCE", after_hours=2))
    pass_time(row, hours=1)
    assert look(row).percent == 5
    pass_time(row, hours=1)
    assert look(row).percent == 20
    pass_time(row, hours=2)
    store.done.clear()
    look(row, times=2)  # before the store was asked again
    assert [share for step, share in store.taken if step == "advance"] == [20, None]


def test_nothing_advances_while_it_is_stopped(
    setup: Setup, release: Release, store: type[FakeStore]
) -> None:
    row = rolled_out(setup, release, store, RuleWish(action="ADVANCE", after_hours=2))
    act_on(submission=row, act=Act.HALT, actor=None)
    run_all(row)
    pass_time(row, hours=5)
    assert look(row, times=2).state == "HALTED"
    act_on(submission=fresh(row), act=Act.RESUME, actor=None)
    run_all(row)
    assert look(row).percent == 5  # the hours begin anew
    assert acts(store) == ["halt", "resume"]


# --- Watching ------------------------------------------------------------------------------------


def test_every_source_of_the_workspace_is_watched_once_users_have_it(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    SentryFactory()  # of another workspace
    row = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=Wishes())
    run_all(row)
    assert reading.due() == []
    store.state = StoreState(state=SubmissionState.ROLLING_OUT, word="LIVE", percent=5)
    look_at_store(row)
    (found,) = reading.due()
    assert HealthWatch.objects.get().source == sentry.row
    assert reading.due() == []  # claimed
    sentry.says(*GOOD)
    reading.read(found)
    assert HealthReading.objects.get().value == 99.9
    store.state = StoreState(state=SubmissionState.WITHDRAWN, word="GONE")
    look_at_store(row)
    reading.read(found)
    assert HealthWatch.objects.get().look_at is None
    assert reading.due() == []


def test_a_source_in_use_is_not_disconnected(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry, api_for: Any
) -> None:
    rolled_out(setup, release, store, halting(sentry))
    api = api_for(setup.tenant)
    answer = api.delete(f"/api/v1/integrations/health/{sentry.row.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")


def test_the_pauses_grow_and_a_bad_reading_is_looked_at_again_soon(
    setup: Setup, release: Release, store: type[FakeStore], sentry: Sentry
) -> None:
    row = rolled_out(setup, release, store, halting(sentry))
    sentry.says(*GOOD)

    def pause() -> float:
        look(row)
        watch = HealthWatch.objects.get(submission=row)
        return round((watch.look_at - clock.now()).total_seconds() / 60)

    assert pause() == 1
    pass_time(row, minutes=40)
    assert pause() == 10
    pass_time(row, hours=9)
    assert pause() == 15
    sentry.says(*BAD)
    assert pause() == 1
    assert RolloutRule.objects.get().bad_readings == 1
