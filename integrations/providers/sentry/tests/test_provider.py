"""Verification, figures, and what each answer leads to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.health import Metric
from integrations.providers.sentry.fields import clean_server, clean_slug
from integrations.providers.sentry.provider import Sentry
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Wire, everything_in
from sandbox import accounts
from sandbox.server import SandboxServer

TOKEN = "sntrys_canary0123456789"
HOME = "/api/0/organizations/example"
APP, VERSION, BUILD = "com.example.app", "1.5.0", "245"
NAME = f"{APP}@{VERSION}+{BUILD}"
TOTALS = {
    "sum(session)": 1200,
    "count_unique(user)": 300,
    "crash_free_rate(session)": 0.9925,
    "crash_free_rate(user)": 0.98,
}
OUTCOMES = [
    (Reply({"detail": "Invalid token"}, 401), "bad_credentials", Outcome.CREDENTIALS),
    (Reply({"detail": "No permission"}, 403), "forbidden", Outcome.CREDENTIALS),
    (Reply({"detail": "It does not exist"}, 404), "not_found", Outcome.REFUSED),
    (Reply({"detail": "Rate limit"}, 429), "rate_limited", Outcome.RATE_LIMITED),
    (Reply({}, 500), "server_error", Outcome.UNCERTAIN),
    (Reply(b"<html>Forbidden</html>", 403), "not_the_system", Outcome.NOT_SENT),
    (LOGIN_PAGE, "garbage", Outcome.UNCERTAIN),
    (Reply(b"{"), "garbage", Outcome.UNCERTAIN),
    (Reply([]), "garbage", Outcome.UNCERTAIN),
    (Reply({"groups": 7}), "garbage", Outcome.UNCERTAIN),
    (Reply({"groups": ["x"]}), "garbage", Outcome.UNCERTAIN),
    (Reply(fault="reset"), "reset", Outcome.UNCERTAIN),
]


def provider(url: str, **changes: Any) -> Sentry:
    values = {"organization": "example", "project": "app", "project_id": "17", **changes}
    return Sentry(server=url, token=TOKEN, **values)


def healthy(wire: Wire, totals: dict[str, Any] = TOTALS, name: str = NAME) -> None:
    answer = {"groups": [{"by": {}, "totals": totals}], "end": "2026-01-30T14:00:00Z"}
    wire.routes = {
        f"{HOME}/": Reply({"slug": "example"}),
        f"{HOME}/projects/": Reply([{"id": "17", "slug": "app"}]),
        f"{HOME}/releases/": Reply([{"version": name}]),
        f"{HOME}/sessions/": Reply(answer),
    }


def read(wire: Wire, **changes: Any) -> Any:
    since = datetime.now(UTC) - timedelta(hours=24)
    return provider(wire.url, **changes).figures(APP, VERSION, BUILD, since)


def test_figures_are_percentages_with_their_sample_and_their_time(wire: Wire) -> None:
    healthy(wire)
    sessions, users = read(wire)
    assert (sessions.metric, sessions.value) == (Metric.CRASH_FREE_SESSIONS, 99.25)
    assert (users.metric, users.value) == (Metric.CRASH_FREE_USERS, 98.0)
    assert (sessions.sample, users.sample) == (1200, 300)
    assert sessions.until == datetime(2026, 1, 30, 14, tzinfo=UTC)
    asked = wire.last(f"{HOME}/sessions/")
    assert asked.query["query"] == f'release:"{NAME}"'
    assert asked.query["project"] == "17"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("name", [f"{VERSION}+{BUILD}", f"{VERSION} ({BUILD})", VERSION])
def test_a_release_is_found_by_every_usual_name(wire: Wire, name: str) -> None:
    healthy(wire, name=name)
    assert len(read(wire)) == 2
    assert wire.last(f"{HOME}/sessions/").query["query"] == f'release:"{name}"'


def test_another_build_of_the_version_is_not_taken_for_it(wire: Wire) -> None:
    healthy(wire, name=f"{APP}@{VERSION}+244")
    assert read(wire) == []
    assert wire.count(f"{HOME}/sessions/", "GET") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"crash_free_rate(session)": None, "crash_free_rate(user)": None},
        {"sum(session)": 0, "count_unique(user)": 0},
        {"crash_free_rate(session)": "NaN", "crash_free_rate(user)": 17},
    ],
)
def test_no_data_is_no_figure(wire: Wire, changes: dict[str, Any]) -> None:
    healthy(wire, TOTALS | changes)
    assert read(wire) == []


def test_the_project_is_looked_up_without_a_number(wire: Wire) -> None:
    healthy(wire)
    following = Reply([{"id": "17", "slug": "app"}])
    first = Reply(
        [{"id": "16", "slug": "web"}],
        headers={"Link": '<x>; rel="next"; results="true"; cursor="0:100:0"'},
    )
    wire.routes[f"{HOME}/projects/"] = [first, following]
    assert len(read(wire, project_id="")) == 2
    assert wire.last(f"{HOME}/projects/").query["cursor"] == "0:100:0"


@pytest.mark.parametrize(("reply", "code", "outcome"), OUTCOMES)
def test_every_failure_has_its_outcome_and_shows_no_secret(
    wire: Wire, reply: Reply, code: str, outcome: Outcome
) -> None:
    healthy(wire)
    wire.routes[f"{HOME}/sessions/"] = reply
    with pytest.raises(ProviderError) as caught:
        read(wire)
    assert (caught.value.code, caught.value.outcome) == (code, outcome)
    assert TOKEN not in everything_in(caught.value)


def test_an_echoed_token_is_not_shown(wire: Wire) -> None:
    healthy(wire)
    wire.routes[f"{HOME}/sessions/"] = Reply({"detail": f"no token {TOKEN}"}, 400)
    with pytest.raises(ProviderError) as caught:
        read(wire)
    assert TOKEN not in everything_in(caught.value)


def test_a_rate_limit_says_how_long_to_wait(wire: Wire) -> None:
    healthy(wire)
    reset = {"X-Sentry-Rate-Limit-Reset": str(int(time.time()) + 40)}
    wire.routes[f"{HOME}/sessions/"] = Reply({"detail": "Slow down"}, 429, reset)
    with pytest.raises(ProviderError) as caught:
        read(wire)
    assert 30 < (caught.value.retry_after or 0) <= 41


# --- Verification --------------------------------------------------------------------------------


def test_verification_shows_one_figure_of_the_newest_version(wire: Wire) -> None:
    healthy(wire)
    checks = {check.name: check for check in provider(wire.url, project_id="").verify()}
    assert all(check.ok for check in checks.values())
    assert list(checks) == [
        "address",
        "credentials",
        "organization",
        "project",
        "project_id",
        "figures",
    ]
    assert checks["project_id"].message == "17"
    assert checks["figures"].message == (
        f"99.25 % crash-free sessions of {NAME} within 24 hours (1,200 sessions)."
    )


@pytest.mark.parametrize(
    ("path", "reply", "name"),
    [
        ("/", Reply({"detail": "Invalid token"}, 401), "credentials"),
        ("/", Reply({"detail": "No"}, 403), "credentials"),
        ("/", Reply({"detail": "The requested resource does not exist"}, 404), "organization"),
        ("/", LOGIN_PAGE, "address"),
        ("/", Reply({}, 502), "address"),
        ("/projects/", Reply([{"id": "1", "slug": "web"}]), "project"),
        ("/sessions/", Reply({"groups": []}), "figures"),
        ("/releases/", Reply([]), "figures"),
    ],
)
def test_a_failure_is_shown_beside_its_field(
    wire: Wire, path: str, reply: Reply, name: str
) -> None:
    healthy(wire)
    wire.routes[f"{HOME}{path}"] = reply
    assert [c.name for c in provider(wire.url).verify() if not c.ok] == [name]


def test_without_sessions_the_connection_works_with_a_warning(wire: Wire) -> None:
    healthy(wire, TOTALS | {"crash_free_rate(session)": None, "crash_free_rate(user)": None})
    (check,) = [check for check in provider(wire.url).verify() if not check.ok]
    assert (check.level, check.code) == ("WARNING", "no_sessions")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("us.sentry.io", "https://us.sentry.io"),
        ("https://sentry.io/organizations/example/issues", "https://sentry.io"),
        ("https://sentry.example.com/api/0/", "https://sentry.example.com"),
    ],
)
def test_the_usual_addresses_are_understood(text: str, url: str) -> None:
    assert clean_server(text) == url


@pytest.mark.parametrize("text", ["a/b", "with space", "", 'x"y'])
def test_what_is_no_slug_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="slug"):
        clean_slug(text)


# --- The stand-in --------------------------------------------------------------------------------


def on(sandbox: SandboxServer, **changes: Any) -> Sentry:
    values = {
        "server": f"{sandbox.url}/sentry",
        "token": accounts.SENTRY_TOKEN,
        "organization": accounts.SENTRY_ORGANIZATION,
        "project": accounts.SENTRY_PROJECT,
        **changes,
    }
    return Sentry(**values)


def test_the_stand_in_verifies_and_answers(sandbox: SandboxServer) -> None:
    checks = on(sandbox).verify()
    assert all(check.ok for check in checks), checks
    assert "99.82 %" in checks[-1].message
    put = {"version": "1.5.0", "build": "245", "sessions": 900, "crashFreeSessions": 97.5}
    sandbox.state.health.put(put)
    since = datetime.now(UTC) - timedelta(hours=24)
    (figure,) = on(sandbox).figures(accounts.APP_IDENTIFIER, "1.5.0", "245", since)
    assert (figure.value, figure.sample) == (97.5, 900)
    assert figure.until <= datetime.now(UTC)
    assert on(sandbox).figures(accounts.APP_IDENTIFIER, "1.6.0", "250", since) == []


def test_the_stand_in_refuses_what_sentry_refuses(sandbox: SandboxServer) -> None:
    bad = {
        "credentials": on(sandbox, token=TOKEN),
        "organization": on(sandbox, organization="other"),
        "project": on(sandbox, project="other"),
    }
    found = {name: [c.name for c in one.verify() if not c.ok] for name, one in bad.items()}
    assert found == {name: [name] for name in bad}
    narrow = on(sandbox, token=accounts.SENTRY_NARROW_TOKEN).verify()
    assert [check.code for check in narrow if not check.ok] == ["forbidden"]


def test_the_picker_lists_projects(sandbox: SandboxServer) -> None:
    assert [option.value for option in on(sandbox).projects()] == ["mobile-app", "website"]
