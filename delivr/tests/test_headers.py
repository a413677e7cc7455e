"""Headers of every response, on all routes, without a session and as a superuser."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from delivr.tenants.models import Role
from delivr.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

# header -> what its value must hold
EVERYWHERE = {
    "Content-Security-Policy": ["default-src 'none'", "script-src 'self'", "style-src 'self'"],
    "Referrer-Policy": ["same-origin"],
    "X-Content-Type-Options": ["nosniff"],
    "X-Frame-Options": ["DENY"],
    "Cross-Origin-Opener-Policy": ["same-origin"],
    "Permissions-Policy": ["camera=()", "geolocation=()"],
}
SAMPLES = {"int": "1", "slug": "x", "uuid": "00000000-0000-0000-0000-000000000000"}


def addresses(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    """One URL for each route, with sample values: most answer 404, all pass the middleware."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from addresses(entry.url_patterns, prefix + sample(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield prefix + sample(entry.pattern)


def sample(pattern: Any) -> str:
    text = str(pattern)
    for name, converter in pattern.converters.items():
        kind = next((k for k in SAMPLES if type(converter).__name__.lower().startswith(k)), "")
        for written in (f"<{kind or 'str'}:{name}>", f"<{name}>", f"<path:{name}>"):
            text = text.replace(written, SAMPLES.get(kind, "x"))
    return "x" if "(?P" in text or text.startswith("^") else text


ADDRESSES = sorted(set(addresses(get_resolver().url_patterns)))


@pytest.fixture
def clients(tenant: Any) -> list[Client]:
    root = factories.UserFactory(is_staff=True, is_superuser=True)
    factories.give_second_factor(root)
    factories.MembershipFactory(user=root, tenant=tenant, role=Role.OWNER)
    return [Client(), factories.sign_in(Client(), root)]


# Pages with a secret in their URL reveal less to other sites than the rest does.
STRICTER = {("/accounts/invitations/", "Referrer-Policy"): ["no-referrer"]}


def wanted(address: str, header: str) -> list[str]:
    """The parts of a header that the response at a URL must have."""
    for (start, name), parts in STRICTER.items():
        if name == header and address.startswith(start):
            return parts
    return EVERYWHERE[header]


def test_every_response_has_the_headers(clients: list[Client]) -> None:
    wrong = []
    for client in clients:
        client.raise_request_exception = False
        for address in ADDRESSES:
            answer = client.get(address)
            for header in EVERYWHERE:
                value = answer.get(header, "")
                missing = [part for part in wanted(address, header) if part not in value]
                wrong += [f"{address}: {header} {value}" for _part in missing]
            policy = answer.get("Content-Security-Policy", "")
            wrong += [f"{address}: {policy}" for bad in ("unsafe", "nonce", "*") if bad in policy]
    assert len(ADDRESSES) > 150
    assert wrong == []


def test_no_private_response_is_cached(clients: list[Client]) -> None:
    stranger, root = clients
    for address in ADDRESSES:
        answer = root.get(address)
        assert answer["Cache-Control"] == "no-store", address
    bearer = stranger.get("/api/v1/releases", headers={"authorization": "Bearer dlv_x"})
    assert bearer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1024 * 1024 + 1, 413)])
def test_large_file_is_refused_before_it_is_read(client: Client, size: int, status: int) -> None:
    sent = {"login": "ada@example.com", "password": "x", "file": io.BytesIO(b"x" * size)}
    assert client.post("/accounts/login/", sent).status_code == status


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999"])
def test_wrong_length_is_refused(client: Client, length: str) -> None:
    assert client.post("/accounts/login/", CONTENT_LENGTH=length).status_code == 413


def test_cookies_of_https_are_bound_to_the_host() -> None:
    """In a process of its own, since the settings are read only once."""
    code = (
        "import django; django.setup()\n"
        "from django.conf import settings as s\n"
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE,"
        " s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY, s.SESSION_COOKIE_DOMAIN,"
        " s.SESSION_COOKIE_PATH, s.SECURE_HSTS_SECONDS > 0, s.TRUSTED_PROXIES,"
        " s.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN, s.ACCOUNT_EMAIL_VERIFICATION)"
    )
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "delivr.settings",
        "BASE_URL": "https://delivr.example.com",
        "EMAIL_URL": "smtp://mail.example.com:25",
        "SECRET_KEY": "x" * 50,
        "FERNET_KEYS": "y",
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    names = ["__Host-sessionid", "__Host-csrftoken"]
    others = ["True", "True", "True", "None", "/", "True", "1", "False", "mandatory"]
    assert result.stdout.split() == names + others
