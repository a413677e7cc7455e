"""All six clients go through the door: with an address that is not for tenants, each is refused
before a socket is opened, whatever its library does by itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from delivr.failures import ProviderError
from delivr.tests import factories
from delivr.tests.trap import drip, reply, trap
from integrations.providers.registry import provider_for
from sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

ANSWER = reply(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
FORBIDDEN = [
    "http://127.0.0.1:{port}",
    "http://localhost:{port}",
    "http://169.254.169.254",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://2130706433:{port}",
    "http://10.0.0.1:8080",
]


def connections(url: str, values: dict[str, Any], settings: Any) -> dict[str, Callable[[], Any]]:
    """A connection of each kind whose calls lead to `url`."""
    settings.GITHUB_API_URL = f"{url}/github"
    settings.SLACK_API_URL = f"{url}/slack/api/"
    settings.APP_STORE_CONNECT_URL = f"{url}/appstore"
    settings.GOOGLE_PLAY_URL = f"{url}/play"
    settings.GOOGLE_TOKEN_URL = f"{url}/google/token"
    account = {**values["targets"][1]["googleServiceAccount"], "token_uri": f"{url}/theirs"}
    return {
        "GITHUB": factories.ScmFactory,
        "APP_STORE": lambda: factories.AppStoreFactory(
            apple_api_key=values["targets"][0]["appleApiKey"]
        ),
        "PLAY_STORE": lambda: factories.PlayStoreFactory(
            google_service_account=json.dumps(account)
        ),
        "JENKINS": lambda: factories.PipelineFactory(jenkins_url=f"{url}/jenkins"),
        "SLACK": factories.SlackFactory,
        "JIRA": lambda: factories.JiraFactory(jira_url=f"{url}/jira", jira_api_token="t"),
    }


KINDS = ("GITHUB", "APP_STORE", "PLAY_STORE", "JENKINS", "SLACK", "JIRA")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Addresses that anybody tried to connect to."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def note(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            tried.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    return tried


def failures(connection: Any) -> list[str]:
    """The codes of what a verification complains about."""
    try:
        return [check.code for check in provider_for(connection).verify() if not check.ok]
    except ProviderError as error:
        return [error.code]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", FORBIDDEN)
def test_client_is_refused_by_the_door(
    sandbox_values: dict[str, Any], settings: Any, opened: list[Any], kind: str, address: str
) -> None:
    with trap(ANSWER) as server:
        url = address.format(port=server.port)
        connection = connections(url, sandbox_values, settings)[kind]()
        settings.OUTBOUND_ALLOW = []
        codes = failures(connection)
        assert {"address_refused", "bad_url"} & set(codes), codes
        assert (opened, server.connections) == ([], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_client_follows_no_redirect_and_no_proxy(
    sandbox: SandboxServer,
    sandbox_values: dict[str, Any],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """A proxy of the environment and a foreign `Location` get no connection at all."""
    with trap(ANSWER) as elsewhere:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.url)
        connection = connections(sandbox.url, sandbox_values, settings)[kind]()
        sandbox.world.faults.add("redirect", location=f"{elsewhere.url}/stolen")
        assert failures(connection)
        assert elsewhere.connections == 0
        assert len(sandbox.world.requests) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_client_keeps_to_its_time_with_a_server_that_drips(
    sandbox_values: dict[str, Any], settings: Any, kind: str
) -> None:
    """None of the libraries' own time-outs fires on a byte now and then; the door's does."""
    slow = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"b", every=0.05)
    with trap(slow) as server:
        connection = connections(server.url, sandbox_values, settings)[kind]()
        settings.OUTBOUND_ALLOW = ["127.0.0.1"]
        provider = provider_for(connection)
        provider.deadline = 1.0
        codes = [check.code for check in provider.verify() if not check.ok]
        assert "timeout" in codes, codes
