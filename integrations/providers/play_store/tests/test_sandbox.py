"""Against the stand-in, which checks the signature of every sign-in."""

import json

import pytest

from integrations.providers.play_store.provider import PlayStore
from integrations.providers.tests.keys import pem, rsa_key
from integrations.providers.tests.sandbox import failed
from sandbox import accounts


@pytest.fixture
def connect(sandbox):
    def make(app_identifier=accounts.APP_IDENTIFIER, **changes):
        account = {**sandbox.accounts.google_service_account, **changes}
        return PlayStore(service_account=json.dumps(account), app_identifier=app_identifier)

    return make


def test_the_demo_connection_is_valid(connect):
    assert failed(connect().verify()) == {}


def test_verifying_makes_no_edit(sandbox, connect):
    connect().verify()
    log = sandbox.state.requests
    assert log.count(method="POST") == 1  # the sign-in
    assert log.count(path="*/edits*") == 0
    assert sandbox.state.ledger.of("edit.inserted") == []


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({"private_key": pem(rsa_key())}, "credentials", "invalid_grant"),
        ({"client_email": "nobody@example.com"}, "credentials", "invalid_grant"),
        ({"type": "external_account"}, "key", "unreadable_key"),
        ({"app_identifier": "com.nobody.app"}, "app", "app_not_found"),
        ({"app_identifier": "com.dream11.partner"}, "app", "forbidden"),
    ],
)
def test_each_defect_of_a_connection_is_reported(connect, changes, name, code):
    (check,) = failed(connect(**changes).verify()).values()
    assert (check.name, check.code, check.is_temporary) == (name, code, False)


@pytest.mark.parametrize("path", ["/token", "/androidpublisher/*"])
@pytest.mark.parametrize("fault", ["drop_before", "html_200", "garbage", "oversized", "status"])
def test_a_fault_is_a_temporary_failure(sandbox, connect, fault, path):
    struck = sandbox.state.faults.add(fault, path=path)
    (check,) = failed(connect().verify()).values()
    assert check.is_temporary
    assert struck.struck == 1
