"""Secrets are removed from the text of other systems."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from delivr.encryption.fields import MASK, SecretUnreadable
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.models import ScmIntegration
from integrations.redaction import redact, secrets_of

SECRET = 'a-"secret"/+é-0123456789'
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        json.dumps(SECRET)[1:-1],
        base64.b64encode(f"user:{SECRET}:more".encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_spelling(spelling: str) -> None:
    shown = redact(f"before {spelling} after", [SECRET])
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert MASK in shown
    assert "0123456789" not in shown
    assert base64.b64encode(b"0123456").decode()[:8] not in shown


def test_the_key_of_a_service_account_is_masked_line_by_line() -> None:
    account = json.dumps({"type": "service_account", "private_key": KEY})
    shown = redact("MIIEvQIBADANBgkq\nok\nhkiG9w0BAQEFAASC", [account])
    assert shown == f"{MASK}\nok\n{MASK}"


def test_a_webhook_secret_is_masked_without_its_prefix() -> None:
    assert redact("whsec abcdefgh12345678", ["whsec_abcdefgh12345678"]) == f"whsec {MASK}"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("remote: ghp_abcdefgh12345678 refused", f"remote: {MASK} refused"),
        ("xoxb-1234567890-abcdef", MASK),
        ("Authorization: Bearer abc.def-1234567", f"Authorization: Bearer {MASK}"),
        ("https://bot:hunter22@git.example.com/a", f"https://bot:{MASK}@git.example.com/a"),
        ("-Pandroid.store.password=hunter2 -x", f"-Pandroid.store.password={MASK} -x"),
        ("AKIAABCDEFGHIJKLMNOP", MASK),
        ("key AIzaSyA1234567890abcdefghijklmnopqrstuv", f"key {MASK}"),
        (f"npm_{'a1' * 18} is not allowed", f"{MASK} is not allowed"),
        ("https://0123456789abcdef01@git.example.com/a", f"https://{MASK}@git.example.com/a"),
        ('{"api_key": "hunter22x", "a": 1}', f'{{"api_key": "{MASK}", "a": 1}}'),
        ("storePassword: hunter22x", f"storePassword: {MASK}"),
        ("tool --key-password hunter22 -x", f"tool --key-password {MASK} -x"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", MASK),
    ],
)
def test_text_that_looks_like_a_credential_is_masked_too(line: str, shown: str) -> None:
    assert redact(line, []) == shown


@pytest.mark.parametrize("name", ["PRIVATE KEY", "RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_anybodys_private_key_is_masked(name: str) -> None:
    key = KEY.replace("PRIVATE KEY", name)
    assert redact(f"cat key\n{key}done", []).count("MII") == 0


@pytest.mark.parametrize(
    "line",
    [
        "error: unexpected token in Cart.swift",
        "Basic authentication failed",
        "https://git.example.com:8443/a",
        "ssh://git@git.example.com:22/a",
        "npm_config_registry and npm_lifecycle_event",
        "error: unexpected token: expected expression",
        "Checkout.swift:12:5: error: cannot find 'tokenService' in scope",
        "the option --password is required",
        "TokenStore.swift:1118:27: error: cannot convert value",
        "Cart.swift:1:2: error: cannot find 'Token' in scope",
    ],
)
def test_ordinary_words_are_not_masked(line: str) -> None:
    assert redact(line, ["", "ab"]) == line


@pytest.mark.parametrize(
    "hostile",
    [
        "token" * 52_000,
        "token:" * 43_000,
        "-a-token " * 29_000,
        "eyJ-" * 65_000,
        "://a:" * 52_000,
        "://" + "a" * 260_000,
        "-----BEGIN " * 23_000,
    ],
    ids=lambda hostile: hostile[:12],
)
def test_malicious_text_is_redacted_fast(hostile: str) -> None:
    began = time.process_time()
    redact(hostile, [SECRET])
    assert time.process_time() - began < 5


def test_many_connections_are_redacted_fast() -> None:
    body = "".join(f"{n:063d}/\n" for n in range(25))
    account = json.dumps({"private_key": KEY.replace("MIIEvQIBADANBgkq\n", body)})
    secrets = [f"secret-{n}-/+0123456789" for n in range(180)]
    secrets += [account.replace("0000", f"{n:04d}") for n in range(20)]
    began = time.process_time()
    redact("Compiling a module of the app\n" * 9000, secrets)
    assert time.process_time() - began < 5


@pytest.mark.django_db
def test_secrets_are_those_of_one_workspace(tenant: Any) -> None:
    factories.ScmFactory(tenant=tenant, access_token="ours-0123456789")
    factories.ScmFactory(tenant=factories.TenantFactory(), access_token="theirs-0123456789")
    factories.PipelineFactory(tenant=tenant, webhook_secret="whsec_hook-0123456789")
    found = secrets_of(tenant)
    assert {"ours-0123456789", "whsec_hook-0123456789"} <= set(found)
    assert "theirs-0123456789" not in found


@pytest.mark.django_db
def test_a_secret_that_cannot_be_decrypted_is_an_error(tenant: Any) -> None:
    mine, other = (factories.ScmFactory(tenant=tenant, access_token=f"s-{n}") for n in range(2))
    ScmIntegration.objects.filter(pk=other.pk).update(access_token=fresh(mine).access_token)
    with pytest.raises(SecretUnreadable):
        secrets_of(tenant)
