"""Against the stand-in, which checks the signature of every token."""

import pytest

from integrations.providers.app_store.provider import AppStore
from integrations.providers.tests.keys import elliptic, pem
from integrations.providers.tests.sandbox import failed
from sandbox import accounts


@pytest.fixture
def connect(sandbox):
    def make(**changes):
        given = {
            "issuer_id": accounts.APPLE_ISSUER_ID,
            "key_id": accounts.APPLE_KEY_ID,
            "api_key": sandbox.accounts.apple_api_key,
            "app_identifier": accounts.APP_IDENTIFIER,
        }
        return AppStore(**{**given, **changes})

    return make


def test_the_demo_connection_is_valid(connect):
    checks = connect().verify()
    assert failed(checks) == {}
    assert [check.message for check in checks[-2:]] == ["Dream11", "6450000001"]


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({"api_key": pem(elliptic())}, "credentials", "bad_credentials"),
        ({"key_id": "NOBODY"}, "credentials", "bad_credentials"),
        ({"issuer_id": "00000000-0000-4000-8000-000000000000"}, "credentials", "bad_credentials"),
        ({"key_id": accounts.APPLE_FORBIDDEN_KEY_ID}, "credentials", "forbidden"),
        ({"key_id": accounts.APPLE_NO_AGREEMENT_KEY_ID}, "credentials", "agreement_missing"),
        ({"app_identifier": "com.dream11"}, "app", "app_not_visible"),
        ({"app_identifier": "com.nobody.app"}, "app", "app_not_visible"),
        ({"api_key": "hello"}, "key", "unreadable_key"),
    ],
)
def test_each_defect_of_a_connection_is_reported(connect, changes, name, code):
    (check,) = failed(connect(**changes).verify()).values()
    assert (check.name, check.code, check.is_temporary) == (name, code, False)


@pytest.mark.parametrize("fault", ["drop_before", "html_200", "garbage", "oversized", "status"])
def test_a_fault_is_a_temporary_failure_of_the_address(sandbox, connect, fault):
    sandbox.state.faults.add(fault, provider="app_store")
    (check,) = failed(connect().verify()).values()
    assert (check.name, check.is_temporary) == ("address", True)
