"""Against a server that answers from payload files: each answer and what it leads to."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from delivr.outbound import OutboundError
from integrations.providers.base import Level, Option, Outcome, ProviderError
from integrations.providers.github.provider import GitHub
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, everything_in, payloads

TOKEN = "ghp_canary0123456789token"
USER, REPOSITORY, LIST = "/api/v3/user", "/api/v3/repos/dream11/app", "/api/v3/user/repos"
CLASSIC = {"X-OAuth-Scopes": "read:org, repo"}
payload = payloads(__file__)


class HastyGitHub(GitHub):
    deadline = 0.5


def answer(name, status=200, **headers):
    return Reply(payload(name), status, {**CLASSIC, **headers})


def fine_grained(name, status=200, **headers):
    return Reply(payload(name), status, headers)


@pytest.fixture(autouse=True)
def github_is_here(wire, settings):
    settings.GITHUB_API_URL = f"{wire.url}/api/v3"
    wire.routes = {
        USER: answer("user__bot"),
        REPOSITORY: answer("repository__may_push"),
        LIST: answer("repositories__mixed"),
    }


def github(token=TOKEN, url="https://github.com/dream11/app", kind=GitHub):
    return kind(repository_url=url, access_token=token)


def failed(checks):
    return {check.name: check for check in checks if not check.ok}


# --- verify -----------------------------------------------------------------------------------


def test_a_good_connection_passes_every_check_in_order(wire):
    checks = github().verify()
    assert [check.name for check in checks] == [
        "address",
        "credentials",
        "account",
        "repository",
        "repository_id",
        "permission",
        "expiry",
    ]
    assert failed(checks) == {}
    assert "delivr-bot" in checks[2].message
    assert [seen.path for seen in wire.seen] == [USER, REPOSITORY]
    assert wire.seen[0].headers["authorization"] == f"token {TOKEN}"


@pytest.mark.parametrize(
    "url",
    [
        "github.com/dream11/app",
        "https://github.com/dream11/app.git",
        "https://github.com/dream11/app/",
        "git@github.com:dream11/app.git",
        "dream11/app",
    ],
)
def test_every_usual_way_of_writing_a_repository_is_understood(url):
    assert failed(github(url=url).verify()) == {}


@pytest.mark.parametrize("url", ["", "app", "https://github.com/dream11/..", "a/b/../.."])
def test_an_address_without_a_repository_is_a_failed_check(wire, url):
    assert failed(github(url=url).verify())["repository"].code == "bad_repository"
    assert [seen.path for seen in wire.seen] == [USER]


@pytest.mark.parametrize(
    ("reply", "name", "code", "passing"),
    [
        (answer("error__bad_credentials", 401), "credentials", "bad_credentials", False),
        (LOGIN_PAGE, "address", "garbage", True),
        (Reply([]), "address", "garbage", True),
        (Reply(b"{broken"), "address", "garbage", True),
        (Reply({}, 202), "address", "garbage", True),
        (Reply(b"", 301, {"Location": "/api/v3/elsewhere"}), "address", "redirect", False),
        (Reply(b"", 302, {"Location": "http://169.254.169.254/"}), "address", "redirect", False),
        (Reply(b"Bad Gateway", 502), "address", "server_error", True),
        (Reply(fault="reset"), "address", "reset", True),
    ],
)
def test_each_sign_in_failure_has_its_own_check_and_code(wire, reply, name, code, passing):
    wire.routes[USER] = reply
    checks = github().verify()
    assert list(failed(checks)) == [name]
    failure = failed(checks)[name]
    assert (failure.code, failure.is_temporary) == (code, passing)
    assert failure.hint
    assert wire.count(USER, "GET") == 1  # neither repeated nor redirected


@pytest.mark.slow
def test_a_hanging_server_is_given_up_in_time(wire):
    wire.routes[USER] = Reply(fault="hang")
    started = time.monotonic()
    assert failed(github(kind=HastyGitHub).verify())["address"].code == "timeout"
    assert time.monotonic() - started < 5


ALL_FALSE = dict.fromkeys(["admin", "maintain", "push", "triage", "pull"], False)
INSTALLATION = "ghs_canary0123456789token"


@pytest.mark.parametrize("permissions", [ALL_FALSE, None, {"push": True}])
def test_an_installation_token_without_a_user_is_valid(wire, permissions):
    wire.routes[USER] = fine_grained("error__installation", 403)
    repository = {**payload("repository__may_push"), "permissions": permissions}
    wire.routes[REPOSITORY] = Reply(repository)
    checks = github(INSTALLATION).verify()
    assert failed(checks) == {}
    assert "App" in checks[2].message
    permission = next(check for check in checks if check.name == "permission")
    assert (permission.ok, permission.code) == (True, "not_testable")
    assert "Contents" in permission.message


def test_an_app_that_is_not_installed_for_the_repository_is_reported(wire):
    wire.routes[USER] = fine_grained("error__installation", 403)
    wire.routes[REPOSITORY] = fine_grained("error__installation", 403)
    failure = failed(github(INSTALLATION).verify())["repository"]
    assert "Resource not accessible by integration" in failure.message
    assert "Give the app" in failure.hint


def test_an_app_is_offered_its_installed_repositories(wire):
    wire.routes[LIST] = fine_grained("error__installation", 403)
    found = [{**entry, "permissions": ALL_FALSE} for entry in payload("repositories__mixed")]
    wire.routes["/api/v3/installation/repositories"] = Reply({"repositories": found})
    offered = [option.label for option in github(INSTALLATION, url="").repositories()]
    assert "dream11/app" in offered


@pytest.mark.parametrize("token", ["ghu_canary0123456789token", "github_pat_canary0123456789"])
def test_a_token_of_a_kind_without_scopes_is_not_called_insufficient(wire, token):
    wire.routes[REPOSITORY] = answer("repository__may_push", **{"X-OAuth-Scopes": ""})
    checks = github(token).verify()
    assert failed(checks) == {}
    assert next(c for c in checks if c.name == "permission").code == "not_testable"


@pytest.mark.parametrize(
    ("reply", "name", "code"),
    [
        (answer("error__not_found", 404), "repository", "repository_not_found"),
        (answer("error__forbidden", 403), "repository", "forbidden"),
        (answer("error__sso", 403, **{"X-GitHub-SSO": "required"}), "repository", "sso_required"),
        (answer("repository__archived"), "repository", "archived"),
        (answer("repository__disabled"), "repository", "disabled"),
        (answer("repository__renamed"), "repository", "repository_moved"),
        (Reply(b"", 301, {"Location": "/repositories/1101"}), "repository", "repository_moved"),
        (LOGIN_PAGE, "repository", "garbage"),
        (answer("repository__read_only"), "permission", "no_push"),
        (answer("repository__no_permissions_told"), "permission", "no_push"),
        (
            answer("repository__may_push", **{"X-OAuth-Scopes": "public_repo"}),
            "permission",
            "missing_scope",
        ),
        (answer("repository__public", **{"X-OAuth-Scopes": ""}), "permission", "missing_scope"),
    ],
)
def test_each_failure_of_the_repository_is_an_error(wire, reply, name, code):
    wire.routes[REPOSITORY] = reply
    failure = failed(github().verify())[name]
    assert (failure.code, failure.level) == (code, Level.ERROR)
    assert failure.message
    assert failure.hint


def test_a_public_repository_needs_the_public_scope_only(wire):
    wire.routes[REPOSITORY] = answer("repository__public", **{"X-OAuth-Scopes": "public_repo"})
    assert failed(github().verify()) == {}


def test_what_a_fine_grained_token_may_do_is_not_claimed_to_be_known(wire):
    wire.routes[REPOSITORY] = fine_grained("repository__may_push")
    check = next(check for check in github().verify() if check.name == "permission")
    assert (check.ok, check.code) == (True, "not_testable")
    assert "Contents" in check.message


def test_a_missing_permission_is_named(wire):
    header = {"X-Accepted-GitHub-Permissions": "contents=read; actions=read"}
    wire.routes[REPOSITORY] = fine_grained("error__forbidden", 403, **header)
    assert "contents=read" in failed(github().verify())["repository"].hint


@pytest.mark.parametrize(
    ("days", "warned"), [(1, True), (13.9, True), (14.1, False), (90, False), (-1, True)]
)
def test_a_token_that_expires_within_14_days_is_a_warning(wire, days, warned):
    moment = datetime.now(UTC) + timedelta(days=days)
    header = {"github-authentication-token-expiration": f"{moment:%Y-%m-%d %H:%M:%S} UTC"}
    wire.routes[REPOSITORY] = fine_grained("repository__may_push", **header)
    found = failed(github().verify())
    assert (set(found) == {"expiry"}) is warned
    if warned:
        assert found["expiry"].level is Level.WARNING
        assert f"{moment:%Y-%m-%d}" in found["expiry"].message


@pytest.mark.parametrize("value", ["", "soon", "2026-13-45 00:00:00 UTC", "9999999999"])
def test_an_unreadable_expiration_is_ignored(wire, value):
    header = {"github-authentication-token-expiration": value}
    wire.routes[REPOSITORY] = fine_grained("repository__may_push", **header)
    assert failed(github().verify()) == {}


@pytest.mark.parametrize(
    ("name", "status", "headers", "seconds"),
    [
        ("error__rate_limit", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "+90"}, 90),
        ("error__rate_limit", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "-90"}, 0),
        ("error__secondary_limit", 403, {"Retry-After": "60"}, 60),
        ("error__secondary_limit", 429, {"Retry-After": "60"}, 60),
        ("error__rate_limit", 429, {}, None),
    ],
)
def test_a_rate_limit_is_temporary_and_says_for_how_long(wire, name, status, headers, seconds):
    if "X-RateLimit-Reset" in headers:
        reset = int(time.time()) + int(headers["X-RateLimit-Reset"])
        headers = {**headers, "X-RateLimit-Reset": str(reset)}
    wire.routes[USER] = wire.routes[LIST] = answer(name, status, **headers)
    check = failed(github().verify())["credentials"]
    assert (check.code, check.is_temporary) == ("rate_limited", True)
    with pytest.raises(ProviderError) as caught:
        github().repositories()
    assert caught.value.outcome is Outcome.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(seconds, abs=5)


@pytest.mark.parametrize("token", ["", "ghp_one\nghp_two", "“ghp”", "ghp one"])
def test_a_token_that_cannot_be_sent_is_a_failed_check(wire, token):
    assert failed(github(token=token).verify())["credentials"].code == "malformed_secret"
    assert wire.seen == []


def test_a_private_address_must_be_allowed_by_the_operator(settings):
    settings.OUTBOUND_ALLOW = []
    check = failed(github().verify())["address"]
    assert check.code == "address_refused"


# --- repositories -----------------------------------------------------------------------------


def test_repositories_that_can_be_written_to_are_listed(wire):
    assert github(url="").repositories() == [
        Option(value="https://github.com/dream11/app", label="dream11/app"),
        Option(value="https://github.com/delivr-bot/tools", label="delivr-bot/tools"),
    ]
    assert wire.last(LIST).query == {"sort": "pushed", "per_page": "50", "page": "1"}


def test_pages_are_asked_for_by_number_within_bounds_and_links_are_not_followed(wire):
    full = payload("repositories__mixed")[:1] * 50
    link = {"Link": '<http://169.254.169.254/>; rel="next"'}
    wire.routes[LIST] = Reply(full, headers=link)
    assert len(github().repositories()) == 200
    assert [seen.query["page"] for seen in wire.seen] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("body", [{}, {"message": "x"}, "x"])
def test_a_body_that_is_not_a_list_is_an_error(wire, body):
    wire.routes[LIST] = Reply(body)
    with pytest.raises(ProviderError) as caught:
        github().repositories()
    assert caught.value.code == "garbage"


@pytest.mark.parametrize("entry", [None, 7, {}, {"full_name": 7, "permissions": {"push": True}}])
def test_odd_entries_of_a_list_are_left_out(wire, entry):
    wire.routes[LIST] = Reply([entry])
    assert github().repositories() == []


# --- the library ------------------------------------------------------------------------------


def test_the_library_reaches_no_other_host_whatever_an_answer_names(wire, settings):
    """PyGithub guards against that with an assertion alone; ours holds without it."""
    from github.Requester import Requester

    from integrations.providers.github import client

    settings.OUTBOUND_ALLOW = ["127.0.0.1", "localhost"]
    port = int(wire.url.rpartition(":")[2])
    here, elsewhere = client._HTTP("127.0.0.1", port), client._HTTP("localhost", port)
    for connection in (here, elsewhere):
        connection.request("GET", USER, None, {"Authorization": f"token {TOKEN}"})
    assert here.getresponse().status == 200
    with pytest.raises(OutboundError) as caught:
        elsewhere.getresponse()
    assert caught.value.code == "address_refused"
    assert wire.count(USER, "GET") == 1
    assert Requester._Requester__httpConnectionClass is client._HTTP
    assert Requester._Requester__httpsConnectionClass is client._HTTPS


@pytest.mark.slow
def test_clients_in_threads_do_not_disturb_each_other(wire):
    wire.routes[REPOSITORY] = lambda seen: (
        answer("repository__may_push")
        if seen.headers["authorization"].endswith("0")
        else answer("error__not_found", 404)
    )
    outcomes: dict[int, set[str]] = {}

    def verify(number: int) -> None:
        outcomes[number] = set(failed(github(token=f"ghp_{number}").verify()))

    threads = [threading.Thread(target=verify, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcomes == {n: set() if n % 10 == 0 else {"repository"} for n in range(20)}


def test_no_error_carries_the_token_that_the_server_echoes(wire, caplog):
    def echo(seen):
        sent = seen.headers["authorization"]
        return Reply(
            {"message": f"bad {sent}", "login": sent},
            403,
            {"X-Echo": sent, "X-Accepted-GitHub-Permissions": sent},
        )

    wire.routes = dict.fromkeys([REPOSITORY, LIST], echo) | {USER: answer("user__bot")}
    with pytest.raises(ProviderError) as caught:
        github().repositories()
    assert TOKEN not in everything_in(caught.value)
    assert TOKEN not in repr(github().verify())
    assert TOKEN not in caplog.text


def test_a_login_that_echoes_the_token_is_not_shown(wire):
    wire.routes[USER] = Reply({"login": TOKEN}, headers=CLASSIC)
    assert TOKEN not in repr(github().verify())


def test_a_connection_is_read_through_its_secrets():
    class Secret:
        def reveal(self):
            return TOKEN

    class Connection:
        repository_url, access_token = "https://github.com/dream11/app", Secret()
        options = {}

    provider = GitHub.from_connection(Connection())
    assert failed(provider.verify()) == {}
    assert TOKEN not in repr(provider)
