"""Trigger builds: their rows, and the promises to start them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from builds.models import Build
from delivr.audit.operations import record_each
from delivr.conflict import Conflict
from delivr.effects import clock
from delivr.effects.operations import promise_each
from delivr.tenants.models import User
from releases.models import Release, ReleasePipeline, ReleaseStatus
from releases.operations import lock_release, mirror_builds, recompute


@transaction.atomic
def trigger_builds(
    *,
    release: Release,
    actor: User | None,
    pipeline_id: str | None = None,
    platform: str | None = None,
) -> list[Build]:
    """Start a build for one pipeline, for one platform, or for all that still need one.

    Writes the builds and the promises of their triggers; Jenkins is called after the commit.
    Raises Conflict with code `build_in_progress`, `already_built` or `release_cancelled`, and
    NoSuchPipeline for a pipeline or platform that the release does not have.
    """
    release = lock_release(release.pk)
    if release.status == ReleaseStatus.CANCELLED:
        raise Conflict("release_cancelled", _("This release was cancelled."))
    chosen = _choose(release, pipeline_id, platform)
    wanted = [p for p in chosen if p.needs_build]
    if not wanted:
        raise _nothing_to_do(chosen)
    builds = _start(release, wanted, actor)
    recompute(release, cause=builds[0].pk)
    return builds


class NoSuchPipeline(LookupError):
    """The release has no such pipeline."""


def _choose(
    release: Release, pipeline_id: str | None, platform: str | None
) -> list[ReleasePipeline]:
    pipelines = release.pipelines.select_for_update(of=("self",)).order_by("id")
    if pipeline_id:
        pipelines = pipelines.filter(pipeline_id=pipeline_id)
    if platform:
        pipelines = pipelines.filter(platform=platform)
    found = list(pipelines.select_related("pipeline"))
    if not found:
        raise NoSuchPipeline
    return found


def _nothing_to_do(chosen: Sequence[ReleasePipeline]) -> Conflict:
    if any(pipeline.is_moving for pipeline in chosen):
        return Conflict("build_in_progress", _("A build is already on the way."))
    return Conflict("already_built", _("This is already built: nothing is left to trigger."))


def _start(
    release: Release, pipelines: Sequence[ReleasePipeline], actor: User | None
) -> list[Build]:
    """A new attempt for each, with the promise of its trigger: as many queries as for one."""
    earlier = Build.objects.filter(release_pipeline__in=pipelines).order_by()
    last = dict(earlier.values_list("release_pipeline").annotate(Max("attempt")))
    now = clock.now()
    builds = [_new_build(release, p, last.get(p.pk, 0) + 1, actor, now) for p in pipelines]
    Build.objects.bulk_create(builds)
    mirror_builds(builds)
    promise_each(
        tenant=release.tenant,
        kind="build.trigger",
        promises=[_trigger_of(release, build) for build in builds],
    )
    record_each(tenant=release.tenant, actor=actor, action="build.triggered", subjects=builds)
    return builds


def _new_build(
    release: Release, pipeline: ReleasePipeline, attempt: int, actor: User | None, now: datetime
) -> Build:
    build = Build(
        tenant=release.tenant,
        release_pipeline=pipeline,
        attempt=attempt,
        started_by=actor,
        created_at=now,
    )
    build.parameters = pipeline.parameters_for(build.pk)
    return build


def _trigger_of(release: Release, build: Build) -> dict[str, str]:
    return {
        "integration_id": build.release_pipeline.pipeline_id,
        "release_id": release.pk,
        "build_id": build.pk,
        "dedupe_key": f"build:{build.pk}:trigger",
    }
