"""The dry run of a release: what it would cause. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from delivr.tenants.models import User
from releases.branches import look_up_for_dry_run
from releases.effects import epic_for
from releases.models import Release, ReleasePipeline
from releases.notices import Notice, chat_of, is_posted, render
from releases.operations import ReleasePlan

BUILD_ID = "bld_…"  # the id is not known before the trigger
NUMBER = "…"  # the number is not known before the CI server starts the build


def preview(plan: ReleasePlan, *, user: User) -> dict[str, Any]:
    """The jobs with their parameters, the messages if all goes well, the epics, and whether the
    branch exists (network, a few seconds at most).

    Raises ValidationError with all errors, as `create_release` does.
    """
    release = plan.draft()
    pipelines = plan.draft_pipelines(release)
    head = look_up_for_dry_run(release.scm, release.branch, user=user)
    return {
        "version": release.version,
        "branch": release.branch,
        "head": head,
        "warnings": [f"{head.message} {head.hint}"] if head.exists is False else [],
        "jobs": [_job(pipeline) for pipeline in pipelines],
        "messages": list(_messages(release, pipelines)),
        "epics": [
            {"target_id": target.pk, "epic": epic_for(release, target)}
            for target in (plan.targets if release.ticket else [])
        ],
    }


def _job(pipeline: ReleasePipeline) -> dict[str, Any]:
    return {
        "pipeline_id": pipeline.pipeline_id,
        "platform": pipeline.platform,
        "platform_label": pipeline.get_platform_display(),
        "server_url": pipeline.pipeline.server_url,
        "job_path": pipeline.job_path,
        "parameters": pipeline.parameters_for(BUILD_ID),
    }


def _messages(release: Release, pipelines: list[ReleasePipeline]) -> Iterator[dict[str, Any]]:
    if release.communication is None:
        return
    chat = chat_of(release.communication)
    for notice, words in _notices(pipelines):
        if not is_posted(notice, chat):
            continue
        text = render(release, notice, {**words, "apps": ""}, chat=chat).text
        for channel in release.communication.recipients:
            is_first = notice is Notice.RELEASE_CREATED
            name = release.communication.channel_name(channel)
            yield {
                "channel": channel,
                "channel_name": name,
                "text": text,
                "is_first": is_first,
            }


def _notices(pipelines: list[ReleasePipeline]) -> Iterator[tuple[Notice, dict[str, Any]]]:
    """The notices in the order in which they would be sent."""
    builds = [{"platform": p.get_platform_display(), "number": NUMBER} for p in pipelines]
    yield Notice.RELEASE_CREATED, {}
    for notice in (Notice.BUILD_STARTED, Notice.BUILD_COMPLETE):
        for words in builds:
            yield notice, words
    yield Notice.RELEASE_COMPLETE, {}
