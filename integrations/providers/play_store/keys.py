"""The service account of Google Play, checked before it is stored."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..http import parse_object

_HINT = "Use the JSON key file from Google Cloud Console > IAM & Admin > Service Accounts > Keys."
_LARGEST = 16 * 1024  # characters; the files are about 2,400


def check_service_account(document: str | Mapping[str, Any]) -> str:
    """The key file as it is stored: JSON text with sorted keys.

    Raises ValueError with a message unless it is a service account's key file. Other kinds of
    Google credentials (`external_account`) may name URLs to fetch or programs to run.
    https://cloud.google.com/iam/docs/keys-create-delete
    """
    info = _parsed(document)
    if info is not None and isinstance(key := info.get("private_key"), str):
        info["private_key"] = key.replace("\\n", "\n")  # escaped twice
    complaint = "This is not a JSON object." if info is None else _complaint(info)
    if complaint:
        raise ValueError(f"{complaint} {_HINT}")
    return json.dumps(info, sort_keys=True)


def client_email(document: str | Mapping[str, Any]) -> str:
    """Whose key it is; "" if that cannot be read."""
    return str((_parsed(document) or {}).get("client_email") or "")


def _parsed(document: str | Mapping[str, Any]) -> dict[str, Any] | None:
    if not isinstance(document, str):
        return dict(document)
    if len(document) > _LARGEST:
        return None
    return next(filter(None, map(parse_object, _spellings(document.strip("\ufeff \t\r\n")))), None)


def _spellings(text: str) -> Iterator[str]:
    """The file as downloaded, and as kept in vaults and CI settings: with real line ends in the
    key, or in base64."""
    yield text
    yield re.sub(
        r'("private_key"\s*:\s*")([^"]*)',
        lambda found: found[1] + found[2].replace("\r", "").replace("\n", "\\n"),
        text,
    )
    with contextlib.suppress(ValueError):
        yield base64.b64decode("".join(text.split()), validate=True).decode("utf-8-sig")


def _complaint(info: Mapping[str, Any]) -> str:
    if info.get("type") != "service_account":
        return 'This is not the key of a service account: its "type" must be "service_account".'
    missing = [name for name in ("client_email", "private_key") if not _is_text(info.get(name))]
    if missing:
        return f"This key file lacks {' and '.join(missing)}."
    if any(not isinstance(value, str) for value in info.values()):
        return "This key file has entries that Google's files do not have."
    return _key_complaint(info["private_key"])


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _key_complaint(pem: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "The private key in this file cannot be read: it may have been cut or changed."
    return (
        ""
        if isinstance(key, RSAPrivateKey)
        else ("The private key in this file is not an RSA key.")
    )
