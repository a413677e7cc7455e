"""The figures of each day that is over, kept so that a page reads days and not builds."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from delivr.tenants.models import TenantOwned, unique_per_tenant
from integrations.choices import Platform


class InsightsDay(TenantOwned):
    """What was begun on one day (UTC), of one choice: "" stands for every platform or pipeline.

    Derived from builds, releases and submissions, and never the only place of anything: a row may
    be deleted at any time. See docs/adr/0021-insights-kept-by-day.md.
    """

    day = models.DateField()
    platform = models.CharField(max_length=10, choices=Platform.choices, blank=True)
    pipeline_key = models.CharField(max_length=40, blank=True)
    tally = models.JSONField(default=dict)  # `builds.insights.tallies.Tally.as_json`

    class Meta:
        db_table = "insights_days"
        ordering: ClassVar = ["day", "id"]
        constraints: ClassVar = [
            unique_per_tenant("insights_day"),
            models.UniqueConstraint(
                fields=["tenant", "day", "platform", "pipeline_key"], name="insights_day_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.platform} {self.pipeline_key}".strip()


class InsightsKept(TenantOwned):
    """Until which day the figures of a workspace are kept; later days are counted when shown."""

    until = models.DateField()

    class Meta:
        db_table = "insights_kept"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            unique_per_tenant("insights_kept"),
            models.UniqueConstraint(fields=["tenant"], name="insights_kept_once"),
        ]
        verbose_name = "kept insights"
        verbose_name_plural = "kept insights"

    def __str__(self) -> str:
        return f"{self.tenant_id} until {self.until}"


class InsightsNote(models.Model):
    """A past day of which a row has changed. Only triggers on PostgreSQL write it
    (`builds.insights.noting.NoteDays`).

    Rows are only ever added, so that nobody waits. No foreign key: deleting a workspace deletes
    rows that are noted.
    """

    tenant_key = models.CharField(max_length=10, db_index=True)
    day = models.DateField()

    class Meta:
        db_table = "insights_notes"

    def __str__(self) -> str:
        return f"{self.tenant_key} {self.day}"
