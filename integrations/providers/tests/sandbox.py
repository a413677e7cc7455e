"""The sandbox's stand-ins, with delivr's settings pointed at them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from sandbox.server import SandboxServer


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory) -> Iterator[SandboxServer]:
    with SandboxServer(state_dir=tmp_path_factory.mktemp("sandbox")) as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox) -> Iterator[SandboxServer]:
    """The sandbox on its first day, without faults."""
    running_sandbox.state.reset()
    running_sandbox.state.slack.is_paced = False
    pointed = running_sandbox.accounts.settings(running_sandbox.url)
    allowed = [pointed.pop("OUTBOUND_ALLOW")]
    with override_settings(**pointed, OUTBOUND_ALLOW=allowed):
        yield running_sandbox


def failed(checks):
    return {check.name: check for check in checks if not check.ok}
