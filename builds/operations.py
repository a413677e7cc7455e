"""Trigger builds and move them by what is heard of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from builds.models import Build, BuildEvent, Source, TestBuild, Trust, WebhookDelivery
from builds.transitions import Move, move
from delivr.audit.operations import record_each
from delivr.conflict import Conflict
from delivr.effects import clock
from delivr.effects.operations import promise, promise_each
from delivr.outbound import OutboundError, origin
from delivr.tenants.models import User
from integrations.providers.base import BuildReport, BuildState, BuildStatus
from releases.models import MOVING, Release, ReleasePipeline, ReleaseStatus
from releases.notices import Notice, from_event, notify
from releases.operations import lock_release, mirror_build, mirror_builds, recompute

# A build is asked for often at first, then ever more rarely: (first pause, longest pause).
POLL_PAUSES = {
    BuildStatus.QUEUED: (timedelta(seconds=1), timedelta(seconds=10)),
    BuildStatus.RUNNING: (timedelta(seconds=10), timedelta(minutes=5)),
}


# --- Trigger -------------------------------------------------------------------------------------


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


# --- What is heard of a build --------------------------------------------------------------------


@dataclass(frozen=True)
class News:
    """One thing heard of a build: from its trigger's answer, a poll, a webhook."""

    status: BuildStatus
    source: Source
    queue_id: int | None = None
    number: int | None = None
    url: str = ""
    artifact_url: str = ""
    queue_reason: str = ""
    started_at: Any = None
    estimated_ms: int | None = None
    duration_ms: int | None = None
    delivery: WebhookDelivery | None = None
    detail: str = ""
    is_doorbell: bool = False  # its sender is not believed: only a reason to ask

    @property
    def is_truth(self) -> bool:
        return self.source != Source.WEBHOOK

    @classmethod
    def from_state(cls, state: BuildState, source: Source) -> News:
        return cls(
            status=state.status,
            source=source,
            queue_id=state.queue_id,
            number=state.number,
            url=state.url,
            artifact_url=state.artifact_url,
            queue_reason=state.queue_reason,
            started_at=state.started_at,
            estimated_ms=state.estimated_ms,
            duration_ms=state.duration_ms,
        )

    @classmethod
    def from_report(cls, report: BuildReport, delivery: WebhookDelivery) -> News:
        assert report.status is not None  # noqa: S101 # an unknown event never gets here
        return cls(
            status=report.status,
            source=Source.WEBHOOK,
            queue_id=report.queue_id,
            number=report.number,
            url=report.url,
            artifact_url=report.artifact_url,
            delivery=delivery,
            is_doorbell=delivery.trust != Trust.SIGNED,
        )


@transaction.atomic
def hear(build_id: str, news: News) -> Move:
    """Apply one piece of news under the locks, keep it as a BuildEvent, say what follows."""
    build = lock_build(build_id)
    before = build.status
    step = _step(build, news)
    had_number = build.number is not None
    filled = (step in _TOLD_OF_IT or news.is_truth) and _fill(build, news)
    if step is Move.GO:
        _go(build, news)
    elif step is Move.ASK:
        build.poll_at = clock.now()
    if step is not Move.FILL or filled:
        event = _keep(build, before, news, step)
    build.save()
    if (filled or step is Move.GO) and is_newest(build):
        mirror_build(build.release_pipeline, build=build)
    if step is Move.STOP:
        promise_stop(build, event)
    if step is Move.GO or _is_named_late(build, had_number):
        _tell(build, event)
    if step is Move.GO:
        recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)
    return step


def _step(build: Build, news: News) -> Move:
    """What the table says, and what else speaks against going on."""
    if news.is_doorbell:
        return Move.ASK
    step = move(build.status, news.status, is_truth=news.is_truth)
    if step is Move.GO and _is_unwanted(build, news.status):
        return Move.STOP
    if step is Move.GO and _is_taken(build, news.status):
        return Move.IGNORE
    return step


# Steps by which a webhook's number is that of our build; what is to be stopped needs one, too.
_TOLD_OF_IT = (Move.GO, Move.FILL, Move.STOP)


def _is_named_late(build: Build, had_number: bool) -> bool:
    """It runs already, and only now has the number under which its start can be told."""
    return build.status == BuildStatus.RUNNING and build.number is not None and not had_number


def promise_stop(build: Build, event: BuildEvent) -> None:
    """See to it that the CI server stops a build that we cancelled."""
    promise(
        tenant=build.tenant,
        kind="build.cancel",
        integration_id=build.release_pipeline.pipeline_id,
        release_id=build.release_pipeline.release_id,
        build_id=build.pk,
        dedupe_key=f"build:{build.pk}:cancel:{build.number or 'queue'}",
        payload=from_event(event.pk),
    )


def lock_build(build_id: str) -> Build:
    """Lock release, release pipeline and build, in this order everywhere."""
    known = Build.objects.select_related("release_pipeline").get(pk=build_id)
    release = lock_release(known.release_pipeline.release_id)
    pipeline = ReleasePipeline.objects.select_for_update(of=("self",)).get(
        pk=known.release_pipeline_id
    )
    pipeline.release = release
    build: Build = Build.objects.select_for_update(of=("self",)).get(pk=build_id)
    build.release_pipeline = pipeline
    return build


def is_newest(build: Build) -> bool:
    later = Build.objects.filter(
        release_pipeline=build.release_pipeline_id, attempt__gt=build.attempt
    )
    return not later.exists()


def _is_unwanted(build: Build, status: str) -> bool:
    """A build given up for lost shows signs of life after its release was cancelled."""
    is_cancelled = build.release_pipeline.release.status == ReleaseStatus.CANCELLED
    return is_cancelled and status in MOVING


