"""The dry run of a release: what it would cause. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from django.utils.translation import gettext as _

from delivr.tenants.models import User
from integrations.models import CommunicationIntegration
from releases.branches import BranchHead, look_up_for_dry_run
from releases.messages.events import Notice
from releases.messages.notices import render
from releases.messages.rules import Rule, chat_of, rule_for
from releases.messages.standing import name_among
from releases.models import Release, ReleasePipeline
from releases.operations import ReleasePlan
from releases.repository.acts import host_of, tag_of
from releases.repository.models import RepositoryPart
from releases.tickets.preview import tickets_preview
from releases.tickets.texts import epic_for

BUILD_ID = "bld_…"  # the id is not known before the trigger
UNKNOWN_COMMIT = "…"  # the branch is still to be created, or could not be looked up
CHANNELS_NAMED = 3
NUMBER = "…"  # the number is not known before the CI server starts the build


def preview(plan: ReleasePlan, *, user: User) -> dict[str, Any]:
    """The jobs with their parameters, the messages if all goes well, the epics, and whether the
    branch exists (network, a few seconds at most).

    Raises ValidationError with all errors, as `create_release` does.
    """
    release = plan.draft()
    pipelines = plan.draft_pipelines(release)
    part = plan.repository
    head = _head(release, part, user)
    messages = list(_messages(release, pipelines, plan.communications))
    return {
        "version": release.version,
        "branch": release.branch,
        "head": head,
        "warnings": [f"{head.message} {head.hint}"] if head.exists is False else [],
        "repository": {"steps": list(_steps(release, part))},
        "tickets": tickets_preview(release, plan.ticket_part, user=user),
        "jobs": [_job(pipeline, _commit(head, part)) for pipeline in pipelines],
        "messages": messages,
        "told": list(_told(messages)),
        "epics": [
            {"target_id": target.pk, "epic": epic_for(release, target)}
            for target in (plan.targets if release.ticket else [])
        ],
    }


def _head(release: Release, part: RepositoryPart, user: User) -> BranchHead:
    """The branch that has to exist already: the base of one that delivr creates. The repository's
    default branch always exists."""
    if not part.creates_branch:
        return look_up_for_dry_run(release.scm, release.branch, user=user)
    if part.base_branch:
        return look_up_for_dry_run(release.scm, part.base_branch, user=user)
    return BranchHead(name=release.branch, exists=None)


def _steps(release: Release, part: RepositoryPart) -> Iterator[str]:
    words = {
        "branch": release.branch,
        "base": part.base_branch or _("the default branch"),
        "tag": tag_of(release.version),
    }
    if part.creates_branch:
        yield _("Immediately: %(branch)s is cut from %(base)s; builds wait for it.") % words
    if part.makes_tag:
        yield _("When all builds are complete: the tag %(tag)s.") % words
    if part.drafts_release:
        sentence = _("When all builds are complete: a draft of the release %(tag)s.") % words
        yield f"{sentence} {host_of(release).draft_note}".strip()


def _commit(head: BranchHead, part: RepositoryPart) -> str:
    """The commit that builds would be told: that of a branch that is there already."""
    return UNKNOWN_COMMIT if part.creates_branch or not head.commit else head.commit


def _job(pipeline: ReleasePipeline, commit: str) -> dict[str, Any]:
    return {
        "pipeline_id": pipeline.pipeline_id,
        "platform": pipeline.platform,
        "platform_label": pipeline.get_platform_display(),
        "server_url": pipeline.pipeline.server_url,
        "job_path": pipeline.job_path,
        "ci": pipeline.pipeline.kind_label,
        "parameters": pipeline.parameters_for(BUILD_ID, commit=commit),
    }


def _messages(
    release: Release,
    pipelines: list[ReleasePipeline],
    communications: list[CommunicationIntegration],
) -> Iterator[dict[str, Any]]:
    """The messages in the order in which they would be sent, as `notify` would; with
    what a message about a build is edited to."""
    begun: set[tuple[str, str, int]] = set()  # connection, channel and pipeline
    for notice, number, words in _notices(pipelines):
        for communication in communications:
            chat = chat_of(communication)
            text = render(release, notice, {**words, "apps": ""}, chat=chat).text
            for channel in communication.channels:
                rule = rule_for(communication, channel, notice)
                place = communication.pk, channel, number
                if rule == Rule.OFF:
                    continue
                is_edit = chat.edits_in_place and rule == Rule.THREAD and place in begun
                if words:
                    begun.add(place)
                yield {
                    "communication_id": communication.pk,
                    "communication_name": communication.called,
                    "channel": channel,
                    "channel_name": communication.channel_name(channel),
                    "place": communication.full_name_of(channel),
                    "text": text,
                    "is_first": notice is Notice.RELEASE_CREATED,
                    "is_edit": is_edit,
                }


def _told(messages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For pages: each text once, with its channels by connection; their names only if there are
    several."""
    several = len({one["communication_id"] for one in messages}) > 1
    for _same, group in groupby(messages, key=lambda one: (one["text"], one["is_edit"])):
        places: dict[str, list[str]] = {}
        for one in group:
            name = one["communication_name"] if several else ""
            is_said = bool(name) and one["place"] == name
            places.setdefault(name, []).append("" if is_said else one["channel_name"])
        where = [f"{name} {_few(channels)}".strip() for name, channels in places.items()]
        told = {name: one[name] for name in ("text", "is_first", "is_edit")}
        yield {**told, "where": " · ".join(where)}


def _few(channels: list[str]) -> str:
    """The first ones, and how many more there are."""
    named, more = ", ".join(channels[:CHANNELS_NAMED]), len(channels) - CHANNELS_NAMED
    return _("%(named)s and %(more)d more") % {"named": named, "more": more} if more > 0 else named


def _notices(pipelines: list[ReleasePipeline]) -> Iterator[tuple[Notice, int, dict[str, Any]]]:
    """The notices in the order in which they would be sent, with the number of the pipeline."""
    yield Notice.RELEASE_CREATED, 0, {}
    for notice in (Notice.BUILD_QUEUED, Notice.BUILD_STARTED, Notice.BUILD_COMPLETE):
        for number, part in enumerate(pipelines):
            words = {
                "platform": part.get_platform_display(),
                "number": "" if notice == Notice.BUILD_QUEUED else NUMBER,
                "pipeline": name_among(part, pipelines),
            }
            yield notice, number, words
    yield Notice.RELEASE_COMPLETE, 0, {}
