"""Suggests the next version from the last ones, for SemVer and CalVer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from django.utils.translation import gettext as _

# https://semver.org and https://calver.org, and the two-part versions that stores allow: 1.5
_NUMBERS = re.compile(r"(v?)(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")
FIRST = "1.0.0"
CENTURY = 2000


def suggestions(known: Sequence[str], *, today: date) -> list[str]:
    """Up to three suggestions for the next version, the likeliest first; never one of `known`
    (versions in use, newest first)."""
    newest = newest_of(known)
    if not newest:
        return [] if known else [FIRST]
    found = _by_date(newest, today) if _is_calver(newest, today) else _by_numbers(newest, known)
    taken = set(known)
    return [version for version in dict.fromkeys(found) if version not in taken][:3]


def newest_of(known: Sequence[str]) -> str:
    """The newest version of a known format; "" if there is none."""
    return next(filter(_NUMBERS.fullmatch, known), "")


def step_to(version: str, *, after: str, today: date) -> str:
    """Which part a suggestion increases (major, minor, patch); "" for CalVer or the first
    version."""
    if not after or _is_calver(after, today):
        return ""
    old, new = _parts(after)[1], _parts(version)[1]
    if new[0] != old[0]:
        return _("major")
    return _("minor") if new[1] != old[1] else _("patch")


def _parts(version: str) -> tuple[str, list[int]]:
    match = _NUMBERS.fullmatch(version)
    assert match is not None  # noqa: S101 # the callers checked the format
    return match[1], [int(number) for number in match.groups()[1:] if number is not None]


def _is_calver(version: str, today: date) -> bool:
    """True for this or last year, followed by a month: 2026.11.2 or 26.11."""
    _prefix, (year, month, *_rest) = _parts(version)
    years = (today.year, today.year - 1)
    return year in (*years, *(y - CENTURY for y in years)) and 1 <= month <= 12


def _by_date(newest: str, today: date) -> Iterable[str]:
    prefix, (year, month, *counter) = _parts(newest)
    now = today.year if year > CENTURY else today.year - CENTURY
    zero = "0" if re.search(r"\.0\d", newest) else ""
    head = f"{prefix}{now}.{today.month:{zero}{2 if zero else ''}}"
    if not counter:
        yield head
    if (year, month) == (now, today.month):
        yield f"{head}.{(counter or [0])[0] + 1}"
    else:
        yield f"{head}.{0 if counter and counter[0] == 0 else 1}"


def _by_numbers(newest: str, known: Iterable[str]) -> Iterable[str]:
    """The next minor of the highest version, the next patch of the newest, the next major."""
    highest = max(filter(_NUMBERS.fullmatch, known), key=lambda version: _parts(version)[1])
    prefix, (major, minor, *patch) = _parts(highest)
    end = ".0" if patch else ""
    yield f"{prefix}{major}.{minor + 1}{end}"
    prefix_of_newest, (a, b, *c) = _parts(newest)
    yield f"{prefix_of_newest}{a}.{b}.{(c or [0])[0] + 1}"
    yield f"{prefix}{major + 1}.0{end}"
