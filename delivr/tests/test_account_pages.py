"""The pages around signing in, and the mails that link to them."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.core import mail

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PASSWORD = "correct-horse-battery"


@pytest.fixture
def ada():
    return get_user_model().objects.create_user(email="ada@example.org", password=PASSWORD)


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/accounts/login/", "Sign in"),
        ("/accounts/signup/", "Create an account"),
        ("/accounts/password/reset/", "Reset your password"),
        ("/accounts/password/reset/done/", "Check your email"),
        ("/accounts/password/reset/key/1-set-password/", "This link no longer works"),
        ("/accounts/confirm-email/", "Confirm your address"),
        ("/accounts/confirm-email/wrong/", "Confirm your address"),
        ("/accounts/inactive/", "This account is not active"),
    ],
)
def test_page_for_strangers_has_one_heading(client, path, heading):
    html = client.get(path).content.decode()
    assert re.findall(r"<h1>\s*(.*?)\s*</h1>", html) == [heading]


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/accounts/email/", "Email address"),
        ("/accounts/2fa/", "Second factor"),
        ("/accounts/time-zone", "Time zone"),
        ("/accounts/sessions/", "Where you are signed in"),
        ("/accounts/second-factor", "A second factor is required"),
        ("/accounts/password/change/", "Change your password"),
        ("/accounts/logout/", "Sign out?"),
        ("/accounts/reauthenticate/", "Confirm that it is you"),
    ],
)
def test_page_for_members_has_one_heading(client, ada, path, heading):
    client.force_login(ada)
    html = client.get(path).content.decode()
    assert re.findall(r"<h1>\s*(.*?)\s*</h1>", html) == [heading]


def test_wrong_password_is_explained(client, ada):
    html = client.post(
        "/accounts/login/", {"login": ada.email, "password": "not-her-password"}
    ).content.decode()
    assert "Please fix the following" in html
    assert 'role="alert"' in html
    assert "not-her-password" not in html


def test_mail_for_a_new_password_links_to_a_form(client, ada):
    client.post("/accounts/password/reset/", {"email": ada.email})
    message = mail.outbox[-1]
    assert message.subject.endswith("Reset your password")
    link = re.search(r"https?://[^/\s]+(/\S+)", message.body)
    assert link
    page = client.get(link[1], follow=True).content.decode()
    assert "Choose a new password" in page


def test_unknown_address_is_only_told_by_mail(client):
    answer = client.post("/accounts/password/reset/", {"email": "nobody@example.org"}, follow=True)
    assert "Check your email" in answer.content.decode()
    assert "There is no account for this address." in mail.outbox[-1].body


def test_mail_keeps_characters_as_they_are(client):
    client.post("/accounts/password/reset/", {"email": "o'neil&co@example.org"})
    assert "o'neil&co@example.org" in mail.outbox[-1].body
