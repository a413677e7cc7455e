"""When a release became ready for submission, derived from its builds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from integrations.providers.ci import BuildStatus


def ready_times(pipelines: Sequence[Iterable[Any]]) -> list[datetime]:
    """Each time the release became ready, oldest first; `pipelines` are the builds of each of its
    pipelines.

    A release is ready from when the newest build of every pipeline has succeeded until one of them
    is built again.
    """
    steps = []
    for place, builds in enumerate(pipelines):
        for build in builds:
            is_success = build.status == BuildStatus.SUCCESS
            steps.append((build.created_at, build.attempt, place, False))
            if is_success and build.finished_at is not None:
                steps.append((build.finished_at, build.attempt, place, True))
    newest = [0] * len(pipelines)
    done = [False] * len(pipelines)
    found = []
    for at, attempt, place, is_done in sorted(steps):
        if attempt < newest[place]:
            continue  # an older build that ended late
        newest[place], done[place] = attempt, is_done
        if is_done and all(done):
            found.append(at)
    return found
