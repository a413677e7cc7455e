"""Move builds by what is heard of them: one door for answers, polls and webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from builds.addresses import safe_artifact_url, safe_build_url
from builds.models import Build, BuildEvent, Source, TestBuild, Trust, WebhookDelivery
from builds.next_poll import next_poll
from builds.stopping import promise_stop
from builds.transitions import Move, move
from delivr.effects import clock
from integrations.providers.base import Artifact, BuildReport, BuildState, BuildStatus
from releases.models import MOVING, ReleasePipeline, ReleaseStatus
from releases.notices import Notice, notify
from releases.operations import lock_release, mirror_build, recompute


@dataclass(frozen=True)
class News:
    """One thing heard of a build: from its trigger's answer, a poll, a webhook."""

    status: BuildStatus
    source: Source
    queue_id: int | None = None
    number: int | None = None
    url: str = ""
    artifact_url: str = ""
    artifacts: Sequence[Artifact] = ()
    queue_reason: str = ""
    started_at: Any = None
    estimated_ms: int | None = None
    duration_ms: int | None = None
    delivery: WebhookDelivery | None = None
    detail: str = ""
    is_doorbell: bool = False  # its sender is not believed: only a reason to ask
    is_bare: bool = False  # it names the build by nothing but its number

    @property
    def is_truth(self) -> bool:
        return self.source != Source.WEBHOOK

    @property
    def is_end(self) -> bool:
        return self.status not in MOVING

    @classmethod
    def from_state(cls, state: BuildState, source: Source) -> News:
        return cls(
            status=state.status,
            source=source,
            queue_id=state.queue_id,
            number=state.number,
            url=state.url,
            artifact_url=state.artifact_url,
            artifacts=state.artifacts,
            queue_reason=state.queue_reason,
            started_at=state.started_at,
            estimated_ms=state.estimated_ms,
            duration_ms=state.duration_ms,
        )

    @classmethod
    def from_report(cls, report: BuildReport, delivery: WebhookDelivery) -> News:
        return cls(
            status=report.status or BuildStatus.RUNNING,  # what only asks claims no end
            source=Source.WEBHOOK,
            queue_id=report.queue_id,
            number=report.number,
            url=report.url,
            artifact_url=report.artifact_url,
            delivery=delivery,
            is_doorbell=report.asks or delivery.trust != Trust.SIGNED,
            is_bare=not report.build_id and report.queue_id is None,
        )


_LOOKED_UP = (Source.POLL, Source.WEBHOOK)  # whose build it is was told before the locks


@transaction.atomic
def hear(build_id: str, news: News) -> Move:
    """Apply one piece of news under the locks, keep it as a BuildEvent, say what follows."""
    build = lock_build(build_id)
    if news.source in _LOOKED_UP and build.is_another(number=news.number, queue_id=news.queue_id):
        return Move.IGNORE  # a person took another one on meanwhile
    before = build.status
    step = _step(build, news)
    had_number = build.number is not None
    filled = (step in _TOLD_OF_IT or news.is_truth) and _fill(build, news)
    _note_claim(build, news, step)
    if step is Move.GO:
        _go(build, news)
    elif step is Move.ASK:
        build.poll_at = clock.now()
    event = _keep(build, before, news, step) if _is_worth_keeping(news, step, filled) else None
    if step is Move.GO or (build.number is not None and not had_number):
        _want_log(build)
    build.save()
    if filled or step is Move.GO:
        mirror_if_newest(build)
    if step is Move.STOP and event is not None:
        promise_stop(build, event)
    if event is not None and (step is Move.GO or _is_named_late(build, had_number)):
        _tell(build, event)
    if step is Move.GO and event is not None:
        recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)
    return step


def _is_worth_keeping(news: News, step: Move, filled: bool) -> bool:
    """Not what says nothing new, nor what each answer says again of a build that came to rest."""
    if step is Move.FILL:
        return filled
    return not (step is Move.IGNORE and news.source == Source.POLL)


def _step(build: Build, news: News) -> Move:
    """What the table says, and what else speaks against going on."""
    if news.is_doorbell:
        return Move.ASK
    step = move(build.status, news.status, is_truth=news.is_truth)
    if step is Move.GO and _is_unwanted(build, news.status):
        return Move.STOP
    if step is Move.GO and _is_taken(build, news.status):
        return Move.IGNORE
    if step is Move.FILL and not build.is_moving and _is_doubtful(build, news):
        return Move.ASK
    return step


