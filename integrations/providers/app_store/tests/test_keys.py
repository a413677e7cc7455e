import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from integrations.providers.app_store.keys import check_api_key
from integrations.providers.tests.keys import elliptic, pem, rsa_key
from integrations.providers.tests.wire import everything_in

KEY = pem(elliptic())


@pytest.mark.parametrize(
    "pasted",
    [
        KEY,
        KEY.strip(),
        f"\n  {KEY}\n",
        KEY.replace("\n", "\r\n"),
        KEY.replace("\n", "\r"),
        KEY.strip().replace("\n", "\\n"),
        f"\ufeff{KEY}",
        f'"{KEY.strip()}"',
        base64.b64encode(KEY.encode()).decode(),
        base64.encodebytes(KEY.encode()).decode(),
        "".join(KEY.splitlines()[1:-1]),
    ],
)
def test_a_key_is_stored_the_same_however_it_was_pasted(pasted):
    assert check_api_key(pasted) == KEY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a private key"),
        ("hello", "not a private key"),
        (KEY.replace("PRIVATE", "PUBLIC"), "not a private key"),
        (KEY[:60] + KEY[90:], "cannot be read"),
        (KEY.replace("-----END", "-----FIN"), "cannot be read"),
        (pem(rsa_key()), "different kind"),
        (pem(elliptic(ec.SECP384R1)), "different kind"),
        (pem(elliptic(), passphrase=b"secret"), "passphrase"),
        ("-----BEGIN PRIVATE KEY-----é\ud800", "cannot be read"),
    ],
)
def test_an_invalid_key_is_refused_with_a_message_without_the_key(text, words):
    with pytest.raises(ValueError, match=words) as failure:
        check_api_key(text)
    body = KEY.splitlines()[1]
    assert body not in everything_in(failure.value)
    assert failure.value.__context__ is None
