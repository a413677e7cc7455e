"""Sessions in the database, sealed: whoever reads the table finds no authenticator's secret that is
being set up, and no key of a password reset that was opened, both of which allauth keeps there.

A session whose key is gone from FERNET_KEYS is over: one signs in again.
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
        """One of before the sealing is signed only, and opens as it did."""
        with contextlib.suppress(SecretUnreadable):
            session_data = unseal(force_str(session_data), SESSION)
        opened: dict[str, Any] = super().decode(session_data)
        return opened
