"""Wrong passwords: who has to wait, who must not, and for how long."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.utils import timezone

from delivr.tenants.models import User
from delivr.tests import factories
from delivr.tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
THERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
LIMIT = 5


@pytest.fixture
def ada() -> User:
    return factories.UserFactory(email="ada@example.com")


def attempt(email: str, password: str = "wrong", address: str = THERE, **headers: str) -> Any:
    sent = {"login": email, "password": password}
    return Client().post("/accounts/login/", sent, REMOTE_ADDR=address, **headers)


def fail(email: str, times: int = LIMIT, address: str = THERE) -> list[int]:
    return [attempt(email, address=address).status_code for _ in range(times)]


def test_too_many_wrong_passwords_have_to_wait(ada: User) -> None:
    assert fail(ada.email) == [200] * (LIMIT - 1) + [429]
    answer = attempt(ada.email, PASSWORD)
    assert answer.status_code == 429
    assert "Try again in 15 minutes." in answer.content.decode()
    assert 14 * 60 < int(answer["Retry-After"]) <= 15 * 60


def test_other_spelling_or_browser_does_not_evade_the_lock(ada: User) -> None:
    fail(ada.email)
    assert attempt("ADA@Example.com", PASSWORD).status_code == 429
    assert attempt(ada.email, PASSWORD, HTTP_USER_AGENT="another").status_code == 429


def test_stranger_cannot_lock_the_owner_out(ada: User) -> None:
    fail(ada.email, times=2 * LIMIT)
    assert attempt(ada.email, PASSWORD, address=ELSEWHERE)["Location"] == "/"


def test_others_with_the_same_address_can_sign_in(ada: User) -> None:
    fail(ada.email)
    bob = factories.UserFactory()
    assert attempt(bob.email, PASSWORD)["Location"] == "/"


def test_attempts_during_the_wait_do_not_prolong_it(ada: User) -> None:
    fail(ada.email)
    before = AccessAttempt.objects.get().attempt_time
    fail(ada.email)
    assert AccessAttempt.objects.get().attempt_time == before


def test_wait_ends(ada: User) -> None:
    fail(ada.email)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))
    assert attempt(ada.email, PASSWORD)["Location"] == "/"


def test_right_password_resets_the_count(ada: User) -> None:
    for _ in range(2):
        fail(ada.email, times=LIMIT - 1)
        assert attempt(ada.email, PASSWORD)["Location"] == "/"


def test_lock_reveals_nothing_about_accounts(ada: User) -> None:
    for email in (ada.email, "nobody@example.com"):
        assert fail(email)[-1] == 429
    pages = [attempt(email).content.decode() for email in (ada.email, "nobody@example.com")]
    without_csrf = [re.sub(r'(CSRFToken": ")\w+', "", page) for page in pages]
    assert without_csrf[0] == without_csrf[1]


def test_nothing_that_was_typed_is_stored_in_plain(ada: User) -> None:
    attempt(ada.email, "secret-that-was-typed")
    row = AccessAttempt.objects.get()
    assert "secret-that-was-typed" not in row.post_data


def test_address_comes_from_the_trusted_proxy(ada: User, settings: Any) -> None:
    """Two clients behind one proxy; a client can invent the left part of the header."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(LIMIT):
        forged = f"192.0.2.{number}, {THERE}"
        answer = attempt(ada.email, address="10.0.0.1", HTTP_X_FORWARDED_FOR=forged)
    assert answer.status_code == 429
    other = attempt(ada.email, PASSWORD, address="10.0.0.1", HTTP_X_FORWARDED_FOR=ELSEWHERE)
    assert other["Location"] == "/"


def test_header_of_an_untrusted_proxy_is_ignored(ada: User) -> None:
    for number in range(LIMIT):
        answer = attempt(ada.email, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert answer.status_code == 429


def test_neighbouring_ipv6_addresses_are_one(ada: User) -> None:
    for number in range(LIMIT):
        answer = attempt(ada.email, address=f"2001:db8::{number:x}")
    assert answer.status_code == 429


def test_passwords_cannot_be_guessed_by_trying_many_accounts() -> None:
    statuses = [attempt(f"user{n}@example.com").status_code for n in range(31)]
    assert statuses == [200] * 30 + [429]


def test_confirming_with_the_password_counts_as_well(ada: User, client_for: Any) -> None:
    client = client_for(ada)
    for _ in range(LIMIT):
        answer = client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("path", "sent", "limit"),
    [
        ("/accounts/password/reset/", {"email": "ada@example.com"}, 3),
        ("/accounts/signup/", {"email": "not an address"}, 20),
    ],
)
def test_forms_that_send_mail_are_limited(
    client: Client, path: str, sent: dict[str, str], limit: int
) -> None:
    statuses = [client.post(path, sent).status_code for _ in range(limit + 1)]
    assert statuses[limit] == 429
    assert 429 not in statuses[:limit]
