"""What is written into the ticket system. Like messages, these texts are not translated for each
reader."""

from __future__ import annotations

import enum

from django.conf import settings
from django.utils.translation import gettext as _

from integrations.models import TargetIntegration
from integrations.providers.tickets import Comment, Epic, Link
from releases.models import Mark, Release, ReleaseStatus


class Milestone(enum.StrEnum):
    COMPLETE = "complete"
    FAILED = "failed"
    BUILDING = "building"  # again: only the link says so
    SUBMITTED = "submitted"
    RELEASED = "released"
    NOT_SUBMITTED = "not-submitted"
    NOT_RELEASED = "not-released"
    CANCELLED = "cancelled"


OF_STATUS = {
    ReleaseStatus.BUILD_COMPLETE: Milestone.COMPLETE,
    ReleaseStatus.BUILD_FAILED: Milestone.FAILED,
    ReleaseStatus.BUILDING: Milestone.BUILDING,
    ReleaseStatus.CANCELLED: Milestone.CANCELLED,
    ReleaseStatus.SUBMITTED: Milestone.SUBMITTED,
    ReleaseStatus.RELEASED: Milestone.RELEASED,
}
OF_MARK = {
    Mark.SUBMITTED: (Milestone.SUBMITTED, Milestone.NOT_SUBMITTED),
    Mark.RELEASED: (Milestone.RELEASED, Milestone.NOT_RELEASED),
}
_COMMENTS = {
    Milestone.COMPLETE: "All builds of release %(version)s%(candidates)s are complete.",
    Milestone.FAILED: "Not all builds of release %(version)s succeeded.",
    Milestone.SUBMITTED: "Release %(version)s%(candidates)s was submitted to the stores.",
    Milestone.RELEASED: "Release %(version)s%(candidates)s was released.",
    Milestone.NOT_SUBMITTED: "Release %(version)s is no longer marked as submitted.",
    Milestone.NOT_RELEASED: "Release %(version)s is no longer marked as released.",
    Milestone.CANCELLED: "Release %(version)s was cancelled.",
}


def milestone_of(release: Release) -> Milestone | None:
    """The one that the release has reached; None before the first build."""
    if release.released_at is not None:
        return Milestone.RELEASED
    if release.submitted_at is not None:
        return Milestone.SUBMITTED
    return OF_STATUS.get(ReleaseStatus(release.status))


def comment_of(release: Release, milestone: Milestone) -> str:
    """The text of a comment; "" for a milestone without one."""
    candidates = release.candidates
    words = {
        "version": release.version,
        "candidates": f" ({candidates})" if candidates else "",
    }
    return _COMMENTS.get(milestone, "") % words


def comment_for(release: Release, text: str) -> Comment:
    return Comment(text=text, url=page_of(release), label=f"Release {release.version} in delivr")


def link_of(release: Release) -> Link:
    """The link to the release's page, with its status as it is now."""
    stage = {"SUBMITTED": _("Submitted"), "RELEASED": _("Released")}.get(release.stage)
    return Link(
        name=release.pk,
        url=page_of(release),
        title=f"Release {release.version}",
        summary=str(stage or release.get_status_display()),
        is_resolved=release.stage in (ReleaseStatus.RELEASED, ReleaseStatus.CANCELLED),
    )


def page_of(release: Release) -> str:
    return f"{settings.BASE_URL}/releases/{release.pk}"


def epic_for(release: Release, target: TargetIntegration, *, app: str = "") -> Epic:
    """The epic of a release and one of its targets; `app` is the one at the release's creation."""
    platform = target.platform.label
    return Epic(
        summary=f"Release {release.version}: {platform}",
        description=(
            f"{platform} release {release.version} of {app or target.app_identifier}, "
            f"built from {release.branch}."
        ),
        labels=("delivr",),
    )
