"""The sandbox's own tests need neither Django nor a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from github.Requester import Requester

from sandbox import accounts
from sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(state_dir=tmp_path_factory.mktemp("stand-ins")) as server:
        yield server


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> Iterator[SandboxServer]:
    """An empty sandbox in which builds do not end by themselves."""
    sandbox_server.state.reset()
    sandbox_server.state.slack.is_paced = False
    yield sandbox_server
    sandbox_server.state.reset()


@pytest.fixture
def plain_pygithub() -> Iterator[None]:
    """PyGithub with its own connection classes, which other code in this process may have
    replaced."""
    requester: Any = Requester
    hung_in = (
        requester._Requester__httpConnectionClass,
        requester._Requester__httpsConnectionClass,
    )
    Requester.resetConnectionClasses()
    yield
    Requester.injectConnectionClasses(*hung_in)


class Web:
    """Plain HTTP with one cookie jar: no redirects, no settings from the environment."""

    def __init__(self, base: str, **settings: Any) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        for name, value in settings.items():
            setattr(self.session, name, value)

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        more = {"timeout": 10, "allow_redirects": False, **more}
        return self.session.request(method, f"{self.base}{path}", **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self("GET", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self("POST", path, **more)

    def put(self, path: str, **more: Any) -> requests.Response:
        return self("PUT", path, **more)


@pytest.fixture
def web(sandbox: SandboxServer) -> Iterator[Web]:
    """Without credentials, at the sandbox's root."""
    found = Web(sandbox.url)
    yield found
    found.session.close()


@pytest.fixture
def jenkins(sandbox: SandboxServer) -> Iterator[Web]:
    """The user delivr with an API token, as delivr itself signs in."""
    auth = (accounts.JENKINS_USER, accounts.JENKINS_API_TOKEN)
    found = Web(f"{sandbox.url}/jenkins", auth=auth)
    yield found
    found.session.close()


@pytest.fixture
def jenkins_as(sandbox: SandboxServer) -> Iterator[Any]:
    """`jenkins_as(name, secret)`: Jenkins as another user; without arguments anonymously."""
    made: list[Web] = []

    def make(*auth: str) -> Web:
        made.append(Web(f"{sandbox.url}/jenkins", auth=auth or None))
        return made[-1]

    yield make
    for found in made:
        found.session.close()


@pytest.fixture
def jira(sandbox: SandboxServer) -> Iterator[Web]:
    found = Web(f"{sandbox.url}/jira", auth=(accounts.JIRA_EMAIL, accounts.JIRA_API_TOKEN))
    yield found
    found.session.close()
