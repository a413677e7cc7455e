import json

import pytest
from django.test import override_settings

from integrations.providers.play_store.provider import PlayStore
from integrations.providers.tests.keys import pem, rsa_key
from integrations.providers.tests.sandbox import running_sandbox, sandbox
from integrations.providers.tests.wire import wire

from .google import Google

__all__ = ["google", "running_sandbox", "sandbox", "store", "wire"]


@pytest.fixture
def google(wire):
    wire.routes = Google()
    urls = {"GOOGLE_PLAY_URL": f"{wire.url}/play", "GOOGLE_TOKEN_URL": f"{wire.url}/token"}
    with override_settings(**urls):
        yield wire.routes


@pytest.fixture
def store(google):
    account = {
        "type": "service_account",
        "private_key_id": "0123456789abcdef",
        "private_key": pem(rsa_key()),
        "client_email": "delivr@example.iam.gserviceaccount.com",
    }
    return PlayStore(service_account=json.dumps(account), app_identifier="com.example.app")
