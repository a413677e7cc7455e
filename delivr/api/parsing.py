"""Parses the bodies of API requests: only JSON that can be stored and returned."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32


class TooLarge(APIException):
    status_code = 413


class JsonParser(BaseParser):
    """RFC 8259 in UTF-8, up to 1 MiB and 32 levels deep.

    The framework's own parser has no limits, accepts any charset that the header names, and fails
    with a 500 on deep nesting. Raises ParseError (400) or TooLarge (413).
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TooLarge(_("At most 1 MiB."))
        try:
            document = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)
        except (
            ValueError,
            RecursionError,
        ):  # no JSON, no UTF-8, or a number of thousands of digits
            raise ParseError(_("The body is not JSON.")) from None
        _check(document)
        return document


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _check(document: Any) -> None:
    """Refuse what could not be stored or returned. Works without recursion."""
    level = [document]
    for _depth in range(MAX_DEPTH):
        for value in level:
            if isinstance(value, str):
                _check_text(value)
        level = [part for value in level for part in _parts(value)]
        if not level:
            return
    raise ParseError(_("The body is nested too deeply."))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParseError(_("The body contains half of a surrogate pair.")) from None
