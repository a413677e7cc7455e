"""How a release and its builds stand, as their messages say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from integrations.providers.ci import BuildStatus
from releases.messages.events import Notice

if TYPE_CHECKING:
    from releases.models import Release, ReleasePipeline

# What no notice tells, but the message about the release says; templates like those of notices.
BUILDING, NOT_TRIGGERED = "release_building", "build_not_triggered"


def template_of(said: Mapping[str, Any]) -> str:
    """The template of what a message says: that of its notice, or of how the release stands."""
    return str((said.get("words") or {}).get("state") or said.get("notice", ""))


_OF_STAGE = {
    "KICKOFF_PENDING": Notice.RELEASE_CREATED,
    "BUILD_COMPLETE": Notice.RELEASE_COMPLETE,
    "BUILD_FAILED": Notice.RELEASE_FAILED,
    "CANCELLED": Notice.RELEASE_CANCELLED,
    "SUBMITTED": Notice.RELEASE_SUBMITTED,
    "ROLLING_OUT": Notice.RELEASE_ROLLING_OUT,
    "RELEASED": Notice.RELEASE_RELEASED,
}


def state_of(release: Release) -> str:
    """The name of the template that says how the release stands."""
    return _OF_STAGE.get(release.stage, BUILDING)


def candidates_of(release: Release) -> dict[str, str]:
    """The words about its release candidates; none if all are the first."""
    return {"candidates": candidates} if (candidates := release.candidates) else {}


def progress_of(parts: Sequence[ReleasePipeline]) -> dict[str, int]:
    done = sum(part.build_status == BuildStatus.SUCCESS for part in parts)
    return {"complete": done, "total": len(parts)}


_OF_STATUS = {
    BuildStatus.TRIGGERING: Notice.BUILD_QUEUED,
    BuildStatus.QUEUED: Notice.BUILD_QUEUED,
    BuildStatus.WAITING: Notice.BUILD_WAITING,
    BuildStatus.RUNNING: Notice.BUILD_STARTED,
    BuildStatus.SUCCESS: Notice.BUILD_COMPLETE,
    BuildStatus.TRIGGER_FAILED: Notice.BUILD_NOT_STARTED,
    BuildStatus.CANCELLED: Notice.BUILD_CANCELLED,
}


def notice_of(status: str, *, was_started: bool) -> Notice | None:
    """What to tell about a build of this status; None if there is no build yet."""
    if status == BuildStatus.PENDING:
        return None
    unstarted = (BuildStatus.FAILURE, BuildStatus.ABORTED, BuildStatus.LOST, BuildStatus.UNSTABLE)
    if not was_started and status in unstarted:
        return Notice.BUILD_NOT_STARTED
    return _OF_STATUS.get(BuildStatus(status), Notice.BUILD_FAILED)


def name_among(part: ReleasePipeline, parts: Sequence[ReleasePipeline]) -> str:
    """The pipeline's name if the release has another one for the same platform, else ""."""
    is_alone = sum(other.platform == part.platform for other in parts) == 1
    return "" if is_alone else str(part.pipeline)
