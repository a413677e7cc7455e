"""Gathers the metrics at the moment they are asked for.

All figures come from the database: web, workers and sweepers are processes of their own, often on
several machines, and a figure of one of them would say little. So every web process responds with
the same, and one of them is enough to be scraped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

LATELY = timedelta(hours=1)  # what the figures about finished work cover


class _Collector(Collector):
    def collect(self) -> Iterator[Metric]:
        for source in settings.METRICS:
            yield from import_string(source)()


def registry() -> CollectorRegistry:
    """A registry whose figures are read when it is rendered."""
    found = CollectorRegistry()
    found.register(_Collector())
    return found


def gauge(
    name: str, text: str, rows: Iterable[tuple[Mapping[str, str], float]], labels: Iterable[str]
) -> GaugeMetricFamily:
    """A gauge with a value for each row. Labels are few and fixed: none names a tenant."""
    family = GaugeMetricFamily(f"delivr_{name}", text, labels=list(labels))
    for values, value in rows:
        family.add_metric([values[label] for label in labels], value)
    return family


def age(since: datetime | None, now: datetime) -> float:
    """Seconds since then; 0 if there is nothing or it is still to come."""
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)
