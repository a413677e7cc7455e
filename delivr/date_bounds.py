"""Bounds for dates that people and other systems write, so far from the ends of the calendar (years
1 to 9999) that a conversion to another time zone cannot overflow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

FIRST, LAST = date(1970, 1, 1), date(2999, 12, 31)
_SOONEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(3000, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=366)  # longer durations of a build are ignored


def within_reason(value: datetime) -> bool:
    """True for an aware datetime from 1970 to 2999."""
    return _SOONEST <= value < _LATEST


def read_datetime(text: str) -> datetime | None:
    """A date and time with a UTC offset, or None for anything else."""
    try:
        value = parse_datetime(text)
    except ValueError:
        return None
    return value if value and is_aware(value) and within_reason(value) else None


def within_a_build(milliseconds: int | None) -> int | None:
    """The same number, or None if it is longer than any build takes."""
    longest = LONGEST // timedelta(milliseconds=1)
    return milliseconds if milliseconds is not None and milliseconds <= longest else None
