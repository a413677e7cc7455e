"""What happened to releases, for those who are told once a day."""

from __future__ import annotations

from django.db import models

from delivr.effects import clock
from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, unique_per_tenant


class ReleaseNotice(TenantOwned):
    """One message, as it would be sent at once. Kept for some days, and only in workspaces with a
    member who wants a daily digest."""

    id = PrefixedIdField(prefix="ntc")
    release_id = models.CharField(max_length=40)
    notice = models.CharField(max_length=40)
    words = models.JSONField(default=dict, blank=True)
    dedupe_key = models.CharField(max_length=200)
    at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        db_table = "release_notices"
        ordering = ["at", "id"]
        constraints = [
            unique_per_tenant("release_notice"),
            models.UniqueConstraint(fields=["tenant", "dedupe_key"], name="release_notice_once"),
        ]
        indexes = [
            models.Index(fields=["tenant", "at"], name="release_notice_by_time"),
            models.Index(fields=["at"], name="release_notice_old"),  # to delete them
        ]

    def __str__(self) -> str:
        return f"{self.notice} of {self.release_id}"
