"""Trigger builds: create their rows and the effects that start them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from builds.models import Build
from delivr.audit.operations import record_each
from delivr.effects import clock
from delivr.effects.operations import create_effects
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.providers.ci import BuildStatus
from releases.marks import refuse_released
from releases.models import Release, ReleasePipeline, ReleaseStatus
from releases.operations import lock_release, mirror_builds, recompute


@transaction.atomic
def trigger_builds(
    *,
    release: Release,
    actor: User | None,
    pipeline_id: str | None = None,
    platform: str | None = None,
    again: bool = False,
    after: Collection[str] | None = None,
) -> list[Build]:
    """Trigger a build of one pipeline, of one platform, or of all pipelines that still need one.

    `again` also builds what already succeeded, as another release candidate. `after` are the ids of
    the newest builds that the user saw: if there are newer ones, nothing is triggered.

    Creates the builds and the effects that trigger them; the CI server is called after the commit.
    Raises Conflict with code `build_in_progress`, `already_built`, `built_meanwhile`,
    `release_cancelled` or `already_released`, and NoSuchPipeline for a pipeline or platform that
    the release does not have.
    """
    release = lock_release(release.pk)
    if release.status == ReleaseStatus.CANCELLED:
        raise Conflict("release_cancelled", _("This release was cancelled."))
    refuse_released(release)
    chosen = _choose(release, pipeline_id, platform)
    wanted = [p for p in chosen if p.needs_build or (again and p.may_build_again)]
    if not wanted:
        raise _nothing_to_do(chosen)
    if after is not None and _newest(wanted) - set(after):
        raise Conflict(
            "built_meanwhile",
            _("Someone else has triggered this in the meantime. Reload the page."),
        )
    builds = _start(release, wanted, actor)
    recompute(release, cause=builds[0].pk)
    return builds


def _newest(pipelines: Sequence[ReleasePipeline]) -> set[str]:
    """The ids of the newest build of each of these pipelines."""
    builds = Build.objects.filter(release_pipeline__in=pipelines).order_by("attempt")
    return set(dict(builds.values_list("release_pipeline", "pk")).values())


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
        return Conflict("build_in_progress", _("A build is already in progress."))
    return Conflict("already_built", _("This is already built. There is nothing to trigger."))


def _start(
    release: Release, pipelines: Sequence[ReleasePipeline], actor: User | None
) -> list[Build]:
    """Create a new attempt for each pipeline with the effect that triggers it. The number of
    queries does not depend on the number of pipelines."""
    numbers, now = _next_numbers(pipelines), clock.now()
    builds = [_new_build(release, p, *numbers[p.pk], actor, now) for p in pipelines]
    Build.objects.bulk_create(builds)
    mirror_builds(builds)
    create_effects(
        tenant=release.tenant,
        kind="build.trigger",
        effects=[_trigger_of(release, build) for build in builds],
    )
    record_each(tenant=release.tenant, actor=actor, action="build.triggered", subjects=builds)
    return builds


def _next_numbers(pipelines: Sequence[ReleasePipeline]) -> dict[int, tuple[int, int]]:
    """(attempt, candidate) of the next build of each pipeline: the last candidate, or the next one
    if the last one succeeded."""
    built = Max("candidate", filter=Q(status=BuildStatus.SUCCESS), default=0)
    earlier = Build.objects.filter(release_pipeline__in=pipelines).order_by()
    rows = earlier.values_list("release_pipeline").annotate(
        Max("attempt"), Max("candidate"), built=built
    )
    found = {pk: (attempt + 1, max(last, done + 1)) for pk, attempt, last, done in rows}
    return {p.pk: found.get(p.pk, (1, 1)) for p in pipelines}


def _new_build(
    release: Release,
    pipeline: ReleasePipeline,
    attempt: int,
    candidate: int,
    actor: User | None,
    now: datetime,
) -> Build:
    build = Build(
        tenant=release.tenant,
        release_pipeline=pipeline,
        attempt=attempt,
        candidate=candidate,
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
