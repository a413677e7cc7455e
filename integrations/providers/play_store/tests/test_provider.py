import json
import logging

import jwt
import pytest
from django.test import override_settings

from integrations.providers.play_store.provider import PlayStore
from integrations.providers.tests.keys import pem, rsa_key
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, payloads

pytestmark = pytest.mark.slow

KEY = pem(rsa_key())
APP = "/play/androidpublisher/v3/applications/com.example.app"
RELEASES = f"{APP}/tracks/production/releases"
INFO = {
    "type": "service_account",
    "project_id": "example",
    "private_key_id": "0123456789abcdef",
    "private_key": KEY,
    "client_email": "delivr@example.iam.gserviceaccount.com",
    "token_uri": "http://127.0.0.1:9/evil",
    "universe_domain": "evil.example.com",
}
payload = payloads(__file__)


class HastyPlayStore(PlayStore):
    deadline = 2.0  # enough to sign in on a busy machine


@pytest.fixture(autouse=True)
def google_is_here(wire):
    wire.routes = {
        "/token": Reply(payload("token__200")),
        RELEASES: Reply(payload("releases__200")),
    }
    urls = {"GOOGLE_PLAY_URL": f"{wire.url}/play", "GOOGLE_TOKEN_URL": f"{wire.url}/token"}
    with override_settings(**urls):
        yield


def make(kind=PlayStore, **changes):
    return kind(**{"service_account": INFO, "app_identifier": "com.example.app", **changes})


def refusal(words, reason):
    errors = [{"reason": reason, "message": words}]
    return Reply({"error": {"code": 403, "message": words, "errors": errors}}, 403)


def failed(checks):
    return {check.name: check for check in checks if not check.ok}


@pytest.mark.parametrize("document", [INFO, json.dumps(INFO)])
def test_a_good_connection_passes_every_check(document):
    checks = make(service_account=document).verify()
    assert [check.name for check in checks] == ["key", "address", "credentials", "app"]
    assert failed(checks) == {}


def test_a_connection_without_releases_yet_is_good(wire):
    wire.routes[RELEASES] = Reply({})
    assert failed(make().verify()) == {}


def test_the_sign_in_goes_to_the_configured_address_whatever_the_file_says(wire):
    make().verify()
    sent = wire.last("/token").form
    claims = jwt.decode(
        sent["assertion"],
        rsa_key().public_key(),
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",  # google-auth names Google's own always
    )
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert claims["iss"] == INFO["client_email"]
    assert claims["scope"] == "https://www.googleapis.com/auth/androidpublisher"


def test_verifying_reads_only_and_makes_no_edit(wire):
    make().verify()
    assert [(seen.method, seen.path) for seen in wire.seen] == [
        ("POST", "/token"),
        ("GET", RELEASES),
    ]
    assert wire.last(RELEASES).headers["authorization"] == "Bearer ya29.c.made-up"


def test_with_another_kind_of_credentials_nothing_is_sent(wire):
    (check,) = make(service_account={**INFO, "type": "external_account"}).verify()
    assert (check.name, check.code) == ("key", "unreadable_key")
    assert wire.seen == []


@pytest.mark.parametrize(
    ("reply", "name", "code", "passing"),
    [
        (
            Reply(payload("token__400_invalid_grant"), 400),
            "credentials",
            "invalid_grant",
            False,
        ),
        (Reply({"error": "Odd Word!"}, 400), "credentials", "bad_credentials", False),
        (Reply(b"no", 401), "credentials", "bad_credentials", False),
        (Reply(status=429), "credentials", "rate_limited", True),
        (Reply(status=500), "address", "server_error", True),
        (Reply(status=503), "address", "server_error", True),
        (Reply({"error": "temporarily_unavailable"}, 400), "address", "server_error", True),
        (Reply({"token_type": "Bearer"}), "address", "garbage", True),
        (Reply(fault="reset"), "address", "reset", True),
        (LOGIN_PAGE, "address", "garbage", True),
    ],
)
def test_each_sign_in_failure_is_reported_after_one_post(wire, reply, name, code, passing):
    wire.routes["/token"] = reply
    (check,) = failed(make().verify()).values()
    assert (check.name, check.code, check.is_temporary) == (name, code, passing)
    assert wire.count("/token") == 1


