"""Verification, the picker, and what each answer leads to."""

from __future__ import annotations

import time
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.gitlab.provider import GitLab
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Wire, everything_in
from sandbox import accounts
from sandbox.server import SandboxServer

TOKEN = "glpat-canary0123456789"
GITLAB_SAYS_NO = Reply({"message": "401 Unauthorized"}, 401)


def failed(provider: GitLab) -> dict[str, str]:
    return {check.name: check.code for check in provider.verify() if not check.ok}


# --- Against the stand-in -------------------------------------------------------------------------


@pytest.fixture
def lab(sandbox: SandboxServer) -> Any:
    def make(token: str = accounts.GITLAB_TOKEN, path: str = accounts.GITLAB_PROJECT) -> GitLab:
        return GitLab(repository_url=f"{sandbox.url}/gitlab/{path}".strip("/"), access_token=token)

    return make


def test_a_good_connection_passes_every_check(sandbox: SandboxServer, lab: Any) -> None:
    provider = lab()
    checks = {check.name: check for check in provider.verify()}
    assert list(checks) == [
        *("address", "server", "credentials", "account", "repository", "permission", "expiry")
    ]
    assert all(check.ok and check.tested for check in checks.values())
    assert checks["server"].message == f"{sandbox.url}/gitlab"
    assert "project_4201_bot" in checks["account"].message
    assert provider.expires_at is not None
    assert [entry["path"] for entry in sandbox.state.requests] == [
        *("/api/v4/version", "/api/v4/user", f"/api/v4/projects/{accounts.GITLAB_PROJECT}"),
        "/api/v4/personal_access_tokens/self",
    ]


@pytest.mark.parametrize(
    ("token", "failures"),
    [
        (accounts.GITLAB_DEVELOPER_TOKEN, {}),
        (accounts.GITLAB_OAUTH_TOKEN, {}),
        (accounts.GITLAB_REPORTER_TOKEN, {"permission": "no_push"}),
        (accounts.GITLAB_READ_TOKEN, {"permission": "missing_scope"}),
        (accounts.GITLAB_EXPIRED_TOKEN, {"credentials": "token_expired"}),
        ("glpat-of-nobody", {"credentials": "bad_credentials"}),
    ],
)
def test_each_token_fails_the_expected_check(lab: Any, token: str, failures: Any) -> None:
    assert failed(lab(token)) == failures


@pytest.mark.parametrize(
    ("path", "failures"),
    [
        ("dream11/backend", {}),
        ("Dream11/Mobile/App", {}),
        ("dream11/mobile/legacy-app", {"repository": "archived"}),
        ("rival/secret-app", {"repository": "repository_not_found"}),
        ("", {"credentials": "bad_repository"}),
    ],
)
def test_each_project_fails_the_expected_check(lab: Any, path: str, failures: Any) -> None:
    assert failed(lab(path=path)) == failures


def test_what_changes_at_the_server_is_told(sandbox: SandboxServer, lab: Any) -> None:
    state = sandbox.state.gitlab
    state.end_token(accounts.GITLAB_TOKEN, 5)
    assert failed(lab()) == {"expiry": "expires_soon"}
    state.revoked.add(accounts.GITLAB_TOKEN)
    assert failed(lab()) == {"credentials": "token_revoked"}
    state.revoked.clear()
    state.move(state.projects[4201], "dream11/new")
    assert failed(lab()) == {"repository": "repository_moved"}
    state.calls_left = 1
    check = next(check for check in lab().verify() if not check.ok)
    assert (check.name, check.code, check.is_temporary) == ("credentials", "rate_limited", True)


@pytest.mark.parametrize("path", ["", "dream11/mobile/app"])
def test_the_picker_offers_the_servers_projects(
    sandbox: SandboxServer, lab: Any, path: str
) -> None:
    found = [option.value for option in lab(path=path).repositories()]
    assert f"{sandbox.url}/gitlab/{accounts.GITLAB_PROJECT}" in found
    assert not [value for value in found if "legacy" in value or "rival" in value]


def test_it_is_called_through_the_outbound_guard(lab: Any, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = []
    assert failed(lab()) == {"address": "address_refused"}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "html_200"}, "garbage"),
        ({"kind": "garbage"}, "garbage"),
        ({"kind": "redirect"}, "redirect"),
        ({"kind": "oversized"}, "too_large"),
        ({"kind": "drop_before"}, "reset"),
        ({"kind": "status", "status": 503}, "server_error"),
        ({"kind": "status", "status": 429}, "rate_limited"),
        ({"kind": "proxy", "status": 403}, "not_the_system"),
    ],
)
def test_a_network_failure_is_reported_and_nothing_is_retried(
    sandbox: SandboxServer, lab: Any, fault: Any, code: str
) -> None:
    sandbox.state.faults.add(provider="gitlab", path="/api/v4/user", **fault)
    assert failed(lab()) == {"credentials": code}
    assert sandbox.state.faults.active()[0]["struck"] == 1


def test_an_echoed_token_is_in_no_error(sandbox: SandboxServer, lab: Any) -> None:
    sandbox.state.faults.add("echo", provider="gitlab", path="/api/v4/projects/*", status=400)
    provider = lab()
    with pytest.raises(ProviderError) as caught:
        provider.default_branch()
    assert accounts.GITLAB_TOKEN not in everything_in(caught.value)


