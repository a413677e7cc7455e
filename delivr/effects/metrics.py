"""Metrics about effects that are open or gave up, and about delivr's own processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q
from prometheus_client.core import Metric

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, Heartbeat
from delivr.monitoring.collecting import age, gauge

BY = ("kind", "state")


def figures() -> Iterator[Metric]:
    """Three queries, each through a partial index of rows that are few: open, or dead."""
    now = clock.now()
    yield from _open(now)
    dead = Effect.objects.filter(state=EffectState.DEAD, done_at__isnull=False).order_by()
    yield gauge(
        "effects_dead",
        "Effects that failed for good and wait for a person.",
        [({"kind": kind}, n) for kind, n in dead.values_list("kind").annotate(Count("pk"))],
        ["kind"],
    )
    yield from _processes(now)
    yield gauge("info", "The version.", [({"version": settings.VERSION}, 1)], ["version"])


def _open(now: Any) -> Iterator[Metric]:
    known = Q(kind__in=settings.EFFECT_HANDLERS)
    rows: list[Any] = list(
        Effect.objects.open()
        .order_by()
        .values(*BY)
        .annotate(
            count=Count("pk"),
            oldest=Min("created_at"),
            due=Min("next_at", filter=known & Q(state=EffectState.PENDING, next_at__lte=now)),
            lapsed=Min("lease_until", filter=known & Q(lease_until__lt=now)),
            failing=Count("pk", filter=~Q(last_error_code="")),
        )
    )
    yield gauge(
        "effects_open",
        "Effects that are waiting or being sent.",
        [(row, row["count"]) for row in rows],
        BY,
    )
    yield gauge(
        "effects_open_failing",
        "Open effects whose last attempt failed.",
        [(row, row["failing"]) for row in rows],
        BY,
    )
    yield gauge(
        "effects_open_oldest_seconds",
        "Age of the oldest open effect.",
        [(row, age(row["oldest"], now)) for row in rows],
        BY,
    )
    yield gauge(
        "effects_overdue_seconds",
        "How long the effect that is overdue longest could have been taken by a worker.",
        [(row, max(age(row["due"], now), age(row["lapsed"], now))) for row in rows],
        BY,
    )
    paused = float(settings.EFFECTS_PAUSED)
    yield gauge("effects_paused", "1: EFFECTS_PAUSED is set.", [({}, paused)], [])


def _processes(now: Any) -> Iterator[Metric]:
    beats = list(Heartbeat.objects.all())
    yield gauge(
        "heartbeat_age_seconds",
        "Time since a process of this kind last said that it runs.",
        [({"process": beat.name}, age(beat.at, now)) for beat in beats],
        ["process"],
    )
    down = max((age(beat.broker_down_since, now) for beat in beats), default=0.0)
    yield gauge("broker_down_seconds", "How long the broker has been away.", [({}, down)], [])
    broker = float(bool(settings.CELERY_BROKER_URL))
    yield gauge("broker_configured", "1: CELERY_BROKER_URL is set.", [({}, broker)], [])
