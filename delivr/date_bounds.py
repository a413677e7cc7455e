"""Moments that people and other systems write: none so far away that one step further, into another
time zone say, leads out of the calendar (years 1 to 9999)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

FIRST, LAST = date(1970, 1, 1), date(2999, 12, 31)
_SOONEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(3000, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=366)  # that a build may be said to take


def within_reason(moment: datetime) -> bool:
    """True for an aware moment from 1970 to 2999."""
    return _SOONEST <= moment < _LATEST


def read_datetime(text: str) -> datetime | None:
    """A date and time with its offset, or None for anything else."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and is_aware(moment) and within_reason(moment) else None


def within_a_build(milliseconds: int | None) -> int | None:
    """The same, or None for what no build takes."""
    longest = LONGEST // timedelta(milliseconds=1)
    return milliseconds if milliseconds is not None and milliseconds <= longest else None