@pytest.mark.parametrize(
    ("reply", "code", "passing"),
    [
        (Reply(payload("error__401"), 401), "bad_credentials", False),
        (Reply(payload("error__403_not_invited"), 403), "forbidden", False),
        (Reply(payload("error__403_api_off"), 403), "api_disabled", False),
        (
            Reply({"error": {"details": [{"reason": "SERVICE_DISABLED"}]}}, 403),
            "api_disabled",
            False,
        ),
        (Reply({"error": 5}, 403), "forbidden", False),
        (refusal("Project #1 has been deleted.", "forbidden"), "project_unusable", False),
        (refusal("The project is not linked.", "projectNotLinked"), "project_unusable", False),
        (refusal("Quota exceeded.", "rateLimitExceeded"), "rate_limited", True),
        (Reply(b"<html>Request blocked</html>", 403), "not_the_system", True),
        (Reply(b"default backend - 404", 404), "not_the_system", True),
        (Reply(payload("error__404_application"), 404), "app_not_found", False),
        (Reply(status=429, headers={"Retry-After": "5"}), "rate_limited", True),
        (Reply(status=500), "server_error", True),
        (Reply(fault="reset"), "reset", True),
        (LOGIN_PAGE, "garbage", True),
    ],
)
def test_each_failure_of_the_app_is_reported_after_one_request(wire, reply, code, passing):
    wire.routes[RELEASES] = reply
    check = failed(make().verify())["app"]
    assert (check.code, check.is_temporary) == (code, passing)
    assert wire.count(RELEASES, "GET") == 1
    assert wire.count("/token") == 1


def test_a_permission_that_is_new_may_need_time(wire):
    wire.routes[RELEASES] = Reply(payload("error__403_not_invited"), 403)
    assert "two days" in failed(make().verify())["app"].hint


@pytest.mark.parametrize("name", ["app", "com.example/../../x", "com.example.app?x=1", ""])
def test_an_invalid_package_name_is_not_sent(wire, name):
    assert failed(make(app_identifier=name).verify())["app"].code == "bad_package_name"
    assert wire.count(RELEASES, "GET") == 0


def test_sign_in_and_reading_share_one_budget_of_time(wire):
    wire.routes[RELEASES] = Reply(fault="hang")
    check = failed(make(HastyPlayStore).verify())["app"]
    assert (check.code, check.is_temporary) == ("timeout", True)


@pytest.mark.parametrize("path", ["/token", RELEASES])
def test_nothing_secret_is_shown_even_if_google_echoes_it(wire, caplog, path):
    caplog.set_level(logging.DEBUG)

    def echo(seen):
        shown = f"{seen.body.decode()} {seen.headers.get('authorization')} {KEY}"
        return Reply({"error": shown, "error_description": shown}, status=400)

    wire.routes[path] = echo
    checks = make().verify()
    shown = repr(checks) + caplog.text
    assert failed(checks)
    for secret in (KEY.splitlines()[1], "ya29.c.made-up", wire.last("/token").form["assertion"]):
        assert secret not in shown


def test_from_connection_reads_the_fields_of_the_model():
    class Secret:
        def reveal(self):
            return json.dumps(INFO)

    class Connection:
        credentials = Secret()
        app_identifier = "com.example.app"

    assert failed(PlayStore.from_connection(Connection()).verify()) == {}
    assert PlayStore.platform == "ANDROID"


def test_google_says_in_its_words_what_is_wrong_with_the_project(wire):
    wire.routes[RELEASES] = refusal("Project #1 has been deleted.", "forbidden")
    check = failed(make().verify())["app"]
    assert "Project #1 has been deleted." in check.message
    assert "active Google Cloud project" in check.hint
