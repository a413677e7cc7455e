import logging
import time
from email.utils import formatdate

import jwt
import pytest
from django.test import override_settings

from integrations.providers.app_store.fields import FIELDS
from integrations.providers.app_store.provider import AppStore
from integrations.providers.tests.keys import elliptic, pem, rsa_key
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, payloads

KEY = pem(elliptic())
ISSUER = "5a5d0b0c-0000-4000-8000-000000000001"
payload = payloads(__file__)


class HastyAppStore(AppStore):
    deadline = 0.5


@pytest.fixture(autouse=True)
def app_store_is_here(wire):
    wire.routes = {"/v1/apps": Reply(payload("apps__exact_and_longer"))}
    with override_settings(APP_STORE_CONNECT_URL=f"{wire.url}/"):
        yield


def make(kind=AppStore, **changes):
    given = {
        "issuer_id": ISSUER,
        "key_id": "KEY0000001",
        "api_key": KEY,
        "app_identifier": "com.example.app",
    }
    return kind(**{**given, **changes})


def failed(checks):
    return {check.name: check for check in checks if not check.ok}


def test_a_good_connection_passes_every_check_and_names_the_app():
    checks = make().verify()
    assert [check.name for check in checks] == ["key", "address", "credentials", "app", "app_id"]
    assert failed(checks) == {}
    assert [check.message for check in checks[-2:]] == ["Example", "6400000002"]


def test_apple_is_asked_once_with_a_token_that_it_accepts(wire):
    make().verify()
    (seen,) = wire.seen
    kind, token = seen.headers["authorization"].split()
    claims = jwt.decode(
        token, elliptic().public_key(), algorithms=["ES256"], audience="appstoreconnect-v1"
    )
    assert kind == "Bearer"
    assert jwt.get_unverified_header(token) == {
        "alg": "ES256",
        "kid": "KEY0000001",
        "typ": "JWT",
    }
    assert claims["iss"] == ISSUER
    assert claims["iat"] < time.time()
    assert claims["exp"] - claims["iat"] < 20 * 60
    assert seen.query["filter[bundleId]"] == "com.example.app"


def test_with_an_unreadable_key_nothing_is_sent(wire):
    (check,) = make(api_key=pem(rsa_key())).verify()
    assert (check.name, check.code) == ("key", "unreadable_key")
    assert wire.seen == []


@pytest.mark.parametrize("answer", ["apps__only_longer", "apps__empty"])
def test_only_the_exact_identifier_counts(wire, answer):
    wire.routes["/v1/apps"] = Reply(payload(answer))
    check = failed(make().verify())["app"]
    assert check.code == "app_not_visible"
    assert not check.is_temporary


@pytest.mark.parametrize(
    ("reply", "name", "code", "passing"),
    [
        (Reply(payload("error__401"), 401), "credentials", "bad_credentials", False),
        (Reply(payload("error__403_role"), 403), "credentials", "forbidden", False),
        (Reply(payload("error__403_agreement"), 403), "credentials", "agreement_missing", False),
        (Reply(payload("error__429"), 429), "credentials", "rate_limited", True),
        (Reply({"errors": 5}, 403), "credentials", "forbidden", False),
        (Reply({"errors": [5]}, 403), "credentials", "forbidden", False),
        (Reply(status=500), "address", "server_error", True),
        (Reply(fault="reset"), "address", "reset", True),
        (LOGIN_PAGE, "address", "garbage", True),
        (Reply({"data": None}), "address", "garbage", True),
    ],
)
def test_each_failure_belongs_to_the_right_check(wire, reply, name, code, passing):
    wire.routes["/v1/apps"] = reply
    (check,) = failed(make().verify()).values()
    assert (check.name, check.code, check.is_temporary) == (name, code, passing)
    assert len(wire.seen) == 1


@pytest.mark.parametrize("entry", [None, 5, {}, {"attributes": None}, {"attributes": {}}])
def test_unexpected_entries_in_the_list_are_skipped(wire, entry):
    good = payload("apps__exact_and_longer")["data"]
    wire.routes["/v1/apps"] = Reply({"data": [entry, *good]})
    assert failed(make().verify()) == {}


def test_a_missing_answer_is_a_temporary_failure(wire):
    wire.routes["/v1/apps"] = Reply(fault="hang")
    check = failed(make(HastyAppStore).verify())["address"]
    assert (check.code, check.is_temporary) == ("timeout", True)


def test_neither_key_nor_token_is_shown_even_if_apple_echoes_them(wire, caplog):
    caplog.set_level(logging.DEBUG)

    def echo(seen):
        error = {"code": seen.headers["authorization"], "title": KEY, "detail": KEY}
        return Reply({"errors": [error]}, status=403)

    wire.routes["/v1/apps"] = echo
    checks = make().verify()
    (seen,) = wire.seen
    shown = repr(checks) + caplog.text
    assert failed(checks)
    assert seen.headers["authorization"].split()[1] not in shown
    assert KEY.splitlines()[1] not in shown


def test_a_name_that_echoes_the_key_is_not_shown(wire):
    found = payload("apps__exact_and_longer")
    found["data"][1]["attributes"]["name"] = KEY
    wire.routes["/v1/apps"] = Reply(found)
    assert KEY.splitlines()[1] not in repr(make().verify())


def test_from_connection_reads_the_fields_of_the_model():
    class Secret:
        def reveal(self):
            return KEY

    class Connection:
        issuer_id = ISSUER
        key_id = "KEY0000001"
        credentials = Secret()
        app_identifier = "com.example.app"
        options = {"app_id": "6400000002"}

    assert failed(AppStore.from_connection(Connection()).verify()) == {}
    assert AppStore.platform == "IOS"


@pytest.mark.parametrize(
    "bundle_id", ["com.example.app", "com.example.my_app", "com.example-x.App2"]
)
def test_a_bundle_id_is_taken_as_apple_has_it(bundle_id):
    [field] = [field for field in FIELDS if field.name == "app_identifier"]
    assert field.clean(bundle_id) == bundle_id


@pytest.mark.parametrize(
    ("ahead", "code", "words"),
    [(0, "bad_credentials", "individual keys"), (900, "clock_skew", "by NTP")],
)
def test_a_wrong_clock_is_detected_by_the_time_of_apples_answer(wire, ahead, code, words):
    date = formatdate(time.time() - ahead, usegmt=True)
    wire.routes["/v1/apps"] = Reply(payload("error__401"), 401, {"Date": date})
    check = failed(make().verify())["credentials"]
    assert check.code == code
    assert words in check.hint


@pytest.mark.parametrize("status", [403, 404])
def test_an_answer_of_a_proxy_says_nothing_about_the_key(wire, status):
    wire.routes["/v1/apps"] = Reply(b"<html>Request blocked</html>", status)
    [check] = failed(make().verify()).values()
    assert (check.code, check.is_temporary) == ("not_the_system", True)


def test_what_apple_says_is_shown_in_its_words(wire):
    error = {"status": "422", "code": "UNUSUAL", "detail": "This filter is not for you."}
    wire.routes["/v1/apps"] = Reply({"errors": [error]}, 422)
    [check] = failed(make().verify()).values()
    assert "This filter is not for you." in check.message
