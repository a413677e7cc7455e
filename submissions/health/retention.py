"""Deletes readings that no rule is tried on any more."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet

from delivr.batches import in_batches
from delivr.effects import clock
from submissions.health.models import HealthReading

KEEP = timedelta(days=400)
ALL = "all"


def due() -> list[str]:
    """`["all"]` if there is anything to delete."""
    return [ALL] if _expired().exists() else []


def delete_expired(what: str = ALL) -> None:
    """The job `health_retention`: delete readings after 400 days."""
    in_batches(_expired(), lambda rows: rows.delete())


def _expired() -> QuerySet[HealthReading]:
    found: QuerySet[HealthReading] = HealthReading.objects.filter(at__lt=clock.now() - KEEP)
    return found
