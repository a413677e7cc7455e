"""PyJWT and requests, as delivr uses them, against the App Store Connect stand-in."""

from __future__ import annotations

import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox import accounts

APPS = "/appstore/v1/apps"
BUNDLE = {"filter[bundleId]": accounts.APP_IDENTIFIER}


@pytest.fixture
def ask(sandbox, web):
    """`ask(path, params, claims…)`: one call with a token, valid unless changed."""

    def call(path=APPS, params=None, *, key=None, kid=accounts.APPLE_KEY_ID, **claims):
        now = int(time.time())
        payload = {
            "iss": accounts.APPLE_ISSUER_ID,
            "iat": now - 30,
            "exp": now + 600,
            "aud": "appstoreconnect-v1",
            **claims,
        }
        key = key or sandbox.accounts.apple_api_key
        token = jwt.encode(payload, key, algorithm="ES256", headers={"kid": kid})
        return web.get(path, params=params, headers={"Authorization": f"Bearer {token}"})

    return call


def test_the_app_is_found_among_its_prefixes(ask):
    answer = ask(params={**BUNDLE, "fields[apps]": "name,bundleId,sku", "limit": "2"})
    assert answer.status_code == 200
    found = {app["attributes"]["bundleId"]: app["id"] for app in answer.json()["data"]}
    assert found == {"com.dream11.app": "6450000001", "com.dream11.app.beta": "6450000002"}
    assert answer.headers["X-Rate-Limit"] == "user-hour-lim:3600;user-hour-rem:3545;"


def test_only_requested_fields_are_shown(ask):
    (app, *_) = ask(params={**BUNDLE, "fields[apps]": "bundleId"}).json()["data"]
    assert set(app["attributes"]) == {"bundleId"}


def test_an_app_that_the_key_does_not_see_is_an_empty_list(ask):
    answer = ask(params={"filter[bundleId]": "com.rival.app"})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert answer.json()["meta"]["paging"]["total"] == 0


def test_there_are_no_builds(ask):
    assert ask("/appstore/v1/builds", {"filter[app]": "6450000001"}).json()["data"] == []


def past(seconds: int) -> int:
    return int(time.time()) - seconds


@pytest.mark.parametrize(
    "claims_now",  # evaluated when the test runs, which may be minutes after collection
    [
        lambda: {"exp": past(1)},
        lambda: {"exp": past(-1201)},
        lambda: {"iat": past(700), "exp": past(-600)},
        lambda: {"iat": past(-300)},
        lambda: {"iss": "5a5d0b0c-0000-4000-8000-000000000000"},
        lambda: {"aud": "somebody-else"},
        lambda: {"kid": "UNKNOWNKEY"},
    ],
    ids=[
        "expired",
        "too long from now",
        "too long",
        "from the future",
        "issuer",
        "audience",
        "key",
    ],
)
def test_invalid_tokens_are_refused(ask, claims_now):
    answer = ask(params=BUNDLE, **claims_now())
    assert answer.status_code == 401
    (error,) = answer.json()["errors"]
    assert (error["status"], error["code"]) == ("401", "NOT_AUTHORIZED")


def test_a_signature_of_another_key_is_refused(ask):
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert ask(key=other).status_code == 401


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic eDp5"])
def test_a_call_without_a_token_is_refused(web, header):
    assert web.get(APPS, headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(
    ("kid", "code"),
    [
        (accounts.APPLE_FORBIDDEN_KEY_ID, "FORBIDDEN_ERROR"),
        (accounts.APPLE_NO_AGREEMENT_KEY_ID, "FORBIDDEN.REQUIRED_AGREEMENTS_MISSING_OR_EXPIRED"),
    ],
)
def test_a_key_may_lack_its_role_or_agreement(ask, kid, code):
    answer = ask(kid=kid)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, code)


def test_unknown_parameters_are_an_error(ask):
    answer = ask(params={"filter[bundleid]": "x"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": "filter[bundleid]"}
    assert ask(params={"limit": "500"}).status_code == 400


def test_unknown_apps_and_paths_are_not_found(ask):
    assert ask("/appstore/v1/apps/6450000001").json()["data"]["attributes"]["name"] == "Dream11"
    assert ask("/appstore/v1/apps/1").status_code == 404
    assert ask("/appstore/v1/nothing").json()["errors"][0]["code"] == "NOT_FOUND"
