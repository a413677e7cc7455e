"""Encrypts the secrets of second factors and the data of sessions with FERNET_KEYS.

allauth keeps the secrets in a JSON column and asks us to encrypt their text, without saying whose
they are, so a ciphertext is bound to its purpose, not to its row.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken

from delivr.encryption.fields import SecretTextField, SecretUnreadable
from delivr.encryption.tables import SecretStore, key_of

FACTOR, SESSION = "second-factor", "session"  # purposes
_SEALED = ("secret", "seed")  # keys in Authenticator.data: of an app, of recovery codes


def seal(text: str, purpose: str = FACTOR) -> str:
    return _keys().fernet.encrypt(f"{purpose}\x00{text}".encode()).decode()


def unseal(ciphertext: str, purpose: str = FACTOR) -> str:
    """The text. Raises SecretUnreadable if no key opens it or it has another purpose."""
    try:
        opened = _keys().fernet.decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable from None
    if not opened.startswith(f"{purpose}\x00"):
        raise SecretUnreadable
    return opened.removeprefix(f"{purpose}\x00")


class SecondFactors(SecretStore):
    """allauth's table, whose secrets are inside JSON."""

    model = Authenticator

    def keys(self, row: Authenticator) -> list[int | None]:
        return [_key_of(text) for text in _sealed(row).values()]

    def resealed(self, row: Authenticator) -> dict[str, Any]:
        stale = {name: text for name, text in _sealed(row).items() if _key_of(text) != 0}
        rotated = {name: seal(unseal(text)) for name, text in stale.items()}
        return {"data": {**row.data, **rotated}} if rotated else {}


def _sealed(factor: Authenticator) -> dict[str, str]:
    return {name: text for name, text in factor.data.items() if name in _SEALED}


def _key_of(ciphertext: str) -> int | None:
    try:
        unseal(ciphertext)
    except SecretUnreadable:
        return None
    return key_of(ciphertext)


def _keys() -> SecretTextField:
    return SecretTextField()
