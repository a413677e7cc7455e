"""When to poll a build next: soon while a change is expected, with growing pauses while nothing
changes, and for a day after a build was lost or failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from builds.models import Build, TestBuild
from delivr.effects import clock
from integrations.providers.ci import BuildStatus

# While the build is in progress: (first pause, longest pause).
PAUSES = {
    BuildStatus.QUEUED: (timedelta(seconds=1), timedelta(seconds=10)),
    BuildStatus.WAITING: (timedelta(seconds=10), timedelta(minutes=1)),
    BuildStatus.RUNNING: (timedelta(seconds=10), timedelta(minutes=5)),
}
END_CLAIMED = (timedelta(seconds=2), timedelta(minutes=5))  # a webhook reported its end
MISSING = (timedelta(seconds=10), timedelta(minutes=1))  # the job responds, but has no such build
FINISHED = (timedelta(minutes=1), timedelta(minutes=30))
STOPPING = timedelta(minutes=1)  # between two looks at a build that does not stop
LOOK_BACK = timedelta(days=1)  # how long a lost or failed build is still polled

# Builds that someone may retry on the CI server.
FAILED = (BuildStatus.FAILURE, BuildStatus.UNSTABLE, BuildStatus.ABORTED)


def next_poll(build: Build | TestBuild) -> datetime | None:
    """When to poll the build next; None if no response could change anything."""
    now = clock.now()
    if build.status == BuildStatus.CANCELLED:
        return _after_stop(build, now)
    if build.missing_since is not None and build.is_moving:
        return now + _doubling(now - build.missing_since, MISSING)
    if build.end_claimed_at is not None and now - build.end_claimed_at < LOOK_BACK:
        return now + _doubling(now - build.end_claimed_at, END_CLAIMED)
    if (pauses := PAUSES.get(BuildStatus(build.status))) is not None:
        first, longest = pauses
        return now + min(longest, first * 1.25 ** min(build.polls, 50))
    return _after_end(build, now)


def _after_end(build: Build | TestBuild, now: datetime) -> datetime | None:
    """A lost build may reappear, and a failed one may be retried on the CI server. Test builds are
    not polled after their end."""
    may_change = build.status == BuildStatus.LOST or build.status in FAILED
    if isinstance(build, TestBuild) or not may_change or not build.finished_at:
        return None
    since = now - build.finished_at
    return now + _doubling(since / 2, FINISHED) if since < LOOK_BACK else None


def _after_stop(build: Build | TestBuild, now: datetime) -> datetime | None:
    """True if a cancelled build is polled until it ends: only servers that support force-cancelling
    need it."""
    ci: Any = build.pipeline.provider_class
    if isinstance(build, TestBuild) or not ci.force_cancel_after or not build.finished_at:
        return None
    first = build.finished_at + ci.force_cancel_after
    return max(first, now + STOPPING) if now < build.finished_at + LOOK_BACK else None


def _doubling(waited: timedelta, bounds: tuple[timedelta, timedelta]) -> timedelta:
    """The time waited so far, within the bounds: the total doubles with each poll."""
    least, most = bounds
    return min(max(waited, least), most)
