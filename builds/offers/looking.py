"""When the CI server is asked for builds that delivr did not start."""

from __future__ import annotations

import contextlib
import functools
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from delivr.effects import clock
from delivr.security.ratelimit import hit
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildStatus
from integrations.providers.scm import short_branch
from releases.models import MOVING, ReleasePipeline, ReleaseStatus
from releases.operations import job_of_branch

SOON = timedelta(seconds=3)  # several webhooks tell of one build: they are answered together
BLIND = 60  # seconds between two looks for all releases of a pipeline
MOST = 10  # of the releases that a pipeline builds, the newest


def open_parts(tenant_id: str) -> QuerySet[ReleasePipeline]:
    """Pipelines that need a build, of releases that still take one."""
    parts: QuerySet[ReleasePipeline] = ReleasePipeline.objects.for_tenant(tenant_id)
    return parts.filter(release__released_at=None).exclude(
        Q(release__status=ReleaseStatus.CANCELLED)
        | Q(build_status__in=[*MOVING, BuildStatus.SUCCESS])
    )


def look_after_report(pipeline: PipelineIntegration, *, branch: str) -> None:
    """Ask soon, because a report tells of a build that is not ours; if it names no branch, once in
    a while, since a busy job may report many. Call it outside of a transaction."""
    seconds = None if branch else hit(f"look for all:{pipeline.pk}", limit=1, window=BLIND)
    look_soon(pipeline, branch=branch, after=timedelta(seconds=seconds) if seconds else SOON)


def look_soon(pipeline: PipelineIntegration, *, branch: str = "", after: timedelta = SOON) -> None:
    """Ask soon, because there is a build that is not ours: for the releases of this branch, or for
    all where it is unknown."""
    soon = clock.now() + after
    parts = open_parts(pipeline.tenant_id).filter(
        Q(look_at=None) | Q(look_at__gt=soon),
        pipeline=pipeline,
        pipeline__disconnected_at=None,
    )
    newest = parts.select_related("release").order_by("-release__created_at")[:MOST]
    wanted = [part.pk for part in newest if _is_asked_for(part, pipeline, branch)]
    ReleasePipeline.objects.filter(pk__in=wanted).update(look_at=soon)


def _is_asked_for(part: ReleasePipeline, pipeline: PipelineIntegration, branch: str) -> bool:
    """Its branch is meant, and it is still built by the job that the pipeline has for it."""
    if branch and short_branch(part.release.branch) != branch:
        return False
    with contextlib.suppress(ValueError):
        return part.job_path == job_of_branch(pipeline, part.release.branch)
    return False


def look_soon_after_commit(pipeline: PipelineIntegration) -> None:
    """For callers that hold the locks of a release: those of other releases must not be taken
    within these, or two of them wait for each other."""
    transaction.on_commit(functools.partial(look_soon, pipeline), robust=True)
