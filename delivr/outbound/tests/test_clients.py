"""All six clients use delivr.outbound: a private address is refused before a socket is opened, and
no server gets more than the limits allow, whatever the client's library does by itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from delivr.failures import ProviderError
from delivr.outbound.tests.hostile import MISBEHAVIOURS
from delivr.tests import factories
from delivr.tests.trap import reply, trap
from integrations.providers.registry import provider_for
from sandbox.server import SandboxServer

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

KINDS = ("GITHUB", "APP_STORE", "PLAY_STORE", "JENKINS", "SLACK", "JIRA")
ANSWER = reply(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
FORBIDDEN = {
    "loopback": "http://127.0.0.1:{port}",
    "its name": "http://localhost:{port}",
    "private": "http://10.0.0.1:8080",
    "link-local": "http://169.254.1.1",
    "metadata": "http://169.254.169.254",
    "CGNAT": "http://100.64.0.1",
    "multicast": "http://224.0.0.1",
    "mapped": "http://[::ffff:127.0.0.1]:{port}",
    "NAT64": "http://[64:ff9b::7f00:1]:8080",
    "6to4": "http://[2002:7f00:1::]:8080",
    "a number": "http://2130706433:{port}",
    "hexadecimal": "http://0x7f.1:8080",
    "a name of two addresses": "http://inward.example:8080",
    "a port for others": "http://8.8.8.8:6379",
    "userinfo": "http://user@127.0.0.1:{port}",
    "another scheme": "ftp://127.0.0.1:{port}",
}
REFUSED = {"address_refused", "bad_url", "unexpected"}  # PyGithub itself requires a known scheme
HOSTILE = (
    "drips a body",
    "drips one header",
    "resets",
    "speaks SSH",
    "sends a bomb",
    "never stops sending",
    "switches protocols",
)


def connections(
    url: str, values: dict[str, Any], settings: Any, *, theirs: str = ""
) -> dict[str, Callable[[], Any]]:
    """A connection of each kind whose calls go to `url`; `theirs` is the URL in Google's key."""
    settings.GITHUB_API_URL = f"{url}/github"
    settings.SLACK_API_URL = f"{url}/slack/api/"
    settings.APP_STORE_CONNECT_URL = f"{url}/appstore"
    settings.GOOGLE_PLAY_URL = f"{url}/play"
    settings.GOOGLE_TOKEN_URL = f"{url}/google/token"
    account = {
        **values["targets"][1]["googleServiceAccount"],
        "token_uri": f"{theirs or url}/theirs",
    }
    return {
        "GITHUB": factories.ScmFactory,
        "APP_STORE": lambda: factories.AppStoreFactory(
            credentials=values["targets"][0]["appleApiKey"]
        ),
        "PLAY_STORE": lambda: factories.PlayStoreFactory(credentials=json.dumps(account)),
        "JENKINS": lambda: factories.PipelineFactory(server_url=f"{url}/jenkins"),
        "SLACK": factories.SlackFactory,
        "JIRA": lambda: factories.JiraFactory(server_url=f"{url}/jira", api_token="t"),
    }


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All addresses that were connected to."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def note(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            tried.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    return tried


def failures(connection: Any) -> list[str]:
    """The codes of a verification's problems."""
    try:
        return [check.code for check in provider_for(connection).verify() if not check.ok]
    except ProviderError as error:
        return [error.code]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", FORBIDDEN)
def test_client_is_refused_a_private_address(
    sandbox_values: dict[str, Any],
    settings: Any,
    opened: list[Any],
    resolver: Any,
    kind: str,
    address: str,
) -> None:
    resolver.names["inward.example"] = ["8.8.8.8", "127.0.0.1"]
    with trap(ANSWER) as server:
        url = FORBIDDEN[address].format(port=server.port)
        connection = connections(url, sandbox_values, settings)[kind]()
        settings.OUTBOUND_ALLOW = []
        codes = failures(connection)
        assert REFUSED & set(codes), codes
        assert (opened, server.connections) == ([], 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behaviour", HOSTILE)
def test_client_gives_up_on_a_misbehaving_server_in_time(
    sandbox_values: dict[str, Any], settings: Any, kind: str, behaviour: str
) -> None:
    """None of the libraries' own limits counts decompressed bytes, or ends a slow response."""
    script, code = MISBEHAVIOURS[behaviour]
    with trap(script) as server:
        connection = connections(server.url, sandbox_values, settings)[kind]()
        settings.OUTBOUND_ALLOW = ["127.0.0.1"]
        provider = provider_for(connection)
        provider.deadline = 0.4 if code == "timeout" else 5.0
        codes = [check.code for check in provider.verify() if not check.ok]
        assert code in codes, codes


@pytest.mark.parametrize("kind", KINDS)
def test_client_follows_no_redirect_and_no_proxy(
    sandbox: SandboxServer,
    sandbox_values: dict[str, Any],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Neither a proxy of the environment nor the target of `Location` gets a connection."""
    with trap(ANSWER) as elsewhere:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.url)
        connection = connections(sandbox.url, sandbox_values, settings)[kind]()
        sandbox.state.faults.add("redirect", location=f"{elsewhere.url}/stolen")
        assert failures(connection)
        assert elsewhere.connections == 0
        assert len(sandbox.state.requests) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_client_does_not_follow_a_name_to_a_private_address(
    sandbox_values: dict[str, Any], settings: Any, resolver: Any, kind: str
) -> None:
    """DNS rebinding: the name first leads to the tenant's server, then to the metadata service."""
    with trap(ANSWER) as server:
        where = f"ci.example:{server.port}"
        connection = connections(f"http://{where}", sandbox_values, settings)[kind]()
        settings.OUTBOUND_ALLOW = [where]
        resolver.names["ci.example"] = ["127.0.0.1"]
        failures(connection)
        before = server.connections
        resolver.names["ci.example"] = ["169.254.169.254"]
        assert "address_refused" in failures(connection)
        assert server.connections == before > 0


def test_token_address_of_a_google_key_is_not_used(
    sandbox_values: dict[str, Any], settings: Any
) -> None:
    """The assertion is signed for, and sent to, the URL in our settings."""
    with trap(ANSWER) as server, trap(ANSWER) as theirs:
        connection = connections(server.url, sandbox_values, settings, theirs=theirs.url)[
            "PLAY_STORE"
        ]()
        settings.OUTBOUND_ALLOW = ["127.0.0.1"]
        assert failures(connection)
        assert (server.connections > 0, theirs.connections) == (True, 0)
        assert server.requests[0].startswith(b"POST /google/token ")
