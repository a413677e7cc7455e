"""The private key of a GitHub App, checked before it is stored.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/managing-private-keys-for-github-apps
"""

from __future__ import annotations

_HINT = "Use the .pem file that GitHub created under the app's settings > Private keys."


def check_private_key(pem: str) -> str:
    """The key as it is stored: PEM with plain line ends. Raises ValueError with a message unless it
    is an RSA key without a passphrase."""
    text = pem.strip("\ufeff \t\r\n\"'").replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text:
        text = text.replace("\\n", "\n").strip()
    if complaint := _complaint(text):
        raise ValueError(f"{complaint} {_HINT}")
    return text + "\n"


def _complaint(text: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "PRIVATE KEY-----" not in text:
        return "This is no private key: it must begin with -----BEGIN RSA PRIVATE KEY-----."
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        return "This private key is locked with a passphrase."
    except (ValueError, UnsupportedAlgorithm):
        return "This private key cannot be read: it may have been cut or changed while copying."
    return (
        "" if isinstance(key, RSAPrivateKey) else "This is another kind of key: GitHub's are RSA."
    )
