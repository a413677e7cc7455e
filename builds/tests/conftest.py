"""Fixtures that the tests of builds share."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import Build
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def build(wired: Wired) -> Build:
    """A build of iOS that Jenkins has, and that delivr was told the queue item of."""
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    found: Build = fresh(build)
    return found