# --- Against answers on the wire ------------------------------------------------------------------


def on_wire(wire: Wire, path: str = "/group/app") -> GitLab:
    return GitLab(repository_url=f"{wire.url}{path}", access_token=TOKEN)


def test_gitlab_is_found_below_a_path_without_showing_the_token(wire: Wire) -> None:
    wire.routes = {
        "/api/v4/version": LOGIN_PAGE,
        "/tools/api/v4/version": Reply(b"", 302, {"Location": "/login"}),
        "/tools/git/api/v4/version": GITLAB_SAYS_NO,
        "/tools/git/api/v4/projects/group%2Fapp": Reply({"id": 1, "default_branch": "trunk"}),
    }
    assert on_wire(wire, "/tools/git/group/app").default_branch() == "trunk"
    probes, last = wire.seen[:-1], wire.seen[-1]
    assert len(probes) == 3
    assert not [seen for seen in probes if "authorization" in seen.headers]
    assert last.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("answer", "code", "words", "is_temporary"),
    [
        (Reply(b"Not Found", 404), "not_gitlab", "as the browser shows it", True),
        (LOGIN_PAGE, "garbage", "login page", True),
        (Reply(b"", 301, {"Location": "https://x.example/"}), "redirect", "https://", False),
        (Reply(b"Bad Gateway", 502), "server_error", "later", True),
        (Reply(b"Retry later", 429, {"Retry-After": "7"}), "rate_limited", "Wait", True),
    ],
)
def test_what_is_not_gitlab_is_told(
    wire: Wire, answer: Reply, code: str, words: str, is_temporary: bool
) -> None:
    wire.routes["/api/v4/version"] = answer
    (check,) = [check for check in on_wire(wire).verify() if not check.ok]
    assert (check.name, check.code, check.is_temporary) == ("address", code, is_temporary)
    assert words in check.hint
    assert all(seen.path.endswith("/api/v4/version") for seen in wire.seen)


MESSAGES = [
    (Reply({"message": {"base": ["One.", "Two."]}}, 400), "refused", "says: One.; Two."),
    (Reply({"error": "ref is missing"}, 400), "refused", "says: ref is missing"),
    (Reply({"message": {"error": "Too many"}}, 429), "rate_limited", "too many requests"),
    (Reply({"message": "403 Forbidden - Accept the terms"}, 403), "forbidden", "Accept the terms"),
    (Reply({"message": "403 Forbidden"}, 403), "forbidden", "does not allow this (HTTP 403)"),
    (Reply({"message": f"Bad {TOKEN}"}, 422), "refused", "refused the request (HTTP 422)"),
    (Reply({"message": "500 Internal Server Error"}, 500), "server_error", "internal error"),
    (Reply([1], 200), "garbage", "other than an API response"),
]


@pytest.mark.parametrize(("answer", "code", "words"), MESSAGES)
def test_gitlabs_words_are_passed_on(wire: Wire, answer: Reply, code: str, words: str) -> None:
    wire.routes = {
        "/api/v4/version": GITLAB_SAYS_NO,
        "/api/v4/projects/group%2Fapp": answer,
    }
    with pytest.raises(ProviderError) as caught:
        on_wire(wire).default_branch()
    assert (caught.value.code, words in caught.value.message) == (code, True)
    assert TOKEN not in everything_in(caught.value)


def test_the_rate_limits_end_is_waited_for(wire: Wire) -> None:
    headers = {"RateLimit-Reset": str(int(time.time()) + 40)}
    wire.routes = {
        "/api/v4/version": GITLAB_SAYS_NO,
        "/api/v4/projects/group%2Fapp": Reply(b"Retry later", 429, headers),
    }
    with pytest.raises(ProviderError) as caught:
        on_wire(wire).default_branch()
    assert caught.value.outcome is Outcome.RATE_LIMITED
    assert 30 < (caught.value.retry_after or 0) <= 40


def test_an_older_gitlab_answers_403_for_a_release_that_is_not_there(wire: Wire) -> None:
    project, commit = "/api/v4/projects/group%2Fapp", {"id": "a" * 40}
    other = {"tag_name": "v2", "upcoming_release": False, "commit": commit}
    wire.routes = {
        "/api/v4/version": GITLAB_SAYS_NO,
        f"{project}/releases/v1": Reply({"message": "403 Forbidden"}, 403),
        f"{project}/releases/v2": Reply({"message": "403 Forbidden"}, 403),
        f"{project}/releases": Reply([other]),
    }
    lab = on_wire(wire)
    assert lab.read_release("v1") is None
    assert lab.read_release("v2").commit == "a" * 40  # type: ignore[union-attr]


def test_where_gitlab_does_not_tell_the_role_it_is_not_tested(wire: Wire) -> None:
    """An administrator, and a GitLab that does not know its tokens' own address."""
    wire.routes = {
        "/api/v4/version": GITLAB_SAYS_NO,
        "/api/v4/user": Reply({"username": "root"}),
        "/api/v4/projects/group%2Fapp": Reply({"id": 1, "path_with_namespace": "group/app"}),
        "/api/v4/personal_access_tokens/self": Reply({"message": "404 Not Found"}, 404),
    }
    checks = {check.name: check for check in on_wire(wire).verify()}
    assert all(check.ok for check in checks.values())
    assert not checks["permission"].tested
    assert "api scope" in checks["permission"].message
