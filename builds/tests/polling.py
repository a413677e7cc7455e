"""The poller's questions about a build, asked as if they were due."""

from __future__ import annotations

from django.utils import timezone

from builds.models import Build
from builds.polling.poller import LOST_AFTER, LOST_WITHIN, poll_build
from delivr.tests.wired import fresh


def asked(build: Build, times: int = 1) -> Build:
    """The build after it was asked about so often, each time as if it were due."""
    for _n in range(times):
        Build.objects.filter(pk=build.pk).update(poll_at=timezone.now())
        poll_build(build.pk)
    found: Build = fresh(build)
    return found


def lost(build: Build) -> Build:
    """The build after its job answered often enough, and over long enough, that it has none."""
    asked(build, LOST_AFTER - 1)
    Build.objects.filter(pk=build.pk).update(missing_since=timezone.now() - LOST_WITHIN)
    return asked(build)


def running(build: Build) -> Build:
    row = asked(build, 3)
    assert (row.status, row.number) == ("RUNNING", 245)
    return row
