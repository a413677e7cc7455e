"""Rules and figures on the page, in the form and in the API, and what rules would have done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from delivr.effects import clock
from delivr.tests.factories import SentryFactory, fill_health
from integrations.models import HealthIntegration
from integrations.providers.stores import Act
from releases.models import Release
from releases.tests.pages import Setup, text_of
from submissions.health.backtest import back_test
from submissions.health.retention import delete_expired, due
from submissions.health.wishes import RuleWish, rules_from
from submissions.health.wording import age_words, percent_words
from submissions.models import HealthReading, HealthWatch, RolloutRule, Submission
from submissions.operations import submit
from submissions.plans import Wishes
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import complete

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def source(tenant: Any) -> HealthIntegration:
    row: HealthIntegration = SentryFactory(tenant=tenant, display_name="Sentry of the app")
    return row


def rule(source: HealthIntegration, **changes: Any) -> dict[str, Any]:
    return {
        "source": source.pk,
        "metric": "crash_free_sessions",
        "threshold": 99,
        "minSample": 200,
        "action": "HALT",
        **changes,
    }


def body(setup: Setup, *rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    rest = {"targetId": setup.ios.pk, "steps": [5, 20, 100], **changes}
    return {**rest, "rolloutRules": list(rules)}


def post(api: Any, release: Release, data: dict[str, Any]) -> Any:
    return api.post(f"/api/v1/releases/{release.pk}/submissions", data)


@pytest.fixture
def api(api_for: Any, tenant: Any) -> Any:
    return api_for(tenant)


# --- API -----------------------------------------------------------------------------------------


def test_rules_are_kept_in_order_with_their_sentences(
    api: Any, store: type[FakeStore], setup: Setup, release: Release, source: HealthIntegration
) -> None:
    wait = {"action": "ADVANCE", "afterHours": 24}
    good = rule(source, action="ADVANCE", afterHours=12, metric="crash_free_users")
    made = post(api, release, body(setup, rule(source), wait, good))
    assert made.status_code == 202, made.json()
    assert [one["sentence"] for one in made.json()["rolloutRules"]] == [
        "If Sentry of the app counts certainly less than 99 % crash-free sessions (at least 200 "
        "sessions) in two readings in a row, the release is halted.",
        "After 24 hours at a step, the next one follows.",
        "After 12 hours at a step, the next one follows, if Sentry of the app counts certainly "
        "more than 99 % crash-free users (at least 200 users).",
    ]
    first, second, _third = made.json()["rolloutRules"]
    assert {name: first[name] for name in rule(source)} == rule(source)
    assert (first["verdict"], second["verdict"], second["source"]) == ("UNKNOWN", "", None)
    assert (
        api.get(f"/api/v1/submissions/{made.json()['id']}").json()["rolloutRules"]
        == (made.json()["rolloutRules"])
    )


def test_everything_wrong_with_rules_is_told_at_once(
    api: Any, store: type[FakeStore], setup: Setup, release: Release, source: HealthIntegration
) -> None:
    theirs = SentryFactory()
    rules = [
        rule(source, metric="anr_rate", threshold=100, minSample=0),
        rule(source, afterHours=3),
        rule(theirs),
        {"action": "PAUSE"},
        {"action": "ADVANCE", "afterHours": 0},
        {"action": "ADVANCE", "afterHours": 1, "threshold": 3},
    ]
    answer = post(api, release, body(setup, *rules))
    assert answer.status_code == 400
    found = answer.json()["errors"]["rolloutRules"]
    assert [words.partition(":")[0] for words in found] == [
        *["Rule 1"] * 3,
        "Rule 2",
        "Rule 3",
        "Rule 4",
        "Rule 5",
        "Rule 6",
    ]
    assert "this source is not connected" in found[4]
    assert not Submission.objects.exists()
    assert not RolloutRule.objects.exists()


@pytest.mark.parametrize("odd", [[7], ["x"], "x", {"a": 1}, [{"action": "EXPLODE"}], [{}], [None]])
def test_odd_rules_are_refused(
    api: Any, store: type[FakeStore], setup: Setup, release: Release, odd: Any
) -> None:
    answer = post(api, release, {**body(setup), "rolloutRules": odd})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["rolloutRules"])


def test_steps_are_not_advanced_where_there_are_none(
    api: Any, store: type[FakeStore], setup: Setup, release: Release, monkeypatch: Any
) -> None:
    wait = {"action": "ADVANCE", "afterHours": 24}
    answer = post(api, release, body(setup, wait, steps=[]))
    assert "there is no next step" in answer.json()["errors"]["rolloutRules"][0]
    monkeypatch.setattr(FakeStore, "picks_shares", False)
    answer = post(api, release, body(setup, wait, steps=[]))
    assert "takes the steps by itself" in answer.json()["errors"]["rolloutRules"][0]


def test_the_figures_are_in_the_response(
    api: Any, store: type[FakeStore], setup: Setup, release: Release, source: HealthIntegration
) -> None:
    row = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=Wishes())
    fill_health(row, source)
    (found,) = api.get(f"/api/v1/submissions/{row.pk}").json()["health"]
    assert (found["source"], found["metric"]) == (source.pk, "crash_free_sessions")
    assert (found["value"], found["sample"], found["verdict"]) == (99.5, 1000, "UNKNOWN")
    assert found["until"]


# --- Pages ---------------------------------------------------------------------------------------


def page(client: Any, release: Release) -> str:
    return text_of(client.get(reverse("release", args=[release.pk])))


def test_the_card_shows_figures_with_their_sample_and_age(
    member: Any, store: type[FakeStore], setup: Setup, release: Release, source: HealthIntegration
) -> None:
    row = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=Wishes())
    fill_health(row, source)
    until = clock.now() - timedelta(hours=2)
    stored = HealthWatch.objects.get().figures[0]
    figures = [{**stored, "value": 97.996, "sample": 12340, "until": until.isoformat()}]
    HealthWatch.objects.update(figures=figures)
    shown = page(member, release)
    assert "97.99 % crash-free sessions" in shown
    assert "12,340 sessions" in shown
    assert "2 hours old" in shown
    assert "Bad" in shown
    assert "the release is halted" in shown
    HealthWatch.objects.update(figures=[], last_read_at=clock.now())
    assert "no data of this version yet" in page(member, release)
    HealthWatch.objects.update(read_error="Sentry refused <it>.")
    assert "could not be asked. Sentry refused &lt;it&gt;." in member.get(
        reverse("release", args=[release.pk])
    ).content.decode().replace("\n", " ").replace("          ", " ")


def lines(*rules: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for number, values in enumerate(rules):
        data |= {f"rules-{number}-{name}": value for name, value in values.items()}
    return {"store_build": "245", "track": "beta", "shares": "5, 20, 100", "notes": "", **data}


def line(of: HealthIntegration, **changes: Any) -> dict[str, Any]:
    values = {"metric": "crash_free_sessions", "threshold": "99", "min_sample": "200"}
    return {"action": "HALT", "source": of.pk, **values, **changes}


def test_rules_are_entered_one_line_each(
    member: Any, store: type[FakeStore], setup: Setup, release: Release, source: HealthIntegration
) -> None:
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    assert source.display_name in text_of(member.get(address))
    wait = {"action": "ADVANCE", "min_sample": "100", "after_hours": "24"}
    empty = {"action": "", "min_sample": "100"}
    answer = member.post(address, lines(line(source), wait, empty))
    assert answer.status_code == 302, text_of(answer)
    first, second = RolloutRule.objects.all()
    assert (first.action, first.source, first.threshold, first.min_sample) == (
        "HALT",
        source,
        99.0,
        200,
    )
    assert (second.action, second.source, second.after_hours) == ("ADVANCE", None, 24.0)
    Submission.objects.update(state="WITHDRAWN")
    following = setup.release(version="1.6.0")
    complete(following)
    again = member.get(reverse("submission_new", args=[following.pk, setup.ios.pk]))
    assert [one["action"].value() for one in again.context["form"].rules][:3] == [
        "HALT",
        "ADVANCE",
        None,
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": ""}, "enter a percentage"),
        ({"threshold": "much"}, "Enter a number."),
        ({"metric": ""}, "has these figures"),
        ({"source": "health_sentry_other"}, "not one of the available choices"),
        ({"action": "EXPLODE"}, "not one of the available choices"),
    ],
)
def test_bad_rules_are_shown_and_nothing_is_lost(
    member: Any,
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    source: HealthIntegration,
    changes: dict[str, str],
    words: str,
) -> None:
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    answer = member.post(address, lines(line(source, **changes)))
    assert answer.status_code == 200
    assert words in text_of(answer)
    assert 'value="200"' in answer.content.decode()
    assert not Submission.objects.exists()


def test_rules_can_be_tried_without_submitting(
    member: Any, store: type[FakeStore], setup: Setup, release: Release, source: HealthIntegration
) -> None:
    earlier(setup, source, [97.0, 97.0])
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    answer = member.post(address, {**lines(line(source)), "try": "1"})
    shown = text_of(answer)
    assert "the release is halted." in shown
    assert "1.4.0 · Stopped on" in shown
    assert Submission.objects.count() == 1  # the earlier one


# --- Back-test -----------------------------------------------------------------------------------


def earlier(
    setup: Setup, source: HealthIntegration, values: list[float], version: str = "1.4.0"
) -> Submission:
    """A submission with readings, one an hour, of 20,000 sessions each."""
    release = setup.release(version=version)
    part = release.targets.get(target=setup.ios)
    row = Submission.objects.create(
        tenant=setup.tenant,
        release=release,
        release_target=part,
        target=setup.ios,
        store_build="200",
        state="LIVE",
    )
    begun = clock.now() - timedelta(days=30)
    for number, value in enumerate(values):
        at = begun + timedelta(hours=number)
        HealthReading.objects.create(
            tenant=setup.tenant,
            submission=row,
            source=source,
            metric="crash_free_sessions",
            value=value,
            sample=20_000,
            until=at,
            at=at,
        )
    return row


def tried(setup: Setup, source: HealthIntegration, **changes: Any) -> list[tuple[str, Any]]:
    values: dict[str, Any] = {
        "action": "HALT",
        "source": source.pk,
        "metric": "crash_free_sessions",
        "threshold": 99.0,
        **changes,
    }
    (made,) = rules_from(setup.tenant.pk, [RuleWish(**values)])
    return [(one.version, one.at) for one in back_test(made, setup.ios)]


def test_a_back_test_stops_where_the_rule_would_have(
    setup: Setup, source: HealthIntegration
) -> None:
    earlier(setup, source, [99.9, 97.0, 99.9, 97.0], "1.3.0")
    bad = earlier(setup, source, [99.9, 97.0, 97.0, 97.0], "1.4.0")
    at = bad.readings.order_by("at")[2].at
    assert tried(setup, source) == [("1.4.0", at), ("1.3.0", None)]
    assert tried(setup, source, threshold=96.0) == [("1.4.0", None), ("1.3.0", None)]
    assert tried(setup, source, metric="crash_free_users") == []


def test_a_back_test_advances_after_the_hours(setup: Setup, source: HealthIntegration) -> None:
    row = earlier(setup, source, [99.9, 97.0, 97.0, 99.9])
    at = row.readings.order_by("at")[3].at
    assert tried(setup, source, action="ADVANCE", after_hours=1.0) == [("1.4.0", at)]
    assert tried(setup, source, action="ADVANCE", after_hours=9.0) == [("1.4.0", None)]


def test_a_back_test_sees_no_other_workspace(setup: Setup, source: HealthIntegration) -> None:
    other = Setup(SentryFactory().tenant)
    earlier(other, SentryFactory(tenant=other.tenant), [97.0, 97.0])
    assert tried(setup, source) == []


def test_readings_are_kept_for_400_days(setup: Setup, source: HealthIntegration) -> None:
    row = earlier(setup, source, [97.0, 97.0])
    first, second = row.readings.order_by("at")
    HealthReading.objects.filter(pk=first.pk).update(at=clock.now() - timedelta(days=401))
    assert due() == ["all"]
    delete_expired()
    assert list(row.readings.all()) == [second]
    assert due() == []


# --- Words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [(99.9999, "99.99 %"), (100.0, "100.00 %"), (97.0, "97.00 %"), (0, "0.00 %")],
)
def test_a_rate_is_never_rounded_up(value: float, words: str) -> None:
    assert percent_words(value) == words


def test_the_age_of_figures_is_told_in_utc() -> None:
    now = clock.now().replace(hour=15, minute=0, second=0, microsecond=0)
    assert age_words(now - timedelta(hours=2), now) == "figures up to 13:00 UTC, 2 hours old"
    assert age_words(now, now) == "figures up to 15:00 UTC"
    assert age_words(now - timedelta(days=2), now).endswith("15:00 UTC, 2 days old")


def test_a_store_without_a_halt_says_so_in_the_sentence(
    api: Any,
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    source: HealthIntegration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeStore, "stops_by", Act.PAUSE)
    made = post(api, release, body(setup, rule(source))).json()
    assert made["rolloutRules"][0]["sentence"].endswith(
        "the roll-out is paused. Fake Store cannot halt a release, so it is paused."
    )
