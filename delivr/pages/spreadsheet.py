"""CSV files that are opened in a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

# Also the full-width forms, which a Japanese Excel accepts, too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Columns = Mapping[str, Callable[[Any], Any]]  # by heading: how to read the value from a row


def csv_lines(columns: Columns, rows: Iterable[Any]) -> Iterator[str]:
    line = csv.writer(_Echo())
    yield line.writerow(columns)
    for row in rows:
        yield line.writerow([cell(read(row)) for read in columns.values()])


def cell(value: Any) -> Any:
    """A value that no spreadsheet runs as a formula; lists and objects as JSON."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return safe_cell(value)


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula becomes plain text by a quote in front.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


class _Echo:
    """A file for the csv module that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line
