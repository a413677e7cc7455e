"""Google's own client against the stand-in of the Developer Reporting API, as a second opinion of
its paths and fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from sandbox import accounts
from sandbox.providers.play_reporting import SCOPE
from sandbox.tests.play import Play

NAME = f"apps/{accounts.APP_IDENTIFIER}/crashRateMetricSet"


@pytest.fixture
def crashes(sandbox):
    token = Play(sandbox, scope=SCOPE).session.headers["Authorization"].removeprefix("Bearer ")
    service = build(
        "playdeveloperreporting",
        "v1beta1",
        credentials=Credentials(token),
        client_options={"api_endpoint": f"{sandbox.url}/playreporting"},
        static_discovery=True,
    )
    with service:
        yield service.vitals().crashrate()


def hour(at):
    parts = {"year": at.year, "month": at.month, "day": at.day, "hours": at.hour}
    return {**parts, "timeZone": {"id": "UTC"}}


def asked(until, **changes):
    return {
        "timelineSpec": {
            "aggregationPeriod": "HOURLY",
            "startTime": hour(until - timedelta(hours=24)),
            "endTime": hour(until),
        },
        "metrics": ["crashRate", "distinctUsers"],
        "dimensions": ["versionCode"],
        "filter": "versionCode = 240",
        **changes,
    }


def fresh_until(crashes):
    (told,) = crashes.get(name=NAME).execute()["freshnessInfo"]["freshnesses"]
    at = told["latestEndTime"]
    return datetime(at["year"], at["month"], at["day"], at.get("hours", 0), tzinfo=UTC)


def test_rates_are_told_by_the_hour_up_to_their_freshness(crashes):
    rows = crashes.query(name=NAME, body=asked(fresh_until(crashes))).execute()["rows"]
    assert len(rows) == 24
    values = {one["metric"]: one["decimalValue"]["value"] for one in rows[0]["metrics"]}
    assert values == {"crashRate": "0.005900", "distinctUsers": "9000"}
    assert rows[0]["dimensions"] == [{"dimension": "versionCode", "int64Value": "240"}]


def test_what_google_refuses_is_refused(crashes):
    until = fresh_until(crashes)
    for body in (
        asked(until + timedelta(hours=1)),
        asked(until, metrics=["sessions"]),
        asked(until, filter="versionCode > 1"),
        asked(until, timelineSpec={"aggregationPeriod": "DAILY"}),
    ):
        with pytest.raises(HttpError) as refused:
            crashes.query(name=NAME, body=body).execute()
        assert refused.value.status_code == 400
    with pytest.raises(HttpError) as forbidden:
        crashes.get(name="apps/com.example.other/crashRateMetricSet").execute()
    assert forbidden.value.status_code == 403


def test_few_users_are_hidden(crashes, sandbox):
    sandbox.state.health.put({"version": "1.5.0", "build": "245", "users": 3})
    body = asked(fresh_until(crashes), filter="versionCode = 245")
    assert crashes.query(name=NAME, body=body).execute() == {}
