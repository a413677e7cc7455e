"""The private key of App Store Connect's API, checked before it is stored."""

from __future__ import annotations

import base64

_HINT = "Use the AuthKey_….p8 file from App Store Connect > Users and Access > Integrations."


def check_api_key(pem: str) -> str:
    """The key as it is stored: PEM with plain line ends.

    Raises ValueError with a message unless it is a P-256 private key without a passphrase.
    https://developer.apple.com/documentation/appstoreconnectapi/creating-api-keys-for-app-store-connect-api
    """
    text = _tidy(pem)
    if complaint := _complaint(text):
        raise ValueError(f"{complaint} {_HINT}")
    return text


def _tidy(pem: str) -> str:
    """Undo the effects of copying and of vaults: a byte order mark, quotes, other line ends, `\\n`
    as two characters from JSON, base64 around everything, or missing first and last lines."""
    text = pem.strip("\ufeff \t\r\n\"'").replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text:
        text = text.replace("\\n", "\n").strip()
    if "-----" not in text:
        text = _unwrapped("".join(text.split())) or text
    return text + "\n"


def _unwrapped(text: str) -> str:
    """The file that the text encodes in base64, or the PEM of a key without its first and last
    lines; "" if neither."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return ""
    if b"-----BEGIN" in raw:
        return _tidy(raw.decode("utf-8-sig", "replace")).strip()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    is_key = raw[:1] == b"\x30"  # an ASN.1 sequence, with which PKCS #8 begins
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----" if is_key else ""


def _complaint(text: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "PRIVATE KEY-----" not in text:
        return "This is not a private key: it must begin with -----BEGIN PRIVATE KEY-----."
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        return "This private key is protected with a passphrase."
    except (ValueError, UnsupportedAlgorithm):
        return "This private key cannot be read: it may have been cut or changed while copying."
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        return "This is a different kind of key: Apple's keys are elliptic-curve keys (P-256)."
    return ""
