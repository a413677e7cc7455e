"""Cells for CSV files that are opened in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Also the full-width forms, which a Japanese Excel accepts, too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula becomes plain text by a quote in front.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def safe_row(values: Iterable[Any]) -> list[Any]:
    return [safe_cell(value) for value in values]
