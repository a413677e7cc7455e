"""The same code against the stand-in, which keeps state and speaks the whole protocol."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.providers.github.provider import GitHub
from sandbox import accounts

pytestmark = pytest.mark.slow


def github(token=accounts.GITHUB_PUSH_TOKEN, url=accounts.GITHUB_REPOSITORY):
    return GitHub(repository_url=url, access_token=token)


def failed(provider):
    return {check.name: check.code for check in provider.verify() if not check.ok}


@pytest.mark.parametrize(
    ("token", "failures"),
    [
        (accounts.GITHUB_PUSH_TOKEN, {}),
        (accounts.GITHUB_READ_TOKEN, {"permission": "no_push"}),
        (accounts.GITHUB_FINE_GRAINED_TOKEN, {"expiry": "expires_soon"}),
        ("ghp_unknown", {"credentials": "bad_credentials"}),
    ],
)
def test_each_token_fails_the_expected_checks(sandbox, token, failures):
    assert failed(github(token)) == failures


@pytest.fixture
def enterprise(sandbox, settings) -> str:
    """A repository on a GitHub Enterprise server; github.com cannot be reached."""
    settings.GITHUB_API_URL = "http://127.0.0.1:9"
    return f"{sandbox.url}/dream11/app"


def test_an_enterprise_servers_own_api_is_asked(sandbox, enterprise):
    assert failed(github(url=enterprise)) == {}
    assert [entry["path"] for entry in sandbox.state.requests] == ["/user", "/repos/dream11/app"]


def test_the_picker_offers_an_enterprise_servers_repositories(enterprise):
    assert enterprise in [option.value for option in github(url=enterprise).repositories()]


def test_an_enterprise_server_is_called_through_the_outbound_guard(enterprise, settings):
    settings.OUTBOUND_ALLOW = []
    assert failed(github(url=enterprise)) == {"address": "address_refused"}


def test_two_servers_at_once_do_not_interfere(sandbox, enterprise, settings):
    settings.GITHUB_API_URL = f"{sandbox.url}/github"
    urls = [enterprise, accounts.GITHUB_REPOSITORY] * 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda url: failed(github(url=url)), urls)) == [{}] * 16


def test_an_invisible_repository_is_not_found(sandbox):
    url = "https://github.com/dream11/nothing-here"
    assert failed(github(url=url)) == {"repository": "repository_not_found"}


def test_the_picker_offers_what_can_be_connected(sandbox):
    options = github(url="").repositories()
    assert accounts.GITHUB_REPOSITORY in [option.value for option in options]
    for option in options:
        assert "repository" not in failed(github(url=option.value))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "html_200"}, "garbage"),
        ({"kind": "garbage"}, "garbage"),
        ({"kind": "redirect"}, "redirect"),
        ({"kind": "oversized"}, "too_large"),
        ({"kind": "drop_before"}, "reset"),
        ({"kind": "status", "status": 503}, "server_error"),
    ],
)
def test_a_network_failure_is_reported_and_nothing_is_retried(sandbox, fault, code):
    sandbox.state.faults.add(provider="github", **fault)
    assert failed(github()) == {"address": code}
    assert sandbox.state.faults.active()[0]["struck"] == 1
