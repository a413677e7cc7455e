"""GitHub's refusals, told apart by their words: everywhere a call is made, not only at verify."""

from __future__ import annotations

import time
from typing import Any

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.github.provider import GitHub
from integrations.providers.tests.wire import Reply, Wire, everything_in

TOKEN = "ghp_canary0123456789token"
USER, REPOSITORY, LIST = "/api/v3/user", "/api/v3/repos/o/app", "/api/v3/user/repos"
ASK = "administrator of the organization"
ALTHOUGH = "Although you appear to have the correct authorization credentials, the `o` organization"

REFUSALS = [
    (
        f"{ALTHOUGH} has an IP allow list enabled, and your IP address is not permitted to access "
        "this resource.",
        "ip_not_allowed",
        ASK,
    ),
    (
        "Resource protected by organization SAML enforcement. You must grant your Personal Access "
        "token access to this organization.",
        "sso_required",
        "Configure SSO",
    ),
    (
        "The 'o' organization forbids access via a fine-grained personal access tokens if the "
        "token's lifetime is greater than 366 days.",
        "token_lifetime",
        ASK,
    ),
    ("`o` forbids access via a personal access token (classic).", "classic_token_forbidden", ASK),
    (
        "`o` forbids access via a personal access token (classic). Please use a GitHub App, OAuth "
        "App, or a personal access token with fine-grained permissions.",
        "classic_token_forbidden",
        "fine-grained",
    ),
    (
        "`o` forbids access via a fine-grained personal access token.",
        "fine_grained_token_forbidden",
        ASK,
    ),
    ("`o` forbids access via a deploy key.", "token_forbidden", ASK),
    ("This token is pending approval by the organization.", "token_not_approved", "approve"),
    (
        f"{ALTHOUGH} has enabled OAuth App access restrictions, meaning that data access to "
        "third-parties is limited.",
        "app_not_approved",
        ASK,
    ),
    ("Sorry. Your account was suspended.", "suspended", "suspension"),
    ("This installation has been suspended", "suspended", "suspension"),
    ("At least one email address must be verified to do that.", "not_verified", "Sign in"),
    ("Repository was archived so is read-only.", "archived", "unarchive"),
    ("Repository access blocked", "blocked", "browser"),
    ("This repository has been disabled.", "disabled", "enable"),
    ("Must have admin rights to Repository.", "admin_required", "Admin role"),
    ("Resource not accessible by personal access token", "forbidden", "Contents"),
    ("The stars are not right.", "forbidden", "Contents"),
]


@pytest.fixture(autouse=True)
def github_is_here(wire: Wire, settings: Any) -> None:
    settings.GITHUB_API_URL = f"{wire.url}/api/v3"
    wire.routes = {USER: Reply({"login": "octo", "id": 1})}


def github() -> GitHub:
    return GitHub(repository_url="https://github.com/o/app", access_token=TOKEN)


def refused(words: str, status: int = 403, **headers: str) -> Reply:
    return Reply(
        {"message": words, "documentation_url": "https://docs.github.com"}, status, headers
    )


def failed() -> dict[str, Any]:
    return {check.name: check for check in github().verify() if not check.ok}


@pytest.mark.parametrize(("words", "code", "hint"), REFUSALS)
def test_each_reason_is_reported_in_githubs_words_with_a_hint(
    wire: Wire, words: str, code: str, hint: str
) -> None:
    wire.routes[REPOSITORY] = wire.routes[LIST] = refused(words)
    check = failed()["repository"]
    assert (check.code, check.is_temporary) == (code, False)
    assert words[:150] in check.message
    assert hint in check.hint
    with pytest.raises(ProviderError) as caught:
        github().repositories()
    assert (caught.value.code, caught.value.hint) == (code, check.hint)
    assert words[:150] in caught.value.message


