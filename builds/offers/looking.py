"""When the CI server is asked for builds that delivr did not start."""

from __future__ import annotations

import functools
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from delivr.effects import clock
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildStatus
from integrations.providers.scm import short_branch
from releases.models import MOVING, ReleasePipeline, ReleaseStatus

SOON = timedelta(seconds=3)  # several webhooks tell of one build: they are answered together
MOST = 10  # of the releases that a pipeline builds, the newest


def open_parts(tenant_id: str) -> QuerySet[ReleasePipeline]:
    """Pipelines that need a build, of releases that still take one."""
    parts: QuerySet[ReleasePipeline] = ReleasePipeline.objects.for_tenant(tenant_id)
    return parts.filter(release__released_at=None).exclude(
        Q(release__status=ReleaseStatus.CANCELLED)
        | Q(build_status__in=[*MOVING, BuildStatus.SUCCESS])
    )


def look_soon(pipeline: PipelineIntegration, *, branch: str = "") -> None:
    """Ask soon, because there is a build that is not ours: for the releases of this branch, or for
    all where it is unknown."""
    soon = clock.now() + SOON
    parts = open_parts(pipeline.tenant_id).filter(
        Q(look_at=None) | Q(look_at__gt=soon),
        pipeline=pipeline,
        pipeline__disconnected_at=None,
        job_path=pipeline.job,
    )
    newest = parts.order_by("-release__created_at").values_list("pk", "release__branch")[:MOST]
    wanted = [pk for pk, name in newest if not branch or short_branch(name) == branch]
    ReleasePipeline.objects.filter(pk__in=wanted).update(look_at=soon)


def look_soon_after_commit(pipeline: PipelineIntegration, *, branch: str = "") -> None:
    """For callers that hold the locks of a release: those of other releases must not be taken
    within these, or two of them wait for each other."""
    transaction.on_commit(functools.partial(look_soon, pipeline, branch=branch), robust=True)
