"""Metrics about builds and webhook deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Min, Q
from prometheus_client.core import Metric

from builds.models import Build, DeliveryState, WebhookDelivery
from delivr.effects import clock
from delivr.monitoring.collecting import LATELY, age, gauge
from releases.models import MOVING

KIND = "release_pipeline__pipeline__pipeline_type"


def figures() -> Iterator[Metric]:
    """Four queries: through the partial indexes of rows that are in progress or due, and through
    that of the builds by their end."""
    now = clock.now()
    yield from _moving(now)
    ended = Build.objects.filter(finished_at__gte=now - LATELY).exclude(status__in=MOVING)
    yield gauge(
        "builds_ended",
        "Builds that ended within the last hour.",
        [
            ({"provider": kind, "status": status}, count)
            for kind, status, count in ended.order_by()
            .values_list(KIND, "status")
            .annotate(Count("pk"))
        ],
        ["provider", "status"],
    )
    yield from _deliveries(now)


def _moving(now: datetime) -> Iterator[Metric]:
    labels = ("provider", "status")
    rows: list[Any] = list(
        Build.objects.moving()
        .order_by()
        .values("status", provider=F(KIND))
        .annotate(count=Count("pk"), oldest=Min("created_at"))
    )
    yield gauge("builds_moving", "Builds in progress.", [(r, r["count"]) for r in rows], labels)
    ages = [(row, age(row["oldest"], now)) for row in rows]
    yield gauge("builds_moving_oldest_seconds", "Age of the oldest of them.", ages, labels)
    due = Build.objects.due(now).aggregate(due=Min("poll_at"))["due"]
    text = "How long the poll that is overdue longest could have been made."
    yield gauge("polls_overdue_seconds", text, [({}, age(due, now))], [])


def _deliveries(now: datetime) -> Iterator[Metric]:
    found = {
        row["state"]: row
        for row in WebhookDelivery.objects.filter(next_at__isnull=False)
        .waiting()
        .order_by()
        .values("state")
        .annotate(
            count=Count("pk"),
            oldest=Min("received_at"),
            due=Min("next_at", filter=Q(next_at__lte=now)),
        )
    }
    nothing = {"count": 0, "oldest": None, "due": None}
    rows = [
        ({"state": state.value}, found.get(state.value, nothing))
        for state in (DeliveryState.NEW, DeliveryState.UNMATCHED)
    ]
    yield gauge(
        "deliveries_waiting",
        "Webhook deliveries that are not applied yet.",
        [(labels, row["count"]) for labels, row in rows],
        ["state"],
    )
    yield gauge(
        "deliveries_waiting_oldest_seconds",
        "Age of the oldest of them.",
        [(labels, age(row["oldest"], now)) for labels, row in rows],
        ["state"],
    )
    yield gauge(
        "deliveries_overdue_seconds",
        "How long the delivery that is overdue longest could have been applied.",
        [(labels, age(row["due"], now)) for labels, row in rows],
        ["state"],
    )
