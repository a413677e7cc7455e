"""Headers that a person adds to what is sent: secret as a whole, stored as one JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

MOST = 20
LONGEST = 4000  # characters of one value
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token: RFC 9110, 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
# What the connection and the signature set themselves.
_TAKEN = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
}


def clean_headers(value: Any) -> str:
    """The headers as the text to store. `value`: an object, its JSON, or a `Name: value` a line.

    Raises ValueError with a message that repeats no value.
    """
    pairs = list(value.items()) if isinstance(value, Mapping) else _pairs(str(value))
    headers: dict[str, str] = {}
    for name, text in pairs:
        name, text = str(name).strip(), text.strip() if isinstance(text, str) else None
        if not _NAME.fullmatch(name):
            raise ValueError(_("A header's name has letters, digits and dashes, such as X-Token."))
        words = {"name": name, "most": LONGEST}
        if name.lower() in _TAKEN or name.lower().startswith(("proxy-", "sec-")):
            raise ValueError(_("delivr sets %(name)s itself, or never sends it.") % words)
        if text is None or len(text) > LONGEST or not _VALUE.fullmatch(text):
            raise ValueError(
                _("%(name)s needs a value: one line of ASCII, at most %(most)d characters.") % words
            )
        if name.lower() in {other.lower() for other in headers}:
            raise ValueError(_("%(name)s: listed twice.") % words)
        headers[name] = text
    if len(headers) > MOST:
        raise ValueError(_("At most %(most)d headers.") % {"most": MOST})
    return json.dumps(headers)


def read_headers(stored: str) -> dict[str, str]:
    headers: dict[str, str] = json.loads(stored)
    return headers


def _pairs(text: str) -> list[tuple[Any, Any]]:
    if text.lstrip().startswith("{"):
        return _of_object(text)
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise ValueError(_("Line %d: write it as Name: value.") % number)
        if line.strip():
            pairs.append((name, value))
    return pairs


def _of_object(text: str) -> list[tuple[Any, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ValueError(_("This is not a JSON object of names and values."))
    return list(document.items())
