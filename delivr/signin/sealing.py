"""The secrets of second factors, encrypted with FERNET_KEYS.

allauth keeps them in a JSON column and asks us to encrypt their text, without telling whose it is:
so a ciphertext is bound to this purpose, not to its row.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken

from delivr.secrets import SecretTextField, SecretUnreadable

_PURPOSE = "second-factor\x00"
_SEALED = ("secret", "seed")  # in Authenticator.data: of an app, of recovery codes


def seal(text: str) -> str:
    return _keys().fernet.encrypt(f"{_PURPOSE}{text}".encode()).decode()


def unseal(ciphertext: str) -> str:
    """The text. Raises SecretUnreadable where no key of ours opens it."""
    try:
        opened = _keys().fernet.decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable from None
    if not opened.startswith(_PURPOSE):
        raise SecretUnreadable
    return opened.removeprefix(_PURPOSE)


def resealed(factor: Authenticator) -> dict[str, Any]:
    """What of the factor's data has to be stored anew, so that the first key opens it.

    Raises SecretUnreadable.
    """
    stale = {n: t for n, t in factor.data.items() if n in _SEALED and not _is_current(t)}
    return {name: seal(unseal(text)) for name, text in stale.items()}


def _is_current(ciphertext: str) -> bool:
    try:
        Fernet(_keys().fernet_keys[0]).decrypt(ciphertext.encode())
    except InvalidToken:
        return False
    return True


def _keys() -> SecretTextField:
    return SecretTextField()
