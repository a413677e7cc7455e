"""Fixtures that the tests of all apps share."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client, override_settings
from redis import RedisError
from rest_framework.test import APIClient

from delivr.effects import queue
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories
from delivr.tests.browser import browser_type_launch_args  # noqa: F401 # a fixture
from delivr.tests.emptying import _quick_to_empty  # noqa: F401 # a fixture
from delivr.tests.every_page import filled  # noqa: F401 # a fixture
from delivr.tests.processes import empty_broker
from delivr.tests.product import console, migrated, product  # noqa: F401 # fixtures
from integrations.providers.slack.provider import Slack
from sandbox.server import SandboxServer

_connect = socket.socket.connect


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test connects to other machines."""

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not (
            address[0].startswith("127.") or address[0] in ("::1", "localhost")
        ):
            raise AssertionError(f"A test wanted to reach {address[0]}.")
        _connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are sent and edited without pauses in between; tests of these set their own."""
    for name in ("pace", "edit_pace"):
        monkeypatch.setattr(Slack, name, timedelta(0))


@pytest.fixture(autouse=True)
def _broker_for_services_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that need no broker run without one, on PostgreSQL too, as the embedded default
    does."""
    queue.pause.end()
    for_services = request.node.get_closest_marker("services") is not None
    if for_services or not configured.CELERY_BROKER_URL:
        yield
        return
    with override_settings(CELERY_BROKER_URL=""):
        yield


def pytest_collection_finish() -> None:
    """Exclude what is loaded by now from garbage collection, which takes an eighth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_sessionfinish() -> None:
    if configured.CELERY_BROKER_URL.startswith("redis"):
        with suppress(RedisError):  # Redis may be down; then no test has used it
            empty_broker()


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(state_dir=tmp_path_factory.mktemp("sandbox"), auto_finish=None) as server:
        yield server


@pytest.fixture
def sandbox(sandbox_server: SandboxServer, settings: Any) -> Iterator[SandboxServer]:
    """An empty sandbox, with the settings that point to it."""
    sandbox_server.state.reset()
    sandbox_server.state.slack.is_paced = False
    point_at(settings, sandbox_server.url)
    yield sandbox_server
    sandbox_server.state.reset()


def point_at(settings: Any, url: str) -> None:
    """Let the real clients use the sandbox at `url`."""
    settings.GITHUB_API_URL = f"{url}/github"
    settings.SLACK_API_URL = f"{url}/slack/api/"
    settings.APP_STORE_CONNECT_URL = f"{url}/appstore"
    settings.GOOGLE_PLAY_URL = f"{url}/play"
    settings.GOOGLE_PLAY_REPORTING_URL = f"{url}/playreporting"
    settings.GOOGLE_TOKEN_URL = f"{url}/google/token"
    settings.OUTBOUND_ALLOW = ["127.0.0.1", "localhost"]


@pytest.fixture
def tenant(db: None) -> Tenant:
    return factories.TenantFactory()


@pytest.fixture
def member_of() -> Callable[..., User]:
    """`member_of(tenant, Role.VIEWER)`: a user with that role."""

    def make(tenant: Tenant, role: Role = Role.MEMBER) -> User:
        return factories.MembershipFactory(tenant=tenant, role=role).user

    return make


@pytest.fixture
def owner(tenant: Tenant, member_of: Callable[..., User]) -> User:
    return member_of(tenant, Role.OWNER)


@pytest.fixture
def stranger(db: None) -> User:
    """The owner of another workspace."""
    return factories.MembershipFactory(role=Role.OWNER).user


@pytest.fixture
def client_for() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        return factories.sign_in(Client(), user)

    return make


@pytest.fixture
def api_for() -> Callable[..., APIClient]:
    """`api_for(tenant, Role.ADMIN)`: a client with a new token of that role."""
    from delivr.tenants.operations import create_token

    def make(tenant: Tenant, role: Role = Role.OWNER) -> APIClient:
        user = factories.MembershipFactory(tenant=tenant, role=role).user
        _token, text = create_token(tenant=tenant, user=user, role=role)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return client

    return make


@pytest.fixture
def sandbox_values(sandbox: SandboxServer) -> dict[str, Any]:
    """The values that connect the sandbox, by family and the API's field names."""
    return sandbox.accounts.as_dict(sandbox.url)


@pytest.fixture
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.DELIVR_DATA_DIR = tmp_path
    return tmp_path
