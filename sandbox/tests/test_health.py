"""The figures of each version: set by the control API and the page, told by the stand-ins."""

from __future__ import annotations

import pytest
import requests

from sandbox import accounts

SENTRY = f"/sentry/api/0/organizations/{accounts.SENTRY_ORGANIZATION}"
BEARER = {"Authorization": f"Bearer {accounts.SENTRY_TOKEN}"}
RANGE = {"start": "2026-11-29T10:20:00+00:00", "end": "2026-11-30T10:20:00+00:00"}


def put(sandbox, **facts):
    return requests.post(f"{sandbox.url}/sandbox/api/health", json=facts, timeout=10)


def sessions(sandbox, query="", **more):
    asked = {"field": ["sum(session)", "crash_free_rate(session)"], "query": query, **RANGE, **more}
    address = f"{sandbox.url}{SENTRY}/sessions/"
    return requests.get(address, params=asked, headers=BEARER, timeout=10)


def test_figures_are_set_by_the_control_api_and_told(sandbox):
    made = put(sandbox, version="1.5.0", build="245", sessions=500, crashFreeSessions=98.5)
    assert made.status_code == 200
    name = f"{accounts.APP_IDENTIFIER}@1.5.0+245"
    answer = sessions(sandbox, f'release:"{name}"').json()
    totals = {"sum(session)": 500, "crash_free_rate(session)": 0.985}
    assert answer["groups"][0]["totals"] == totals
    assert (answer["start"], answer["end"]) == ("2026-11-29T10:00:00Z", "2026-11-30T11:00:00Z")
    assert len(answer["intervals"]) == 25


def test_what_is_not_named_stays(sandbox):
    put(sandbox, version="1.5.0", build="245", sessions=500, crashFreeSessions=98.5)
    put(sandbox, version="1.5.0", build="245", users=70)
    (found,) = [
        one
        for one in requests.get(f"{sandbox.url}/sandbox/api/health", timeout=10).json()["versions"]
        if one["build"] == "245"
    ]
    assert (found["sessions"], found["users"], found["crashFreeSessions"]) == (500, 70, 98.5)


def test_a_release_without_sessions_has_a_rate_of_null(sandbox):
    totals = sessions(sandbox, 'release:"nothing"').json()["groups"][0]["totals"]
    assert totals == {"sum(session)": 0, "crash_free_rate(session)": None}


@pytest.mark.parametrize(
    "facts",
    [
        {"version": "1.5.0"},
        {"version": "1.5.0", "build": "1", "sessions": -1},
        {"version": "1.5.0", "build": "1", "anrRate": 101},
        {"version": "1.5.0", "build": "1", "users": "many"},
    ],
)
def test_wrong_figures_are_refused(sandbox, facts):
    assert put(sandbox, **facts).status_code == 400


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"project": "mobile-app"}, 400),  # only numbers
        ({"project": "1"}, 403),
        ({"field": "sum(user)"}, 400),
        ({"interval": "5m"}, 400),
        ({"start": "yesterday"}, 400),
        ({"start": "2025-01-01T00:00:00+00:00"}, 400),  # too many points
    ],
)
def test_queries_are_as_strict_as_sentrys(sandbox, more, status):
    assert sessions(sandbox, **more).status_code == status


def test_the_page_shows_and_saves_figures(sandbox):
    form = {"version": "1.5.0", "build": "245", "sessions": "300", "crashFreeSessions": "97.5"}
    page = requests.post(f"{sandbox.url}/sandbox/health", data=form, timeout=10)
    assert page.status_code == 200
    assert "1.5.0 (245)" in page.text
    assert 'value="97.5"' in page.text
    wrong = {**form, "sessions": "many"}
    refused = requests.post(f"{sandbox.url}/sandbox/health", data=wrong, timeout=10)
    assert refused.status_code == 400


def test_figures_outlive_a_restart(sandbox):
    put(sandbox, version="1.5.0", build="245", sessions=300)
    kept = sandbox.state.health.dump()
    sandbox.state.health.versions.clear()
    sandbox.state.health.load(kept)
    assert sandbox.state.health.dump() == kept


def test_a_build_that_ci_uploaded_has_figures_unless_they_were_set(sandbox):
    put(sandbox, version="1.6.0", build="7", sessions=5, crashFreeSessions=90.0)
    for number in (7, 8):
        sandbox.state.record(
            "build.finished",
            "jenkins",
            job="ios-prod",
            number=number,
            result="SUCCESS",
            parameters={"VERSION": "1.6.0"},
        )
    told = [
        sessions(sandbox, f'release:"{accounts.APP_IDENTIFIER}@1.6.0+{number}"').json()["groups"]
        for number in (7, 8)
    ]
    assert [group["totals"]["sum(session)"] for (group,) in told] == [5, 1250]
