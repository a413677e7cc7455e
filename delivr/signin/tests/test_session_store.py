"""The table of sessions reveals no secrets."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as PlainStore
from django.contrib.sessions.models import Session
from django.test import Client

from delivr.signin import sessions
from delivr.signin.sealing import SESSION, unseal
from delivr.signin.sessions import SessionStore
from delivr.signin.tests.test_second_factor import confirm
from delivr.tenants.models import User
from delivr.tests import factories

pytestmark = pytest.mark.django_db


def test_secret_of_an_authenticator_being_set_up_is_not_in_the_row(owner: User) -> None:
    client = factories.sign_in(Client(), owner)
    confirm(client)
    client.get("/accounts/2fa/totp/activate/")
    secret = client.session["mfa.totp.secret"]
    row = Session.objects.get(pk=client.session.session_key)
    assert secret in str(SessionStore(row.pk).load())
    assert row.get_decoded() == {}  # with Django's own decoding


def test_session_from_before_the_encryption_still_works(owner: User) -> None:
    client = factories.sign_in(Client(), owner)
    kept, key = dict(client.session), client.session.session_key
    Session.objects.filter(pk=key).update(session_data=PlainStore().encode(kept))
    assert client.get("/settings/").status_code == 200


def test_session_without_its_key_is_over(owner: User, settings: Any) -> None:
    client = factories.sign_in(Client(), owner)
    assert client.get("/settings/").status_code == 200
    settings.FERNET_KEYS = ["another-key-0123456789-0123456789"]
    assert client.get("/settings/")["Location"].startswith("/accounts/login/")


def test_stored_sessions_name_the_backend_of_before(owner: User) -> None:
    """So that processes of two versions read each other's sessions while one replaces the other."""
    client = factories.sign_in(Client(), owner)
    row = Session.objects.get(pk=client.session.session_key)
    stored = PlainStore().decode(unseal(row.session_data, SESSION))
    assert stored[BACKEND_SESSION_KEY] == sessions.STORED_BACKEND
    assert SessionStore(row.pk).load()[BACKEND_SESSION_KEY] == sessions.BACKEND
