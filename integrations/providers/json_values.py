"""Reads values of a response's JSON that may be anything."""

from __future__ import annotations

import re
from datetime import datetime

from delivr.date_bounds import read_datetime

_BUILD_ID = re.compile(r"(?<![A-Za-z0-9_])(?:bld|tst)_[A-Za-z0-9]{1,60}(?![A-Za-z0-9_])")


def line(value: object) -> str:
    """Text in one line that can be stored and shown; "" for anything else."""
    text = value if isinstance(value, str) and len(value) <= 2000 else ""
    return "".join(c for c in text if c.isprintable()).strip()


def whole(value: object) -> int | None:
    """A positive whole number that can be stored; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < 2**62 else None


def moment(value: object) -> datetime | None:
    """`2026-11-29T12:00:00Z`, also with a fraction; None for anything else."""
    return read_datetime(value) if isinstance(value, str) else None


def build_id_in(text: object) -> str:
    """The id of a build of delivr in a longer text, such as a run's name; "" without one."""
    found = _BUILD_ID.search(text) if isinstance(text, str) else None
    return found.group() if found else ""
