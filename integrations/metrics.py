"""Metrics about the providers: how their calls ended, how long they took, and who is not called.

A kind of provider is a label, a tenant or connection is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, F, Q
from prometheus_client.core import GaugeHistogramMetricFamily, Metric

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.monitoring.collecting import LATELY, gauge
from delivr.tenants.inviting import MAIL_SERVER
from integrations.models import FAMILIES

BOUNDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # seconds; a call may take 20
ENDED = (EffectState.DONE, EffectState.DEAD, EffectState.CANCELLED)
REMOVED = "removed"  # the label of a connection that was disconnected meanwhile


def figures() -> Iterator[Metric]:
    """Four queries, and one for each family."""
    now = clock.now()
    ended, troubled = list(_ended(now)), list(_troubled(now))
    kinds = kinds_of({row["integration_id"] for row in [*ended, *troubled]})
    yield from _calls(ended, kinds)
    yield _pauses(troubled, kinds, now)


def kinds_of(ids: Iterable[str]) -> dict[str, str]:
    """The provider's kind of each connection that still is one. A query for each family."""
    kinds = {MAIL_SERVER: MAIL_SERVER}
    for model in FAMILIES.values():
        rows = model._default_manager.filter(pk__in=list(ids), disconnected_at=None)
        kinds |= dict(rows.values_list("pk", model.type_field))
    return kinds


def _ended(now: datetime) -> Any:
    """Effects that ended lately by connection, kind and state, with the times of their calls.

    Those that were looked for again are left out of the times: their calls had begun earlier.
    """
    took = F("done_at") - F("dispatched_at")
    timed = Q(state=EffectState.DONE, dispatched_at__isnull=False, reconciles=0, attempts__lte=1)
    within = {
        f"under_{index}": Count("pk", filter=timed & Q(took__lte=timedelta(seconds=bound)))
        for index, bound in enumerate(BOUNDS)
    }
    rows = Effect.objects.filter(state__in=ENDED, done_at__gte=now - LATELY).order_by()
    return (
        rows.annotate(took=took)
        .values("integration_id", "kind", "state")
        .annotate(
            count=Count("pk"), timed=Count("pk", filter=timed), mean=Avg("took", filter=timed)
        )
        .annotate(**within)
    )


def _calls(rows: list[dict[str, Any]], kinds: dict[str, str]) -> Iterator[Metric]:
    outcomes: Counter[tuple[str, str, str]] = Counter()
    buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
    seconds: Counter[str] = Counter()
    for row in rows:
        provider = kinds.get(row["integration_id"], REMOVED)
        outcomes[provider, row["kind"], row["state"]] += row["count"]
        if row["timed"]:
            counts = [*(row[f"under_{i}"] for i in range(len(BOUNDS))), row["timed"]]
            buckets[provider] = [a + b for a, b in zip(buckets[provider], counts, strict=True)]
            seconds[provider] += row["mean"].total_seconds() * row["timed"]
    labels = ("provider", "kind", "outcome")
    yield gauge(
        "effects_ended",
        "Effects that ended within the last hour.",
        [(dict(zip(labels, key, strict=True)), n) for key, n in outcomes.items()],
        labels,
    )
    family = GaugeHistogramMetricFamily(
        "delivr_provider_call_seconds",
        "Durations of the calls by which effects of the last hour were done, at the first attempt.",
        labels=["provider"],
    )
    for provider, counts in buckets.items():
        bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
        family.add_metric([provider], list(zip(bounds, counts, strict=True)), seconds[provider])
    yield family


def _troubled(now: datetime) -> Any:
    is_open, limited = Q(open_until__gt=now), Q(rate_limited_until__gt=now)
    rows = IntegrationHealth.objects.filter(is_open | limited | ~Q(credentials_refused_at=None))
    return rows.values(
        "integration_id", "open_until", "rate_limited_until", "credentials_refused_at"
    )


REASONS = {
    "breaker_open": "open_until",
    "rate_limited": "rate_limited_until",
    "credentials_refused": "credentials_refused_at",
}


def _pauses(rows: list[dict[str, Any]], kinds: dict[str, str], now: datetime) -> Metric:
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        provider = kinds.get(row["integration_id"])
        for reason, column in REASONS.items():
            at = row[column]
            if provider and at and (reason == "credentials_refused" or at > now):
                counts[provider, reason] += 1
    labels = ("provider", "reason")
    return gauge(
        "connections_paused",
        "Connections that are not called at the moment.",
        [(dict(zip(labels, key, strict=True)), n) for key, n in counts.items()],
        labels,
    )
