import base64
import json

import pytest

from integrations.providers.play_store.keys import check_service_account
from integrations.providers.tests.keys import elliptic, pem, rsa_key
from integrations.providers.tests.wire import everything_in

KEY = pem(rsa_key())
INFO = {
    "type": "service_account",
    "project_id": "example",
    "private_key_id": "0123456789abcdef",
    "private_key": KEY,
    "client_email": "delivr@example.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def test_an_object_and_its_text_are_stored_the_same():
    stored = check_service_account(INFO)
    assert stored == check_service_account(json.dumps(INFO, indent=4))
    assert stored == check_service_account(stored)
    assert json.loads(stored) == INFO


TEXT = json.dumps(INFO, indent=2)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.replace("\\n", "\\\\n"),
        TEXT.replace("\\n", "\n"),
        TEXT.replace("\\n", "\r\n"),
        base64.b64encode(TEXT.encode()).decode(),
        base64.encodebytes(("\ufeff" + TEXT).encode()).decode(),
    ],
    ids=[
        "CRLF",
        "byte order mark",
        "escaped twice",
        "real lines",
        "real CRLF",
        "base64",
        "in lines",
    ],
)
def test_a_key_file_is_accepted_in_all_usual_forms(text):
    assert check_service_account(text) == check_service_account(INFO)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "JSON object"),
        ("[]", "JSON object"),
        ("[" * 100_000, "JSON object"),
        ('{"a": ' + "1" * 20_000 + "}", "JSON object"),
        ({}, "must be"),
        ({**INFO, "type": "external_account"}, "must be"),
        ({**INFO, "type": "authorized_user"}, "must be"),
        ({**INFO, "client_email": ""}, "lacks client_email"),
        ({**INFO, "private_key": None}, "lacks private_key"),
        ({"type": "service_account"}, "lacks client_email and private_key"),
        ({**INFO, "private_key": KEY[:100]}, "cannot be read"),
        ({**INFO, "private_key": "\ud800"}, "cannot be read"),
        ({**INFO, "private_key": pem(rsa_key(), passphrase=b"locked")}, "cannot be read"),
        ({**INFO, "private_key": pem(elliptic())}, "not an RSA key"),
        ({**INFO, "credential_source": {"executable": {"command": "id"}}}, "do not have"),
    ],
)
def test_an_invalid_key_file_is_refused_with_a_message_without_the_key(document, words):
    with pytest.raises(ValueError, match=words) as failure:
        check_service_account(document)
    assert KEY.splitlines()[1] not in everything_in(failure.value)
    assert failure.value.__context__ is None
