"""Poll builds without waiting until they are due."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from builds.models import Build
from builds.polling.poller import LOST_AFTER, LOST_WITHIN, poll_build
from delivr.tests.wired import fresh


def polled(build: Build, times: int = 1) -> Build:
    """The build after so many polls."""
    for _n in range(times):
        Build.objects.filter(pk=build.pk).update(poll_at=timezone.now())
        poll_build(build.pk)
    found: Build = fresh(build)
    return found


def offers(build: Build) -> list[dict[str, Any]]:
    """What may be adopted in its place."""
    found: list[dict[str, Any]] = fresh(build.release_pipeline).offers
    return found


def lost(build: Build) -> Build:
    """The build after its job answered "no such build" often and long enough for LOST."""
    polled(build, LOST_AFTER - 1)
    Build.objects.filter(pk=build.pk).update(missing_since=timezone.now() - LOST_WITHIN)
    return polled(build)


def running(build: Build) -> Build:
    row = polled(build, 3)
    assert (row.status, row.number) == ("RUNNING", 245)
    return row
