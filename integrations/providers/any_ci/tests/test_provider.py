"""What is sent to a receiver, and what each of its answers leads to, against a local server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from integrations.providers.any_ci.addresses import clean_status_url
from integrations.providers.any_ci.headers import clean_headers, read_headers
from integrations.providers.any_ci.provider import AnyCi
from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildRequest, BuildStatus
from integrations.providers.fields import clean_full_address
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, Wire, everything_in

SECRET, EARLIER = "whsec_bmV3ZXN0LW5ld2VzdC1uZXdlc3Q=", "whsec_ZWFybGllci1lYXJsaWVyLWVhcg=="
TOKEN = "canary-of-the-headers"
REQUEST = BuildRequest(
    build_id="bld_1",
    version="1.5.0",
    branch="release/1.5.0",
    platform="IOS",
    parameters={"VERSION": "1.5.0", "BRANCH": "x", "DELIVR_BUILD_ID": "bld_1", "LANE": "beta"},
    commit="c0ffee",
)


class HastyCi(AnyCi):
    deadline = 1.0


@pytest.fixture
def receiver(wire: Wire, settings: Any) -> Any:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]

    def make(kind: type[AnyCi] = AnyCi, **changes: Any) -> AnyCi:
        given: dict[str, Any] = {
            "trigger_url": f"{wire.url}/hook?app=ios",
            "secrets": [SECRET, EARLIER],
            "callback_url": "https://delivr.example.com/callback",
            "headers": {"X-Token": TOKEN},
            "status_url": f"{wire.url}/status/{{buildId}}",
        }
        return kind(**{**given, **changes})

    return make


def failing(call: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    assert TOKEN not in everything_in(caught.value)
    return caught.value


def test_a_trigger_is_signed_with_every_valid_secret(wire: Wire, receiver: Any) -> None:
    wire.routes["/hook"] = Reply({"buildNumber": 245, "buildUrl": "https://ci.example.com/245"})
    state = receiver().trigger(REQUEST)
    assert (state.status, state.number) == (BuildStatus.QUEUED, 245)
    assert state.url == "https://ci.example.com/245"
    seen = wire.last("/hook")
    assert seen.json == {
        "type": "build.trigger",
        "data": {
            "buildId": "bld_1",
            "version": "1.5.0",
            "branch": "release/1.5.0",
            "commit": "c0ffee",
            "platform": "IOS",
            "parameters": {"LANE": "beta"},
            "callbackUrl": "https://delivr.example.com/callback",
        },
    }
    for secret in (SECRET, EARLIER):
        Webhook(secret).verify(seen.body, seen.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(seen.body + b" ", seen.headers)
    assert (seen.headers["webhook-id"], seen.query) == ("bld_1", {"app": "ios"})
    assert seen.headers["x-token"] == TOKEN


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"", status=204),
        Reply(b"ok", headers={"Content-Type": "text/html"}),
        Reply({"buildNumber": "soon", "buildUrl": "javascript:alert(1)"}, status=202),
        Reply([1]),
    ],
)
def test_every_2xx_is_accepted_whatever_else_it_says(
    wire: Wire, receiver: Any, reply: Reply
) -> None:
    wire.routes["/hook"] = reply
    state = receiver().trigger(REQUEST)
    assert (state.status, state.number, state.url) == (BuildStatus.QUEUED, None, "")


@pytest.mark.parametrize(
    ("reply", "outcome", "words"),
    [
        (Reply({"error": TOKEN}, status=400), Outcome.REFUSED, "refused the trigger (HTTP 400)"),
        (Reply({"error": TOKEN}, status=401), Outcome.REFUSED, "refused the trigger (HTTP 401)"),
        (Reply(status=403), Outcome.REFUSED, "refused the trigger (HTTP 403)"),
        (Reply(status=409), Outcome.REFUSED, "refused the trigger (HTTP 409)"),
        (Reply(status=410), Outcome.REFUSED, "refused the trigger (HTTP 410)"),
        (Reply(status=408), Outcome.UNCERTAIN, "timed out"),
        (Reply(status=429, headers={"Retry-After": "7"}), Outcome.RATE_LIMITED, "rate limiting"),
        (Reply(status=500), Outcome.UNCERTAIN, "internal error"),
        (Reply(status=302, headers={"Location": "/x"}), Outcome.REFUSED, "redirects"),
        (LOGIN_PAGE, Outcome.UNCERTAIN, "other than an API response"),
        (Reply(b"x" * 1_100_000), Outcome.UNCERTAIN, "larger than 1 MB"),
        (Reply(fault="reset"), Outcome.UNCERTAIN, "closed the connection"),
    ],
)
def test_every_other_answer_is_told_in_words(
    wire: Wire, receiver: Any, reply: Reply, outcome: Outcome, words: str
) -> None:
    wire.routes["/hook"] = reply
    error = failing(lambda: receiver().trigger(REQUEST))
    assert (error.outcome, words in error.message) == (outcome, True), error.message
    assert wire.count("/hook") == 1


def test_a_receiver_that_does_not_answer_in_time_leaves_a_doubt(wire: Wire, receiver: Any) -> None:
    wire.routes["/hook"] = Reply(fault="hang")
    error = failing(lambda: receiver(HastyCi).trigger(REQUEST))
    assert (error.code, error.outcome) == ("timeout", Outcome.UNCERTAIN)


def test_nothing_is_sent_without_a_secret_or_to_a_private_address(
    wire: Wire, receiver: Any, settings: Any
) -> None:
    assert failing(lambda: receiver(secrets=[]).trigger(REQUEST)).outcome is Outcome.CREDENTIALS
    settings.OUTBOUND_ALLOW = []
    error = failing(lambda: receiver().trigger(REQUEST))
    assert (error.code, error.outcome) == ("address_refused", Outcome.NOT_SENT)
    assert wire.seen == []


# --- The status address ---------------------------------------------------------------------------


def test_a_status_is_read_with_a_signature_over_the_builds_id(wire: Wire, receiver: Any) -> None:
    wire.routes["/status/bld_1"] = Reply(
        {
            "buildId": "bld_1",
            "buildNumber": 245,
            "status": "success",
            "artifactUrl": "s3://builds/ios-245.ipa",
        }
    )
    state = receiver().find(REQUEST, since=datetime.now(UTC))
    assert (state.status, state.number, state.carried_id) == (BuildStatus.SUCCESS, 245, "bld_1")
    assert [(one.name, one.url) for one in state.artifacts] == [
        ("ios-245.ipa", "s3://builds/ios-245.ipa")
    ]
    seen = wire.last("/status/bld_1")
    Webhook(SECRET).verify(b"", seen.headers, json_parse=False)
    assert (seen.headers["webhook-id"], seen.headers["x-token"]) == ("bld_1", TOKEN)


def test_the_headers_stay_on_the_triggers_server(wire: Wire, receiver: Any) -> None:
    wire.routes["/status/bld_1"] = Reply({"status": "RUNNING"})
    ci = receiver(trigger_url="https://elsewhere.example.com/hook")
    assert ci.read(BuildHandle(), build_id="bld_1").status is BuildStatus.RUNNING
    assert "x-token" not in wire.last("/status/bld_1").headers


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(status=404), None),
        (Reply({"status": None}), BuildStatus.RUNNING),
        (Reply({"status": "cancelled"}), BuildStatus.ABORTED),
        (Reply({"status": "in_progress"}), "garbage"),
        (Reply({"buildNumber": 1}), "garbage"),
        (Reply(b"[]"), "garbage"),
        (LOGIN_PAGE, "garbage"),
        (Reply(status=401), "bad_credentials"),
        (Reply(status=500), "server_error"),
    ],
)
def test_what_a_status_address_answers_is_read_or_told(
    wire: Wire, receiver: Any, reply: Reply, found: Any
) -> None:
    wire.routes["/status/bld_1"] = reply

    def read() -> Any:
        return receiver().read(BuildHandle(number=1), build_id="bld_1")

    if isinstance(found, str) and not isinstance(found, BuildStatus):
        assert failing(read).code == found
    else:
        state = read()
        assert (state and state.status) == found


def test_without_one_nothing_can_be_looked_up(receiver: Any) -> None:
    ci = receiver(status_url="")
    error = failing(lambda: ci.find(REQUEST, since=datetime.now(UTC)))
    assert (error.code, error.outcome) == ("cannot_correlate", Outcome.REFUSED)
    state = ci.read(BuildHandle(number=7), build_id="bld_1")
    assert (state.status, state.number) == (BuildStatus.QUEUED, 7)


# --- Verification ---------------------------------------------------------------------------------


def test_by_its_number_alone_no_status_is_asked_for(wire: Wire, receiver: Any) -> None:
    error = failing(lambda: receiver().read(BuildHandle(number=7), build_id=""))
    assert (error.code, error.outcome, wire.seen) == ("not_by_number", Outcome.REFUSED, [])


def test_a_verification_starts_nothing(wire: Wire, receiver: Any) -> None:
    address, credentials, status = receiver().verify()
    assert (address.name, address.ok) == ("address", True)
    assert (credentials.tested, "Start a test build" in credentials.message) == (False, True)
    assert (status.name, status.ok) == ("status", True)
    assert [(seen.method, seen.path) for seen in wire.seen] == [("GET", "/status/bld_verification")]


def test_a_missing_status_address_is_a_warning(receiver: Any) -> None:
    *_others, status = receiver(status_url="").verify()
    assert (status.ok, status.level, status.code) == (False, Level.WARNING, "no_status_url")


def test_headers_that_are_not_sent_to_the_status_address_are_a_warning(
    wire: Wire, receiver: Any, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1", "localhost"]
    other = wire.url.replace("127.0.0.1", "localhost")
    *_others, status = receiver(status_url=f"{other}/status/{{buildId}}").verify()
    assert (status.code, status.level) == ("headers_stay", Level.WARNING)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply({"status": "RUNNING"}), "status_of_nothing"),
        (LOGIN_PAGE, "garbage"),
        (Reply(status=503), "server_error"),
    ],
)
def test_a_status_address_that_answers_wrongly_is_told(
    wire: Wire, receiver: Any, reply: Reply, code: str
) -> None:
    wire.routes["/status/bld_verification"] = reply
    *_others, status = receiver().verify()
    assert (status.name, status.code, status.level) == ("status", code, Level.ERROR)


def test_a_receiver_that_does_not_know_the_secret_yet_is_a_warning(
    wire: Wire, receiver: Any
) -> None:
    wire.routes["/status/bld_verification"] = Reply(status=401)
    *_others, status = receiver().verify()
    assert (status.code, status.level) == ("bad_credentials", Level.WARNING)
    assert "webhook secret" in status.hint


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/hook", "connect"),
        ("http://10.0.0.1/hook", "address_refused"),
        ("https://no-such-name.invalid/hook", "dns"),
    ],
)
def test_an_address_that_cannot_be_reached_is_told(receiver: Any, url: str, code: str) -> None:
    [address] = receiver(trigger_url=url).verify()
    assert (address.name, address.code) == ("address", code)


# --- What is entered ------------------------------------------------------------------------------


def test_addresses_are_cleaned() -> None:
    assert clean_full_address(" ci.example.com/hook/?a=1 ") == "https://ci.example.com/hook/?a=1"
    for status in ("https://ci.example.com/{buildId}/x", "https://ci.example.com?id={buildId}"):
        assert clean_status_url(status) == status


@pytest.mark.parametrize(
    ("clean", "value"),
    [
        (clean_full_address, "ftp://ci.example.com"),
        (clean_full_address, "https://ci.example.com/#x"),
        (clean_full_address, "https://u:p@ci.example.com"),
        (clean_full_address, "http://169.254.169.254/"),
        (clean_full_address, "https://ci.example.com/?a=<b>"),
        (clean_status_url, "https://ci.example.com/status"),
        (clean_status_url, "https://{buildId}.example.com/"),
    ],
)
def test_other_addresses_are_refused(clean: Any, value: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        clean(value)


@pytest.mark.parametrize(
    "value",
    [
        {"X-Token": "a b", "Authorization": "Bearer c"},
        '{"X-Token": "a b", "Authorization": "Bearer c"}',
        "X-Token: a b\r\n\r\nAuthorization:Bearer c\n",
    ],
)
def test_headers_are_read_from_an_object_or_from_lines(value: Any) -> None:
    assert read_headers(clean_headers(value)) == {"X-Token": "a b", "Authorization": "Bearer c"}


@pytest.mark.parametrize(
    "value",
    [
        f"X-Token {TOKEN}",
        f'{{"X-Token": ["{TOKEN}"]}}',
        f'{{"X-Token": "{TOKEN}"',
        {"X-Token": f"{TOKEN}\nX: y"},
        {"X-Token": ""},
        {"Webhook-Id": TOKEN},
        {"Host": TOKEN},
        {"X Token": TOKEN},
        {"X-Token": TOKEN, "x-token": TOKEN},
        {f"X-{n}": TOKEN for n in range(21)},
        {"X-Token": "é"},
    ],
)
def test_bad_headers_are_refused_without_their_values(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        clean_headers(value)
    assert TOKEN not in str(caught.value)
