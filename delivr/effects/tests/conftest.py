"""The fake provider, and one effect for it."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects.handlers import handler_for
from delivr.effects.models import Effect
from delivr.effects.operations import create_effect
from delivr.effects.tests.fake_provider import PROVIDER


@pytest.fixture
def provider(settings: Any) -> Any:
    settings.CELERY_BROKER_URL = ""
    settings.EFFECT_HANDLERS = {"test.list": "delivr.effects.tests.fake_provider.FakeHandler"}
    handler_for.cache_clear()
    PROVIDER.__init__()
    yield PROVIDER
    handler_for.cache_clear()


@pytest.fixture
def effect(provider: Any, tenant: Any) -> Effect:
    return create_effect(tenant=tenant, kind="test.list", integration_id="comm_x", dedupe_key="one")
