"""Verification, figures, and what each answer leads to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.health import Figure, Metric
from integrations.providers.play_vitals.provider import PlayVitals
from integrations.providers.tests.keys import pem, rsa_key
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Wire, everything_in
from sandbox import accounts
from sandbox.server import SandboxServer

APP = "com.example.app"
HOME = f"/reporting/v1beta1/apps/{APP}"
ACCOUNT = {
    "type": "service_account",
    "private_key_id": "0123456789abcdef",
    "private_key": pem(rsa_key()),
    "client_email": "delivr@example.iam.gserviceaccount.com",
}
FRESH = {"year": 2026, "month": 11, "day": 30, "hours": 13, "timeZone": {"id": "UTC"}}
UNTIL = datetime(2026, 11, 30, 13, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=2)


def denied(reason: str = "") -> Reply:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": 403, "message": "No", "status": "PERMISSION_DENIED", "details": details}
    return Reply({"error": error}, 403)


def row(rate: str, value: str, users: str) -> dict[str, Any]:
    pairs = {rate: value, "distinctUsers": users}
    return {
        "metrics": [{"metric": n, "decimalValue": {"value": v}} for n, v in pairs.items()],
        "dimensions": [{"dimension": "versionCode", "int64Value": "245"}],
    }


@pytest.fixture
def google(wire: Wire) -> Iterator[Wire]:
    info = {"freshnesses": [{"aggregationPeriod": "HOURLY", "latestEndTime": FRESH}]}
    wire.routes = {
        "/token": Reply({"access_token": "ya29.test", "expires_in": 3599}),
        f"{HOME}/crashRateMetricSet": Reply({"freshnessInfo": info}),
        f"{HOME}/anrRateMetricSet": Reply({"freshnessInfo": info}),
        f"{HOME}/crashRateMetricSet:query": Reply(
            {"rows": [row("crashRate", "0.01", "1000"), row("crashRate", "0.03", "3000")]}
        ),
        f"{HOME}/anrRateMetricSet:query": Reply({"rows": [row("anrRate", "0.005", "2000")]}),
    }
    urls = {
        "GOOGLE_PLAY_REPORTING_URL": f"{wire.url}/reporting",
        "GOOGLE_TOKEN_URL": f"{wire.url}/token",
    }
    with override_settings(**urls):
        yield wire


def provider() -> PlayVitals:
    return PlayVitals(service_account=json.dumps(ACCOUNT), app=APP)


def read() -> list[Figure]:
    return list(provider().figures(APP, "1.5.0", "245", SINCE))


def test_hours_are_weighted_and_users_are_not_added_up(google: Wire) -> None:
    crashes, anrs = read()
    assert (crashes.metric, crashes.sample) == (Metric.CRASH_FREE_USERS, 3000)
    assert crashes.value == pytest.approx(97.5)  # of 40 and 90 users of 4,000
    assert (anrs.metric, anrs.value, anrs.sample) == (Metric.ANR_RATE, 0.5, 2000)
    assert crashes.until == UNTIL
    asked = google.last(f"{HOME}/crashRateMetricSet:query").json
    assert asked["filter"] == "versionCode = 245"
    assert asked["timelineSpec"] == {
        "aggregationPeriod": "HOURLY",
        "startTime": {**FRESH, "day": 29},
        "endTime": FRESH,
    }


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"rows": []},
        {"rows": [row("crashRate", "0.01", "0")]},
        {"rows": [{"metrics": "x"}, {"metrics": [{"metric": "crashRate"}]}]},
    ],
)
def test_hidden_numbers_are_no_figure(google: Wire, answer: dict[str, Any]) -> None:
    google.routes[f"{HOME}/crashRateMetricSet:query"] = Reply(answer)
    assert [figure.metric for figure in read()] == [Metric.ANR_RATE]


@pytest.mark.parametrize(
    "info", [{}, {"freshnessInfo": {}}, {"freshnessInfo": {"freshnesses": []}}]
)
def test_without_freshness_nothing_is_asked(google: Wire, info: dict[str, Any]) -> None:
    for name in ("crashRateMetricSet", "anrRateMetricSet"):
        google.routes[f"{HOME}/{name}"] = Reply(info)
    assert read() == []
    assert google.count(f"{HOME}/crashRateMetricSet:query") == 0


def test_a_version_that_is_newer_than_the_figures_has_none(google: Wire) -> None:
    assert list(provider().figures(APP, "1.5.0", "245", UNTIL)) == []


def test_a_build_that_is_no_version_code_is_not_asked_about(google: Wire) -> None:
    assert list(provider().figures(APP, "1.5.0", "1 OR versionCode = 2", SINCE)) == []
    assert google.seen == []


@pytest.mark.parametrize(
    ("reply", "code", "outcome"),
    [
        (denied(), "forbidden", Outcome.CREDENTIALS),
        (denied("SERVICE_DISABLED"), "api_disabled", Outcome.CREDENTIALS),
        (Reply({"error": {"code": 429}}, 429), "rate_limited", Outcome.RATE_LIMITED),
        (Reply({"error": {"code": 503}}, 503), "server_error", Outcome.UNCERTAIN),
        (LOGIN_PAGE, "garbage", Outcome.UNCERTAIN),
        (Reply({"rows": [row("crashRate", "7", "10")]}), "garbage", Outcome.UNCERTAIN),
        (Reply(fault="reset"), "reset", Outcome.UNCERTAIN),
    ],
)
def test_every_failure_has_its_outcome_and_shows_no_secret(
    google: Wire, reply: Reply, code: str, outcome: Outcome
) -> None:
    google.routes[f"{HOME}/crashRateMetricSet:query"] = reply
    with pytest.raises(ProviderError) as caught:
        read()
    assert (caught.value.code, caught.value.outcome) == (code, outcome)
    if code == "api_disabled":
        assert "Developer Reporting API" in caught.value.message
    assert "PRIVATE KEY" not in everything_in(caught.value)


def test_another_version_is_not_counted(google: Wire) -> None:
    other = row("crashRate", "0.5", "9000")
    other["dimensions"][0]["int64Value"] = "246"
    rows = [other, row("crashRate", "0.01", "1000"), {**other, "dimensions": []}]
    google.routes[f"{HOME}/crashRateMetricSet:query"] = Reply({"rows": rows})
    assert read()[0].value == pytest.approx(99.0)


def test_verification_shows_a_figure_and_how_old_it_is(google: Wire) -> None:
    checks = {check.name: check for check in provider().verify()}
    assert list(checks) == ["address", "credentials", "freshness", "figures"]
    assert checks["freshness"].message == "Google has counted up to 30 Nov 13:00 UTC."


def test_a_refused_account_is_shown(google: Wire) -> None:
    google.routes["/token"] = Reply({"error": "invalid_grant"}, 400)
    assert [c.name for c in provider().verify() if not c.ok] == ["credentials"]


def test_the_stand_in_verifies_and_answers(sandbox: SandboxServer) -> None:
    key = json.dumps(sandbox.accounts.google_service_account)
    vitals = PlayVitals(service_account=key, app=accounts.APP_IDENTIFIER)
    checks = vitals.verify()
    assert all(check.ok for check in checks), checks
    assert "99.41 % crash-free users of version code 240" in checks[-1].message
    put = {"version": "1.5.0", "build": "245", "users": 4321, "crashFreeUsers": 98.0}
    sandbox.state.health.put({**put, "anrRate": 0.6})
    since = datetime.now(UTC) - timedelta(hours=24)
    crashes, anrs = vitals.figures(accounts.APP_IDENTIFIER, "1.5.0", "245", since)
    assert (crashes.value, crashes.sample) == (pytest.approx(98.0), 4000)
    assert anrs.value == pytest.approx(0.6)
    assert timedelta(hours=2) <= datetime.now(UTC) - crashes.until < timedelta(hours=3, minutes=1)
    sandbox.state.health.put({**put, "users": 3})
    assert list(vitals.figures(accounts.APP_IDENTIFIER, "1.5.0", "245", since)) == []
    other = PlayVitals(service_account=key, app="com.example.other")
    assert [c.code for c in other.verify() if not c.ok] == ["forbidden"]
