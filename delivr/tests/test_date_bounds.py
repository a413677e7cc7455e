"""Dates near the ends of the calendar, from people or other systems, cause no error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from delivr.date_bounds import LONGEST, read_datetime, within_a_build
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories as make
from integrations.providers.github.client import _expiration
from integrations.providers.jenkins.reading import read_build

FAR_EAST, FAR_WEST = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # 14 hours before, 11 after UTC
BEGIN, END = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize("text", [BEGIN, END, "1969-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "x"])
def test_a_date_out_of_bounds_is_invalid(text: str) -> None:
    assert read_datetime(text) is None


@pytest.mark.parametrize("zone", [FAR_EAST, FAR_WEST])
def test_a_date_within_bounds_is_valid_in_every_zone(zone: str) -> None:
    for text in ("1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z"):
        moment = read_datetime(text)
        assert moment is not None
        assert moment.astimezone(ZoneInfo(zone)) == moment
        assert moment + LONGEST


@pytest.mark.django_db
@pytest.mark.parametrize("zone", [FAR_EAST, FAR_WEST])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_out_of_bounds_match_no_audit_row(
    client_for: Callable[[User], Client], owner: User, zone: str, day: str
) -> None:
    web = client_for(owner)
    web.cookies["time_zone"] = zone
    for name in ("since", "until"):
        assert "Ensure this value" in web.get("/settings/audit", {name: day}).content.decode()
        assert web.get("/settings/audit/export.csv", {name: day}).getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [BEGIN, END])
def test_the_api_refuses_times_out_of_bounds(
    client_for: Callable[[User], Client], owner: User, api_for: Any, tenant: Tenant, moment: str
) -> None:
    api = api_for(tenant, Role.VIEWER)
    assert api.get("/api/v1/audit-events", {"since": moment}).status_code == 400
    pipeline = make.PipelineFactory(tenant=tenant)
    page = f"/integrations/pipelines/{pipeline.pk}/listening"
    assert client_for(owner).get(page, {"since": moment}).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize(
    "cursor",
    [
        "cD0wMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAw",  # p=0001-01-01T00:00:00+14:00
        "cD05OTk5LTEyLTMxVDIzOjU5OjU5LTE0OjAw",  # p=9999-12-31T23:59:59-14:00
    ],
)
def test_a_cursor_out_of_bounds_is_refused(api_for: Any, tenant: Tenant, cursor: str) -> None:
    answer = api_for(tenant, Role.VIEWER).get("/api/v1/releases", {"cursor": cursor})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"cursor"})


def test_impossible_times_from_jenkins_are_ignored() -> None:
    last = int(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp() * 1000)
    lies = {"timestamp": last, "duration": 2**63 - 1, "estimatedDuration": 2**63 - 1}
    state = read_build({"number": 1, "result": "SUCCESS", **lies}, job_url="https://ci/job/a")
    assert state is not None
    assert (state.started_at, state.duration_ms, state.estimated_ms) == (None, None, None)
    assert [within_a_build(ms) for ms in (None, 0, 86_400_000)] == [None, 0, 86_400_000]


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_impossible_expiries_from_github_are_ignored(year: str) -> None:
    assert _expiration(f"{year}-12-31 23:59:59 +0000") is None
