"""Sessions: encrypted in the database, with the time and address of their last use.

Encrypted, since allauth stores in them the secret of an authenticator that is being set up, and the
key of an opened password reset. A session whose key is missing from FERNET_KEYS ends, and the user
signs in again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends import db
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import force_str

from delivr.encryption.fields import SecretUnreadable
from delivr.signin.sealing import SESSION, seal, unseal

RESOLUTION = 60  # seconds; allauth's own middleware writes at each request
KEY = "seen"
# Stored sessions name allauth's backend in place of ours, as they always did: those from before an
# upgrade stay valid, and so do new ones in processes of the older version.
STORED_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
BACKEND = "delivr.signin.backends.Accounts"


class SessionStore(db.SessionStore):  # the name that Django looks for
    def encode(self, session_dict: dict[str, Any]) -> str:
        return seal(super().encode(_renamed(session_dict, BACKEND, STORED_BACKEND)), SESSION)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """A session from before the encryption is only signed, and can still be read."""
        with contextlib.suppress(SecretUnreadable):
            session_data = unseal(force_str(session_data), SESSION)
        opened: dict[str, Any] = super().decode(session_data)
        return _renamed(opened, STORED_BACKEND, BACKEND)


def _renamed(values: dict[str, Any], backend: str, other: str) -> dict[str, Any]:
    is_named = values.get(BACKEND_SESSION_KEY) == backend
    return {**values, BACKEND_SESSION_KEY: other} if is_named else values


class SessionTracking:
    """A middleware that records when and from where a session was last used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_known = request.user.is_authenticated and request.session.session_key
        if is_known and time.time() - request.session.get(KEY, 0) > RESOLUTION:
            note(request)
        return self.get_response(request)


def note(request: HttpRequest) -> None:
    """Write it to the table, and the time to the session: the next requests need no query."""
    request.session[KEY] = int(time.time())
    UserSession.objects.create_from_request(request)


def end_sessions(user: AbstractBaseUser) -> None:
    """Sign the user out everywhere."""
    for session in UserSession.objects.filter(user=user):
        session.end()
