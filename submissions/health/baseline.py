"""The figures of the previous release at the same stage: with the same share of the users, and as
long after it was reached. Who gets a version first, and how, differs from who gets it later."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from integrations.providers.health import Figure, Metric
from submissions.health.models import HealthReading
from submissions.models import Submission

MOST_READINGS = 3_000  # of the previous release at one stage, the newest ones


def before(row: Submission, source_id: str, age: timedelta) -> list[dict[str, Any]]:
    """One figure of each metric as a watch keeps it, with the `version` that it is of; empty if no
    earlier release of the app has readings at this share. Two queries."""
    mine = HealthReading.objects.for_tenant(row.tenant_id).filter(
        source=source_id,
        percent=row.percent,
        submission__target=row.target_id,
        submission__track=row.track,
        submission__created_at__lt=row.created_at,
    )
    mine = mine.exclude(submission__release=row.release_id)
    newest_first = mine.order_by("-submission__created_at", "-submission", "-at", "-id")
    previous = newest_first.select_related("submission__release").first()
    if previous is None:
        return []
    readings = newest_first.filter(submission=previous.submission_id)[:MOST_READINGS]
    version = previous.submission.release.version
    return [{**stored(figure), "version": version} for figure in at_age(list(readings), age)]


def at_age(readings: Sequence[HealthReading], age: timedelta) -> list[Figure]:
    """Of each metric the one closest to that long after the first reading of the stage."""
    if not readings:
        return []
    wanted = min(reading.at for reading in readings) + age
    of_metric: dict[str, list[HealthReading]] = {}
    for reading in sorted(readings, key=_time):
        of_metric.setdefault(reading.metric, []).append(reading)
    return [figure_of(nearest(found, wanted)) for found in of_metric.values()]


def nearest(readings: Sequence[HealthReading], wanted: datetime) -> HealthReading:
    """Of some, in the order of their times."""
    place = bisect_left(readings, wanted, key=_time)
    around = readings[max(place - 1, 0) : place + 1]
    return min(around, key=lambda reading: abs(reading.at - wanted))


def _time(reading: HealthReading) -> datetime:
    found: datetime = reading.at
    return found


def figure_of(reading: HealthReading) -> Figure:
    return Figure(
        metric=Metric(reading.metric),
        value=reading.value,
        sample=reading.sample,
        until=reading.until,
    )


def stored(figure: Figure) -> dict[str, Any]:
    """As a watch keeps it."""
    return {
        "metric": figure.metric.value,
        "value": figure.value,
        "sample": figure.sample,
        "until": figure.until.isoformat(),
    }


def read_figure(kept: Mapping[str, Any]) -> Figure:
    """A figure as a watch keeps it."""
    return Figure(
        metric=Metric(kept["metric"]),
        value=kept["value"],
        sample=kept["sample"],
        until=datetime.fromisoformat(kept["until"]),
    )