def _is_doubtful(build: Build, news: News) -> bool:
    """A bare number may by now be another build's: the artifact that it adds to a build at rest is
    taken only once the CI server still knows the build (`builds.deliveries.settle_asked`)."""
    adds = safe_artifact_url(news.artifact_url) not in ("", build.artifact_url)
    return adds and not news.is_truth and news.is_bare and build.is_confirmed


def _note_claim(build: Build, news: News, step: Move) -> None:
    """Whether an end was claimed that the CI server has yet to confirm, and what it confirms."""
    if news.is_truth:
        if news.is_end:
            build.end_claimed_at, build.is_confirmed = None, True
    elif news.is_end and step in (Move.GO, Move.ASK):
        build.end_claimed_at = clock.now()
        build.is_confirmed = build.is_confirmed and step is Move.ASK


# Steps by which a webhook's number is that of our build; what is to be stopped needs one, too.
_TOLD_OF_IT = (Move.GO, Move.FILL, Move.STOP)


def _is_named_late(build: Build, had_number: bool) -> bool:
    """It runs already, and only now has the number under which its start can be told."""
    return build.status == BuildStatus.RUNNING and build.number is not None and not had_number


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


def mirror_if_newest(build: Build) -> None:
    """Let the release pipeline show the build, unless a newer one took its place."""
    if is_newest(build):
        mirror_build(build.release_pipeline, build=build)


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
        "started_at": news.started_at,
        "server_started_at": news.started_at if news.is_truth else None,
        "estimated_ms": news.estimated_ms,
    }
    fresh = {n: v for n, v in values.items() if v and not getattr(build, n)}
    if "server_started_at" in fresh:
        fresh["started_at"] = news.started_at  # ours was a guess
    for name, value in fresh.items():
        setattr(build, name, value)
    build.queue_reason = news.queue_reason[:300] if build.number is None else ""
    return fill_artifacts(build, news) or bool(fresh)


def fill_artifacts(build: Build, news: News) -> bool:
    """Keep what the build made; True if it is new. What a signed report names is better than what
    was picked from the CI server's list, whichever came first."""
    named, before = safe_artifact_url(news.artifact_url), (build.artifact_url, build.artifacts)
    is_report = not news.is_truth
    if named and (is_report or not build.artifact_reported):
        build.artifact_url, build.artifact_reported = named, is_report
    listed = [
        {"name": artifact.name[:300], "url": url}
        for artifact in news.artifacts
        if (url := safe_artifact_url(artifact.url))
    ]
    build.artifacts = listed or build.artifacts
    return before != (build.artifact_url, build.artifacts)


def _go(build: Build, news: News) -> None:
    now = clock.now()
    build.status = news.status
    build.polls = build.misses = 0
    build.missing_since = None
    if news.status == BuildStatus.RUNNING:
        build.started_at = build.started_at or now
    build.finished_at = None if build.is_moving else end_of(build, news, now)
    build.poll_at = next_poll(build)


_TOLD_BY_LOG = (BuildStatus.FAILURE, BuildStatus.UNSTABLE, BuildStatus.ABORTED)


def _want_log(build: Build) -> None:
    """Have the log read where it tells why the build ended so; forget what was read before."""
    is_told = build.status in _TOLD_BY_LOG and build.number is not None
    build.log_at = clock.now() if is_told else None
    build.log_tries, build.log_excerpt, build.log_error = 0, "", ""


def end_of(build: Build | TestBuild, news: News, now: datetime) -> datetime:
    """When it ended, by the CI server's own account where it gives one; never in the future."""
    if build.started_at is None or not news.duration_ms:
        return now
    return min(now, build.started_at + timedelta(milliseconds=news.duration_ms))


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
        "candidate": build.candidate,
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
    # A build that was lost may be seen again and end otherwise: that is told, too.
    cause = "lost" if build.status == BuildStatus.LOST else ""
    notify(release, notice, build_id=build.pk, cause=cause, event_id=event.pk, words=words)


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
def disown(build_id: str, *, reason: str) -> None:
    """The CI server has another build under our number: undo an end that only a webhook told of.

    What was read from the CI server itself before stays as it was.
    """
    build = lock_build(build_id)
    if build.is_confirmed or build.is_moving:
        return
    news = News(status=BuildStatus.LOST, source=Source.POLL, detail=reason)
    before, build.artifact_url, build.artifacts = build.status, "", []
    build.artifact_reported, build.is_confirmed, build.end_claimed_at = False, True, None
    _go(build, news)
    _want_log(build)
    build.save()
    event = _keep(build, before, news, Move.GO)
    mirror_if_newest(build)
    _tell(build, event)
    recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)


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