@pytest.mark.parametrize(("words", "code", "hint"), REFUSALS)
def test_a_user_refused_at_sign_in_is_not_taken_for_an_app(
    wire: Wire, words: str, code: str, hint: str
) -> None:
    wire.routes = {USER: refused(words), REPOSITORY: Reply({"id": 1, "full_name": "o/app"})}
    (name, check) = next(iter(failed().items()))
    assert name in ("credentials", "address")
    assert (check.code, words[:150] in check.message) == (code, True)
    assert wire.count(REPOSITORY, "GET") == 0


@pytest.mark.parametrize(
    ("words", "headers"),
    [
        ("You have exceeded a secondary rate limit. Please wait a few minutes.", {}),
        ("You have triggered an abuse detection mechanism.", {}),
        ("API rate limit exceeded for user ID 4242.", {"X-RateLimit-Remaining": "4711"}),
        ("Slow.", {"Retry-After": "60"}),
        ("Slow.", {"X-RateLimit-Remaining": "0"}),
    ],
)
def test_a_rate_limit_is_not_taken_for_a_missing_permission(
    wire: Wire, words: str, headers: dict[str, str]
) -> None:
    reset = {"X-RateLimit-Reset": "1"}  # of the primary limit: it ended long ago
    wire.routes[REPOSITORY] = refused(words, **headers, **reset)
    check = failed()["repository"]
    assert (check.code, check.is_temporary) == ("rate_limited", True)


def test_a_secondary_limit_ignores_the_reset_of_the_primary_one(wire: Wire) -> None:
    headers = {"X-RateLimit-Remaining": "4711", "X-RateLimit-Reset": "99999999999"}
    wire.routes[LIST] = refused("You have exceeded a secondary rate limit.", **headers)
    with pytest.raises(ProviderError) as caught:
        github().repositories()
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.RATE_LIMITED, None)


def test_a_taken_down_repository_is_refused_and_not_uncertain(wire: Wire) -> None:
    wire.routes[REPOSITORY] = refused("Repository access blocked", 451)
    check = failed()["repository"]
    assert (check.code, check.is_temporary) == ("blocked", False)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407])
@pytest.mark.parametrize("body", [b"<html>Forbidden by policy</html>", b"", b"[]", {"error": 1}])
def test_the_page_of_a_proxy_is_not_taken_for_githubs_answer(
    wire: Wire, status: int, body: Any
) -> None:
    wire.routes[USER] = Reply(body, status)
    check = failed()["address"]
    assert (check.code, check.is_temporary) == ("not_its_answer", True)


def test_a_refusal_without_a_body_is_githubs_by_its_headers(wire: Wire) -> None:
    wire.routes[USER] = Reply(b"", 401, {"X-GitHub-Request-Id": "1:2:3"})
    assert failed()["credentials"].code == "bad_credentials"


def test_an_unusual_message_about_a_token_is_shown(wire: Wire) -> None:
    wire.routes[USER] = refused("This token was revoked by its owner.", 401)
    assert "revoked by its owner" in failed()["credentials"].message


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 451])
def test_a_reason_that_repeats_the_token_is_not_shown(wire: Wire, status: int) -> None:
    wire.routes[LIST] = refused(f"No, {TOKEN}: your IP address is not permitted.", status)
    with pytest.raises(ProviderError) as caught:
        github().repositories()
    assert TOKEN not in everything_in(caught.value)
    assert caught.value.message


@pytest.mark.parametrize("message", [None, 7, ["x"], {"a": 1}, "\x00\x1b[31mred", "x" * 100_000])
def test_an_unexpected_message_is_handled(wire: Wire, message: Any) -> None:
    reply = Reply({"message": message}, 403, {"X-GitHub-Request-Id": "1:2:3"})
    wire.routes[REPOSITORY] = reply
    check = failed()["repository"]
    assert check.code == "forbidden"
    assert check.message.isprintable()
    assert len(check.message) < 300


def test_a_malicious_message_is_parsed_fast(wire: Wire) -> None:
    """A server of somebody's own, which one tenant connects and all wait for."""
    wire.routes[REPOSITORY] = refused("forbids access " * 10_000)
    began = time.process_time()
    assert failed()["repository"].code == "token_forbidden"
    assert time.process_time() - began < 2
