"""When the CI server is asked about a build again: soon where something is expected, ever more
rarely where nothing happens, and for a day after a build was lost or failed."""

from __future__ import annotations

from datetime import datetime, timedelta

from builds.models import Build, TestBuild
from delivr.effects import clock
from integrations.providers.base import BuildStatus

# While it moves: (first pause, longest pause).
PAUSES = {
    BuildStatus.QUEUED: (timedelta(seconds=1), timedelta(seconds=10)),
    BuildStatus.WAITING: (timedelta(seconds=10), timedelta(minutes=1)),
    BuildStatus.RUNNING: (timedelta(seconds=10), timedelta(minutes=5)),
}
CLAIMED = (timedelta(seconds=2), timedelta(minutes=5))  # a webhook says that it ended
MISSED = (timedelta(seconds=10), timedelta(minutes=1))  # its job answers, but does not have it
AT_REST = (timedelta(minutes=1), timedelta(minutes=30))
LOOK_BACK = timedelta(days=1)  # how long a build is asked about that came to rest

# Somebody may start these again on the CI server.
FAILED = (BuildStatus.FAILURE, BuildStatus.UNSTABLE, BuildStatus.ABORTED)


def next_poll(build: Build | TestBuild) -> datetime | None:
    """When to ask again; None where no answer could change anything."""
    now = clock.now()
    if build.missing_since is not None and build.is_moving:
        return now + _as_long_again(now - build.missing_since, MISSED)
    if build.end_claimed_at is not None and now - build.end_claimed_at < LOOK_BACK:
        return now + _as_long_again(now - build.end_claimed_at, CLAIMED)
    if (pauses := PAUSES.get(BuildStatus(build.status))) is not None:
        first, longest = pauses
        return now + min(longest, first * 1.25 ** min(build.polls, 50))
    return _at_rest(build, now)


def _at_rest(build: Build | TestBuild, now: datetime) -> datetime | None:
    """A build that is lost may be seen again, one that failed may be retried on the CI server.
    A test build is not waited for."""
    is_open = build.status == BuildStatus.LOST or build.status in FAILED
    if isinstance(build, TestBuild) or not is_open or not build.finished_at:
        return None
    since = now - build.finished_at
    return now + _as_long_again(since / 2, AT_REST) if since < LOOK_BACK else None


def _as_long_again(waited: timedelta, bounds: tuple[timedelta, timedelta]) -> timedelta:
    """As long as it has lasted already, which doubles the time from question to question."""
    least, most = bounds
    return min(max(waited, least), most)
