"""Parses the bodies of webhooks: untrusted JSON.

All functions raise ValueError with a message for the user if a value cannot be stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_TEXT = 2000
_DIGITS = re.compile(r"[0-9]{1,18}")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body."""
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    except ValueError:  # not JSON, not Unicode, NaN, or a number with thousands of digits
        raise ValueError("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise ValueError("The body is not a JSON object.")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def object_in(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object that an event must have."""
    found = document.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"The event has no {name}.")
    return found


def text(document: Mapping[str, Any], name: str) -> str:
    """The text of a field, or ""."""
    value = document.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"{name} is not a string of up to {MAX_TEXT} characters.")
    if any(not c.isprintable() or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f"{name} contains characters that cannot be stored.")
    return value.strip()


def number(document: Mapping[str, Any], name: str) -> int | None:
    """A positive number, also given as text."""
    value = document.get(name)
    if value is None or value == "":
        return None
    digits = "" if isinstance(value, bool) or not isinstance(value, int | str) else str(value)
    if not _DIGITS.fullmatch(digits) or int(digits) < 1:
        raise ValueError(f"{name} is not a positive whole number.")
    return int(digits)
