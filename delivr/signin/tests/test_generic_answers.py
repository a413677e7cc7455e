"""No response reveals whether an address has an account."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client

from delivr.tenants.models import Tenant, User
from delivr.tests import factories
from delivr.tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
KNOWN, UNKNOWN = "known@example.com", "known1@example.com"


@pytest.fixture(autouse=True)
def known() -> User:
    return factories.UserFactory(email=KNOWN)


@pytest.fixture
def with_mail(settings: Any) -> None:
    """As if EMAIL_URL were set."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


def said(path: str, sent: dict[str, str], **extra: Any) -> tuple[int, str, str]:
    """Status, URL and text of the response, without random parts and the submitted address."""
    answer = Client().post(path, sent, **extra)
    words = answer.content.decode().replace(sent.get("login", sent.get("email", "?")), "EMAIL")
    words = re.sub(r'(csrfmiddlewaretoken" value="|CSRFToken": ")\w+', r"\1", words)
    return answer.status_code, answer.get("Location", ""), words


def signup(email: str) -> dict[str, str]:
    return {"workspace": "Acme", "email": email, "password1": PASSWORD, "password2": PASSWORD}


def test_sign_in_answers_alike() -> None:
    known, unknown = (
        said("/accounts/login/", {"login": email, "password": "wrong"})
        for email in (KNOWN, UNKNOWN)
    )
    assert known == unknown
    assert "Please fix the following" in known[2]


def test_password_reset_answers_alike() -> None:
    known, unknown = (
        said("/accounts/password/reset/", {"email": email}) for email in (KNOWN, UNKNOWN)
    )
    assert known == unknown
    assert [m.to for m in mail.outbox] == [[KNOWN], [UNKNOWN]]


@pytest.mark.usefixtures("with_mail")
def test_sign_up_answers_alike() -> None:
    known, unknown = (said("/accounts/signup/", signup(email)) for email in (KNOWN, UNKNOWN))
    assert known == unknown
    assert known[:2] == (302, "/accounts/confirm-email/")
    assert [m.to for m in mail.outbox] == [[KNOWN], [UNKNOWN]]
    assert Tenant.objects.count() == 1  # of the new user


@pytest.mark.usefixtures("with_mail")
def test_nobody_is_signed_in_with_an_address_that_is_not_confirmed() -> None:
    client = Client()
    client.post("/accounts/signup/", signup(UNKNOWN))
    assert "_auth_user_id" not in client.session
    link = re.search(r"https?://[^/\s]+(/\S+)", mail.outbox[-1].body)
    assert link
    client.post(link[1])
    answer = client.post("/accounts/login/", {"login": UNKNOWN, "password": PASSWORD})
    assert answer["Location"] == "/"
    assert "_auth_user_id" in client.session


class CountingHasher(MD5PasswordHasher):
    """Hashing takes the time (Argon2: about 50 ms); the rest is less than the network varies."""

    algorithm = "counting"
    hashed: ClassVar[list[str]] = []

    def encode(self, password: str, salt: str) -> str:
        self.hashed.append(password)
        return super().encode(password, salt)


@pytest.mark.usefixtures("with_mail")
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/accounts/login/", lambda email: {"login": email, "password": "wrong"}),
        ("/accounts/signup/", signup),
    ],
)
def test_answers_cost_one_hash_each(path: str, sent: Any, settings: Any, known: User) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    known.set_password(PASSWORD)
    known.save()
    for email in (KNOWN, UNKNOWN):
        CountingHasher.hashed.clear()
        Client().post(path, sent(email))
        assert len(CountingHasher.hashed) == 1, email
