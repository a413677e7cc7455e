"""Checks that name the page on which they are mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...base import Check, Level

Checks = Iterator[Check]


def failed(name: str, code: str, message: str, hint: str, *, url: str, subject: str = "") -> Check:
    return replace(Check.failed(name, code, message, hint), url=url, subject=subject)


def warning(name: str, code: str, message: str, hint: str, *, url: str, subject: str = "") -> Check:
    found = failed(name, code, message, hint, url=url, subject=subject)
    return replace(found, level=Level.WARNING)
