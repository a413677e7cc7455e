"""The events of a release that its messages tell of."""

from __future__ import annotations

import enum


class Notice(enum.StrEnum):
    """A kind of message; its text is in `templates/messages/<value>.txt`."""

    RELEASE_CREATED = "release_created"
    RELEASE_COMPLETE = "release_complete"
    RELEASE_FAILED = "release_failed"
    RELEASE_CANCELLED = "release_cancelled"
    RELEASE_SUBMITTED = "release_submitted"
    RELEASE_ROLLING_OUT = "release_rolling_out"
    RELEASE_RELEASED = "release_released"
    RELEASE_NOT_SUBMITTED = "release_not_submitted"
    RELEASE_NOT_RELEASED = "release_not_released"
    SUBMISSION_REJECTED = "submission_rejected"
    SUBMISSION_NEEDS_PERSON = "submission_needs_person"
    BUILD_QUEUED = "build_queued"
    BUILD_WAITING = "build_waiting"
    BUILD_STARTED = "build_started"
    BUILD_COMPLETE = "build_complete"
    BUILD_FAILED = "build_failed"
    BUILD_NOT_STARTED = "build_not_started"
    BUILD_CANCELLED = "build_cancelled"


# What matters to the whole channel; all others are steps.
BROADCAST = {
    Notice.RELEASE_COMPLETE,
    Notice.RELEASE_FAILED,
    Notice.RELEASE_CANCELLED,
    Notice.RELEASE_SUBMITTED,
    Notice.RELEASE_ROLLING_OUT,
    Notice.RELEASE_RELEASED,
    Notice.RELEASE_NOT_SUBMITTED,
    Notice.RELEASE_NOT_RELEASED,
    Notice.SUBMISSION_REJECTED,
    Notice.SUBMISSION_NEEDS_PERSON,
    Notice.BUILD_WAITING,
    Notice.BUILD_FAILED,
    Notice.BUILD_NOT_STARTED,
    Notice.BUILD_CANCELLED,
}
MILESTONES = {Notice.RELEASE_CREATED, *BROADCAST}
# Of these, whoever can do something about it may be mentioned (`releases.messages.mentions`).
FAILURES = (
    Notice.BUILD_FAILED,
    Notice.BUILD_NOT_STARTED,
    Notice.RELEASE_FAILED,
    Notice.SUBMISSION_REJECTED,
)


def event_of(notice: Notice) -> str:
    """Its name for the outside: `build.failed`."""
    return notice.value.replace("_", ".", 1)


BY_EVENT = {event_of(notice): notice for notice in Notice}
