"""Fixtures that the tests of Slack share."""

import pytest
from django.test import override_settings

from integrations.providers.slack.tests.answers import SCOPES, auth, payload
from integrations.providers.tests.sandbox import running_sandbox, sandbox
from integrations.providers.tests.wire import Reply, wire

__all__ = ["running_sandbox", "sandbox", "wire"]


@pytest.fixture
def slack_is_here(wire):
    wire.routes = {
        "/api/auth.test": auth(SCOPES),
        "/api/conversations.info": Reply(payload("conversations.info__member")),
        "/api/chat.postMessage": Reply(payload("chat.postMessage__ok")),
        "/api/conversations.history": Reply(payload("conversations.history__with_metadata")),
    }
    with override_settings(SLACK_API_URL=f"{wire.url}/api/"):
        yield
