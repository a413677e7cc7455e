"""Fixtures that the tests of builds share."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import Build
from builds.tests.both_ways import thin_path, way  # noqa: F401 # fixtures
from delivr.effects.models import EffectState
from delivr.effects.runner import run_effect
from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to
from integrations.models import PipelineIntegration
from integrations.providers.tests.wire import wire  # noqa: F401 # a fixture
from releases.tests.pages import Setup


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def build(wired: Wired) -> Build:
    """An iOS build that was triggered: delivr knows its queue item."""
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    found: Build = fresh(build)
    return found


@pytest.fixture
def pipeline(wired: Wired) -> PipelineIntegration:
    found: PipelineIntegration = wired.pipelines["ios"]
    return found


@pytest.fixture
def setup(tenant):
    return Setup(tenant)


@pytest.fixture
def release(setup):
    return setup.release()


@pytest.fixture
def as_role(tenant, member_of, client_for):
    return lambda role: client_for(member_of(tenant, role))


@pytest.fixture
def member(as_role):
    return as_role(Role.MEMBER)


@pytest.fixture
def admin(as_role):
    return as_role(Role.ADMIN)


@pytest.fixture
def outsider(stranger, client_for):
    return client_for(stranger)


@pytest.fixture
def dead(setup):
    """A message that gave up."""
    return factories.EffectFactory(
        tenant=setup.tenant, state=EffectState.DEAD, attempts=8, integration_id=setup.slack.pk
    )
