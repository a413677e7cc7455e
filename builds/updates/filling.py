"""Fill in what an update adds to a build: its names, times, reason to wait, and artifacts."""

from __future__ import annotations

from typing import Any

from builds.addresses import safe_artifact_url, safe_build_url
from builds.models import Build, TestBuild
from builds.updates.update import BuildUpdate
from integrations.providers.ci import Artifact, BuildStatus


def fill(build: Build, update: BuildUpdate) -> bool:
    """Fill in values that were missing; True if there were any."""
    pipeline = build.release_pipeline.pipeline
    values = {
        "external_id": update.external_id,
        "queue_id": update.queue_id,
        "number": update.number,
        "url": safe_build_url(update.url, pipeline.home),
        "commit": update.commit[:64],
        "started_at": update.started_at,
        "server_started_at": update.started_at if update.is_authoritative else None,
        "estimated_ms": update.estimated_ms,
        "reported_status": update.reported,
    }
    fresh = {n: v for n, v in values.items() if v and not getattr(build, n)}
    if "server_started_at" in fresh:
        fresh["started_at"] = update.started_at  # replaces our estimate
    for name, value in fresh.items():
        setattr(build, name, value)
    build.queue_reason = reason_of(build, update)
    return fill_artifacts(build, update) or bool(fresh)


def reason_of(build: Build | TestBuild, update: BuildUpdate) -> str:
    """The reason why it waits, in the queue or for a person; "" if it does not wait."""
    if update.status == BuildStatus.LOST:
        return update.queue_reason[:300]
    if build.number is not None:
        waits = update.status in (BuildStatus.QUEUED, BuildStatus.WAITING)
        is_past = build.status == BuildStatus.RUNNING and update.status == BuildStatus.QUEUED
        if not build.is_moving or not waits or is_past:
            return ""
    return update.queue_reason[:300]


def fill_artifacts(build: Build, update: BuildUpdate) -> bool:
    """Store the build's artifacts; True if they are new. The URL of a signed report takes
    precedence over the one picked from the CI server's list, whichever came first."""
    named, before = safe_artifact_url(update.artifact_url), (build.artifact_url, build.artifacts)
    is_report = not update.is_authoritative
    if named and (is_report or not build.artifact_reported):
        build.artifact_url, build.artifact_reported = named, is_report
    listed = [
        _as_row(artifact, url)
        for artifact in update.artifacts
        if (url := safe_artifact_url(artifact.url))
    ]
    build.artifacts = listed or build.artifacts
    return before != (build.artifact_url, build.artifacts)


def _as_row(artifact: Artifact, url: str) -> dict[str, Any]:
    """As `Build.artifacts` stores it: without values that the CI server does not report."""
    told = {
        "key": artifact.key,
        "size": artifact.size,
        "checksum": artifact.digest,
        "expiresAt": artifact.expires_at.isoformat() if artifact.expires_at else "",
    }
    return {"name": artifact.name[:300], "url": url} | {n: v for n, v in told.items() if v}
