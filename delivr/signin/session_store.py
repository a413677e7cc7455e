"""Sessions in the database, encrypted: allauth stores in them the secret of an authenticator that
is being set up, and the key of an opened password reset, which a reader of the table must not see.

A session whose key is missing from FERNET_KEYS is over: the user signs in again.
"""

from __future__ import annotations

import contextlib
from typing import Any

from django.contrib.sessions.backends import db
from django.utils.encoding import force_str

from delivr.encryption.fields import SecretUnreadable
from delivr.signin.sealing import SESSION, seal, unseal


class SessionStore(db.SessionStore):  # the name that Django looks for
    def encode(self, session_dict: dict[str, Any]) -> str:
        return seal(super().encode(session_dict), SESSION)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """A session from before the encryption is only signed, and can still be read."""
        with contextlib.suppress(SecretUnreadable):
            session_data = unseal(force_str(session_data), SESSION)
        opened: dict[str, Any] = super().decode(session_data)
        return opened
