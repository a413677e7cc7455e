"""What follows a release in its ticket system, and how far its version there is."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from delivr.tenants.models import TenantOwned, unique_per_tenant


class MoveAt(models.TextChoices):
    """When a release's epics are moved to a status that counts as done."""

    NEVER = "", _("Never")
    SUBMITTED = "SUBMITTED", _("When the release is marked as submitted")
    RELEASED = "RELEASED", _("When the release is marked as released")


class TicketSteps(TenantOwned):
    """What follows the release. The link is on: it is changed in place and mails nobody."""

    links_epics = models.BooleanField(default=True, db_default=True)
    comments_epics = models.BooleanField(default=False, db_default=False)
    moves_epics = models.CharField(
        max_length=10, choices=MoveAt.choices, blank=True, default="", db_default=""
    )
    makes_version = models.BooleanField(default=False, db_default=False)

    class Meta:
        abstract = True


class TicketPart(TicketSteps):
    """The ticket system's part in one release. A release without a row, created by an older version
    of delivr or without a ticket system, is not followed.

    `version_id` to `version_released` are the version in the connection's project. The rest is how
    far it was at `looked_at`: `not_done` of `total` tickets, the first of them in `open_tickets`
    (`key`, `title`, `status`, `url`). Only `releases.tickets` writes these.
    """

    release = models.OneToOneField(
        "releases.Release", on_delete=models.CASCADE, related_name="ticket_part"
    )
    version_id = models.CharField(max_length=40, blank=True)
    version_name = models.CharField(max_length=255, blank=True)
    version_url = models.CharField(max_length=500, blank=True)
    version_released = models.BooleanField(default=False)
    total = models.PositiveIntegerField(null=True, blank=True)
    not_done = models.PositiveIntegerField(null=True, blank=True)
    open_tickets = models.JSONField(default=list, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)  # why the last look failed
    look_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "release_tickets"
        constraints = [
            unique_per_tenant("release_tickets"),
            models.CheckConstraint(
                condition=Q(moves_epics__in=MoveAt.values), name="release_tickets_move_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["look_at"],
                condition=Q(look_at__isnull=False),
                name="release_tickets_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.release} in its ticket system"