def _is_taken(build: Build, status: str) -> bool:
    """A build given up for lost shows signs of life while a newer one is on the way."""
    return status in MOVING and not is_newest(build)


def _fill(build: Build, news: News) -> bool:
    """Take what is new to us; True if anything was."""
    pipeline = build.release_pipeline.pipeline
    values = {
        "queue_id": news.queue_id,
        "number": news.number,
        "url": safe_build_url(news.url, pipeline.jenkins_url),
        "artifact_url": safe_artifact_url(news.artifact_url),
        "started_at": news.started_at,
        "estimated_ms": news.estimated_ms,
    }
    fresh = {n: v for n, v in values.items() if v and not getattr(build, n)}
    for name, value in fresh.items():
        setattr(build, name, value)
    build.queue_reason = news.queue_reason[:300] if build.number is None else ""
    return bool(fresh)


def _go(build: Build, news: News) -> None:
    now = clock.now()
    build.status = news.status
    build.polls = build.misses = 0
    if news.status == BuildStatus.RUNNING:
        build.started_at = build.started_at or now
    build.finished_at = None if build.is_moving else end_of(build, news, now)
    build.poll_at = next_poll(build)


def end_of(build: Build | TestBuild, news: News, now: datetime) -> datetime:
    """When it ended, by the CI server's own account where it gives one; never in the future."""
    if build.started_at is None or not news.duration_ms:
        return now
    return min(now, build.started_at + timedelta(milliseconds=news.duration_ms))


def next_poll(build: Build | TestBuild) -> Any:
    """When to ask the CI server again; None for a build that has come to rest."""
    pauses = POLL_PAUSES.get(BuildStatus(build.status))
    if pauses is None:
        return None
    first, longest = pauses
    return clock.now() + min(longest, first * 1.25 ** min(build.polls, 50))


def _keep(build: Build, before: str, news: News, step: Move) -> BuildEvent:
    return BuildEvent.objects.create(
        tenant_id=build.tenant_id,
        build=build,
        source=news.source,
        from_status=before,
        to_status=news.status,
        applied=step in (Move.GO, Move.FILL),
        step=step,
        detail=(news.detail or news.queue_reason)[:300],
        delivery=news.delivery,
    )


def _tell(build: Build, event: BuildEvent) -> None:
    """The messages of a move: started once it has a number, then how it ended."""
    release = build.release_pipeline.release
    words = {
        "platform": build.release_pipeline.get_platform_display(),
        "number": build.number,
        "url": build.url,
    }
    if build.number is not None and build.status not in (BuildStatus.QUEUED, BuildStatus.LOST):
        notify(release, Notice.BUILD_STARTED, build_id=build.pk, event_id=event.pk, words=words)
    if build.is_moving:
        return
    reason = "" if build.status == BuildStatus.SUCCESS else status_words(build.status)
    if build.status == BuildStatus.SUCCESS:
        notice = Notice.BUILD_COMPLETE
    elif build.number is None:
        notice = Notice.BUILD_NOT_STARTED
    else:
        notice = Notice.BUILD_FAILED
    words["reason"] = reason
    notify(release, notice, build_id=build.pk, event_id=event.pk, words=words)


def status_words(status: str) -> str:
    """How a build ended, for people."""
    words = {
        BuildStatus.FAILURE: _("the build failed"),
        BuildStatus.UNSTABLE: _("unstable: some tests failed"),
        BuildStatus.ABORTED: _("it was aborted"),
        BuildStatus.LOST: _("the CI server does not know it any more"),
        BuildStatus.TRIGGER_FAILED: _("it could not be triggered"),
        BuildStatus.CANCELLED: _("it was cancelled"),
    }
    return words.get(BuildStatus(status), "")


@transaction.atomic
def trigger_failed(build_id: str, *, message: str) -> None:
    """The trigger gave up: the build shows why, and can be triggered again."""
    build = lock_build(build_id)
    if build.status != BuildStatus.TRIGGERING:
        return
    build.status, build.finished_at = BuildStatus.TRIGGER_FAILED, clock.now()
    build.poll_at = None
    build.save()
    news = News(status=BuildStatus.TRIGGER_FAILED, source=Source.TRIGGER, detail=message)
    event = _keep(build, BuildStatus.TRIGGERING, news, Move.GO)
    mirror_build(build.release_pipeline, build=build)
    _tell(build, event)
    recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)


def revive_build(build: Build) -> None:
    """A person retries the trigger. The caller holds the locks of `lock_build`."""
    news = News(status=BuildStatus.TRIGGERING, source=Source.PERSON)
    _keep(build, build.status, news, Move.GO)
    build.status, build.finished_at = BuildStatus.TRIGGERING, None
    build.save()
    mirror_build(build.release_pipeline, build=build)
    recompute(build.release_pipeline.release, cause=build.pk)


# --- Addresses from outside ----------------------------------------------------------------------


def safe_build_url(url: str, jenkins_url: str) -> str:
    """The build's address if it lies on our Jenkins, else nothing: it becomes a link."""
    if not url:
        return ""
    try:
        same = origin(url) == origin(jenkins_url)
    except OutboundError:  # no address at all, or one with a user's name in it
        return ""
    return url[:500] if same and url.startswith(("http://", "https://")) else ""


def safe_artifact_url(url: str) -> str:
    """http(s), s3 and gs addresses are kept; anything else is refused."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return ""
    printable = all(ord(c) > 32 and ord(c) != 127 for c in url)
    return url[:1000] if scheme in ("http", "https", "s3", "gs") and printable else ""
