"""What follows a release in its ticket system: a workspace's defaults, and those of a release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delivr.tenants.models import Tenant
from releases.repository.models import ReleaseSettings
from releases.tickets.models import TicketPart

STEPS = ("links_epics", "comments_epics", "moves_epics", "makes_version")


def ticket_steps_of(row: ReleaseSettings | TicketPart) -> dict[str, Any]:
    return {name: getattr(row, name) for name in STEPS}


def draft_ticket_part(
    tenant: Tenant, defaults: ReleaseSettings, wanted: Mapping[str, Any]
) -> TicketPart:
    """The ticket system's part of a new release, not saved."""
    return TicketPart(tenant=tenant, **{**ticket_steps_of(defaults), **wanted})
