"""What would follow a release in its ticket system; the version is looked up there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from delivr.tenants.models import User
from releases.models import Release
from releases.tickets.models import MoveAt, TicketPart
from releases.tickets.readiness import PlannedVersion, look_up_for_dry_run


def tickets_preview(release: Release, part: TicketPart, *, user: User) -> dict[str, Any]:
    """The steps in words, and the version if there will be one (network, a few seconds at most)."""
    if release.ticket is None:
        return {"steps": [], "version": None}
    version = None
    if part.makes_version:
        version = look_up_for_dry_run(release.ticket, release.version, user=user)
    return {"steps": list(_steps(part, version)), "version": version}


def _steps(part: TicketPart, version: PlannedVersion | None) -> Iterator[str]:
    if part.links_epics:
        yield _("Each epic links to the release, with its current status.")
    if part.comments_epics:
        yield _("Each epic gets a comment at every milestone.")
    if part.moves_epics == MoveAt.SUBMITTED:
        yield _("When the release is marked as submitted: each epic is moved to done.")
    if part.moves_epics == MoveAt.RELEASED:
        yield _("When the release is marked as released: each epic is moved to done.")
    if version is None:
        return
    words = {"name": version.name}
    if version.exists:
        yield _("The version %(name)s exists already, and is used.") % words
    else:
        yield _("Immediately: the version %(name)s is created.") % words
    yield _("When the changes are known: the version is added to their tickets.")
    yield _("When the release is marked as released: the version is released.")
