"""The messages about a build: queued, started (once it has a number), waiting for a person, and how
it ended."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from builds.models import Build, BuildEvent
from builds.updates.transitions import Transition
from integrations.providers.ci import BuildStatus
from releases.messages.notices import Notice, notify
from releases.messages.standing import name_among, notice_of

_NOT_STARTED = (
    BuildStatus.TRIGGERING,
    BuildStatus.QUEUED,
    BuildStatus.WAITING,
    BuildStatus.LOST,
    BuildStatus.TRIGGER_FAILED,
    BuildStatus.CANCELLED,
)


def announce(build: Build, event: BuildEvent, *, quietly: bool = False) -> None:
    """Tell what is so now: the build has just changed, as the event records. A build that was never
    seen running is said to have started, too. `quietly`: only in the message about the build."""
    named = build.handle.is_named
    if named and build.status not in _NOT_STARTED:
        _tell(build, event, Notice.BUILD_STARTED, quietly=quietly)
    elif build.status == BuildStatus.RUNNING:
        return  # it is told once it has a number
    notice = standing_of(build)
    if notice not in (None, Notice.BUILD_STARTED):
        _tell(build, event, notice, quietly=quietly)


def standing_of(build: Build) -> Notice | None:
    """What the message about the build should say; None if there is nothing to say."""
    was_started = build.handle.is_named or build.started_at is not None
    return notice_of(build.status, was_started=was_started)


def _tell(build: Build, event: BuildEvent, notice: Notice, *, quietly: bool) -> None:
    words = words_of(build)
    if reason := _reason(build, notice):
        words["reason"] = reason
    is_late = event.step == Transition.FILL  # it waits already; only its number is new
    notify(
        build.release_pipeline.release,
        notice,
        build_id=build.pk,
        cause=_cause(build, event, notice),
        event_id=event.pk,
        words=words,
        quietly=quietly or (is_late and notice == Notice.BUILD_WAITING),
    )


def words_of(build: Build) -> dict[str, Any]:
    """What names the build in its messages; the pipeline only if that is needed."""
    part = build.release_pipeline
    parts = list(part.release.pipelines.select_related("pipeline"))
    words: dict[str, Any] = {
        "platform": part.get_platform_display(),
        "number": build.number,
        "candidate": build.candidate,
        "url": build.url,
    }
    if name := name_among(part, parts):
        words["pipeline"] = name
    return words


def _cause(build: Build, event: BuildEvent, notice: Notice) -> str:
    """What makes a second message of the kind differ: a build may wait for a person again, and one
    that was lost may be seen again and end otherwise."""
    if notice == Notice.BUILD_WAITING:
        return str(event.pk)
    is_lost = build.status == BuildStatus.LOST and notice != Notice.BUILD_STARTED
    return "lost" if is_lost else ""


def _reason(build: Build, notice: Notice) -> str:
    if notice in (Notice.BUILD_QUEUED, Notice.BUILD_WAITING):
        return build.queue_reason.rstrip(".")
    if notice not in (Notice.BUILD_FAILED, Notice.BUILD_NOT_STARTED):
        return ""
    if build.status == BuildStatus.LOST and build.queue_reason:
        return build.queue_reason.rstrip(".")
    return status_words(build.status)


def status_words(status: str) -> str:
    """How a build ended, as far as the title "build failed" does not say it."""
    words = {
        BuildStatus.UNSTABLE: _("unstable: some tests failed"),
        BuildStatus.ABORTED: _("it was aborted"),
        BuildStatus.LOST: _("it no longer exists on the CI server"),
        BuildStatus.TRIGGER_FAILED: _("it could not be triggered"),
        BuildStatus.CANCELLED: _("it was cancelled"),
    }
    return words.get(BuildStatus(status), "")
