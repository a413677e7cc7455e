"""The rules of a roll-out, and the figures that they go by."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from delivr.effects import clock
from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, unique_per_tenant
from integrations.models import HealthIntegration
from integrations.providers.health import Metric

METRICS = [(metric.value, metric.value) for metric in Metric]


class RuleAction(models.TextChoices):
    PAUSE = "PAUSE", _("Pause")
    HALT = "HALT", _("Halt")
    ADVANCE = "ADVANCE", _("Next step")


class RolloutRule(TenantOwned):
    """What delivr does by itself with a submission, and when. Without a source it waits only."""

    id = PrefixedIdField(prefix="rule")
    submission = models.ForeignKey(
        "submissions.Submission", on_delete=models.CASCADE, related_name="rules"
    )
    source = models.ForeignKey(
        HealthIntegration, on_delete=models.PROTECT, null=True, blank=True, related_name="rules"
    )
    metric = models.CharField(max_length=30, choices=METRICS, blank=True)
    threshold = models.FloatField(null=True, blank=True)  # a percentage
    # In place of it: how many percentage points worse than the previous release it may be.
    margin = models.FloatField(null=True, blank=True)
    min_sample = models.PositiveIntegerField(default=0)
    action = models.CharField(max_length=10, choices=RuleAction.choices)
    after_hours = models.FloatField(null=True, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    # How many of the last readings in a row were BAD. Once it has acted, it does so again only
    # after a GOOD one, so that whoever undoes it is not overruled.
    bad_readings = models.PositiveIntegerField(default=0)
    is_armed = models.BooleanField(default=True)
    acted_at = models.DateTimeField(null=True, blank=True)
    # Since when there is too little data to judge, while it rolls out.
    unknown_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "rollout_rules"
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [unique_per_tenant("rollout_rule")]

    def __str__(self) -> str:
        return f"{self.action} {self.metric}"


class HealthWatch(TenantOwned):
    """One source that is asked about one submission, and its newest figures. Without a source, its
    rules wait only."""

    id = PrefixedIdField(prefix="watch")
    submission = models.ForeignKey(
        "submissions.Submission", on_delete=models.CASCADE, related_name="watches"
    )
    source = models.ForeignKey(
        HealthIntegration, on_delete=models.CASCADE, null=True, blank=True, related_name="watches"
    )
    look_at = models.DateTimeField(null=True, blank=True)  # when it is due to be asked
    last_read_at = models.DateTimeField(null=True, blank=True)
    read_error = models.CharField(max_length=500, blank=True)
    figures = models.JSONField(default=list, blank=True)
    # Those of the previous release at the same stage (`submissions.health.baseline`).
    before = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)

    class Meta:
        db_table = "health_watches"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            unique_per_tenant("health_watch"),
            models.UniqueConstraint(fields=["submission", "source"], name="health_watch_once"),
            models.UniqueConstraint(
                fields=["submission"],
                condition=Q(source__isnull=True),
                name="health_watch_without_source_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["look_at"], condition=Q(look_at__isnull=False), name="health_watch_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} about {self.submission}"


class HealthReading(TenantOwned):
    """What a source said at one time; kept to try rules on earlier submissions."""

    submission = models.ForeignKey(
        "submissions.Submission", on_delete=models.CASCADE, related_name="readings"
    )
    source = models.ForeignKey(HealthIntegration, on_delete=models.CASCADE, related_name="+")
    metric = models.CharField(max_length=30, choices=METRICS)
    value = models.FloatField()  # a percentage
    sample = models.PositiveBigIntegerField()  # sessions or users
    until = models.DateTimeField()  # up to when the source had counted
    percent = models.FloatField(null=True, blank=True)  # of the users had it
    at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "health_readings"
        ordering: ClassVar = ["at", "id"]
        constraints: ClassVar = [unique_per_tenant("health_reading")]
        indexes: ClassVar = [
            models.Index(fields=["submission", "metric", "at"], name="health_reading_by_time"),
            models.Index(fields=["at"], name="health_reading_ends"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.value:g} %"
