"""What the page of one release shows, as plain values: made from rows that are already loaded.

Plain and frozen, so that its fingerprint tells whether a page that refreshes itself has anything
new to show.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from delivr.effects.models import Effect
from integrations.providers.base import BuildStatus
from integrations.providers.registry import provider_class
from releases.models import Release, ReleasePipeline, ReleaseStatus, ReleaseTarget
from releases.timeline import TimelineItem, timeline
from releases.wording import notice_words, web_address

BUILD_KINDS = ("build.trigger", "build.cancel", "build.stop_repeat")
YOUNG = timedelta(minutes=1)
FAR = timedelta(seconds=30)
SOON, LATER, AT_REST = 1, 15, 30  # seconds between two looks
LINES_UNFOLDED = 10  # of a log; more of them fold
LAST_PERCENT = 99  # a build that takes longer than the last ones is not done


@dataclass(frozen=True)
class Sent:
    """An effect: what became of something that must happen outside."""

    id: str
    state: str
    text: str
    channel: str
    attempts: int
    error: str
    hint: str
    next_at: datetime | None
    at: datetime
    url: str
    may_retry: bool
    in_doubt: bool  # it may have happened all the same: a retry looks before it sends again
    may_adopt: bool  # a trigger that gave up: a person may know the build's number

    @classmethod
    def of(cls, effect: Effect, now: datetime) -> Sent:
        return cls(
            id=effect.pk,
            state=effect.state,
            text=notice_words(effect.payload),
            channel=str(effect.payload.get("channel", "")),
            attempts=effect.attempts,
            error=effect.last_error,
            hint=effect.last_error_hint,
            next_at=effect.next_at if effect.is_open and effect.next_at > now else None,
            at=effect.done_at or effect.created_at,
            url=web_address(effect.result.get("url")),
            may_retry=effect.may_retry,
            in_doubt=_is_in_doubt(effect),
            may_adopt=_may_adopt(effect),
        )


@dataclass(frozen=True)
class Told:
    """The same words, told in one channel or several."""

    text: str
    sent: tuple[Sent, ...]  # one for each channel, by its name

    @property
    def at(self) -> datetime:
        return max(one.at for one in self.sent)

    @property
    def state(self) -> str:
        """That of all of them; "" where they differ."""
        states = {one.state for one in self.sent}
        return states.pop() if len(states) == 1 else ""


def _told(release: Release, effects: Iterable[Effect], now: datetime) -> tuple[Told, ...]:
    """The messages, in the order of their first channel."""
    groups: dict[str, list[Sent]] = {}
    for effect in effects:
        if effect.kind == "message.post":
            said = {**effect.payload, "channel": "", "channel_name": "", "build": effect.build_id}
            sent = Sent.of(effect, now)
            name = release.communication.channel_name(sent.channel) if release.communication else ""
            key = json.dumps(said, sort_keys=True, default=str)
            groups.setdefault(key, []).append(replace(sent, channel=name or sent.channel))
    return tuple(
        Told(group[0].text, tuple(sorted(group, key=lambda sent: sent.channel)))
        for group in groups.values()
    )


def _is_in_doubt(effect: Effect) -> bool:
    can_look = effect.last_error_code != "cannot_correlate"
    return effect.may_retry and effect.dispatched_at is not None and can_look


def _may_adopt(effect: Effect) -> bool:
    was_sent = effect.dispatched_at is not None
    return effect.may_retry and effect.kind == "build.trigger" and was_sent


@dataclass(frozen=True)
class Attempt:
    """One build of a pipeline."""

    number: int | None
    attempt: int
    status: str
    url: str
    by: str
    created_at: datetime
    took: timedelta | None

    @classmethod
    def of(cls, build: Any) -> Attempt:
        return cls(
            number=build.number,
            attempt=build.attempt,
            status=build.status,
            url=web_address(build.url),
            by=str(build.started_by or ""),
            created_at=build.created_at,
            took=_took(build),
        )


@dataclass(frozen=True)
class PipelineCard:
    """A pipeline of the release with its newest build."""

    id: str
    platform: str
    name: str
    provider: str
    provider_label: str
    job: str
    status: str
    number: int | None
    url: str
    log_url: str
    is_moving: bool
    may_trigger: bool
    queue_reason: str
    started_at: datetime | None
    took: timedelta | None
    percent: int | None
    remaining: str
    artifact: str
    artifact_url: str
    trouble: Sent | None
    reasons: str  # lines of its log
    reasons_error: str  # why there are none
    reads_log: bool
    reads_log_soon: bool  # for the first time
    build_id: str
    attempts: tuple[Attempt, ...]

    @property
    def name_tells_job(self) -> bool:
        return self.job in self.name

    @property
    def reasons_lines(self) -> int:
        return self.reasons.count("\n") + 1

    @property
    def reasons_are_long(self) -> bool:
        return self.reasons_lines > LINES_UNFOLDED


@dataclass(frozen=True)
class EpicLine:
    """The epic of one target: its key, or how far its making is."""

    target: str
    provider: str
    key: str
    url: str
    sent: Sent | None


@dataclass(frozen=True)
class Step:
    """A part of a release's way, for components/stepper.html."""

    label: str
    state: str


@dataclass(frozen=True)
class Overview:
    """The whole page."""

    status: str
    steps: tuple[Step, ...]  # none for a release that was cancelled
    advice: str
    is_moving: bool
    pause: int
    pipelines: tuple[PipelineCard, ...]
    epics: tuple[EpicLine, ...]
    messages: tuple[Told, ...]
    timeline: tuple[TimelineItem, ...]

    @property
    def may_trigger_all(self) -> bool:
        """More than one pipeline waits for its build; a single one has its own button."""
        return sum(p.may_trigger for p in self.pipelines) > 1

    @property
    def progress(self) -> str:
        done = sum(p.status == BuildStatus.SUCCESS for p in self.pipelines)
        words = {"done": done, "all": len(self.pipelines)}
        return _("%(done)d of %(all)d builds complete") % words


def overview(release: Release, effects: Sequence[Effect], *, now: datetime) -> Overview:
    """Needs a release of `with_everything` and all its effects; asks the database nothing."""
    pipelines = release.pipelines.all()
    cards = tuple(_card(release, p, effects, now) for p in pipelines)
    is_moving = (
        release.is_moving
        or any(effect.is_open for effect in effects)
        or any(card.reads_log for card in cards)
        or now - release.created_at < YOUNG
    )
    return Overview(
        status=release.status,
        steps=_steps(release.status),
        advice=_advice(release, pipelines),
        is_moving=is_moving,
        pause=_pause(release, cards, effects, now),
        pipelines=cards,
        epics=_epics(release, effects, now),
        messages=_told(release, effects, now),
        timeline=tuple(reversed([i for i in timeline(release, effects) if not _is_routine(i)])),
    )


def _is_routine(item: TimelineItem) -> bool:
    """A message that got through: the page lists these by themselves."""
    return item.kind == "MESSAGE" and item.tone == "neutral"


def _pause(
    release: Release, cards: Iterable[PipelineCard], effects: Sequence[Effect], now: datetime
) -> int:
    """Seconds between two looks: few while something moves, more where all that is open waits
    for a later try, many at rest (somebody else may set it in motion)."""
    if release.is_moving or now - release.created_at < YOUNG:
        return SOON
    waits = [e.next_at - now for e in effects if e.is_open]
    if any(wait < FAR for wait in waits) or any(card.reads_log_soon for card in cards):
        return SOON
    return LATER if waits or any(card.reads_log for card in cards) else AT_REST


def _steps(status: str) -> tuple[Step, ...]:
    """Kickoff, builds, ready: which of them is done, and where the release is."""
    here = {
        ReleaseStatus.KICKOFF_PENDING: 0,
        ReleaseStatus.BUILDING: 1,
        ReleaseStatus.BUILD_FAILED: 1,
        ReleaseStatus.BUILD_COMPLETE: 3,
    }.get(ReleaseStatus(status))
    if here is None:
        return ()
    labels = (_("Kickoff"), _("Builds"), _("Ready for submission"))
    states = ["DONE"] * here + ["CURRENT"] + ["TODO"] * 2
    return tuple(Step(label, state) for label, state in zip(labels, states, strict=False))


def _advice(release: Release, pipelines: Iterable[ReleasePipeline]) -> str:
    """One line: what a person does next."""
    if release.status == ReleaseStatus.BUILDING:
        if any(p.is_moving for p in pipelines):
            return _("Nothing to do: builds are on the way.")
        return _("Trigger the builds that are still missing.")
    return {
        ReleaseStatus.KICKOFF_PENDING: _("Trigger the builds when the branch is ready."),
        ReleaseStatus.BUILD_COMPLETE: _("Every build is there: submit them to the stores."),
        ReleaseStatus.BUILD_FAILED: _("Look at what failed, then trigger it again."),
        ReleaseStatus.CANCELLED: _("This release is cancelled: nothing is built any more."),
    }[ReleaseStatus(release.status)]


def _card(
    release: Release, pipeline: ReleasePipeline, effects: Sequence[Effect], now: datetime
) -> PipelineCard:
    connection = pipeline.pipeline
    builds: list[Any] = list(pipeline.builds.all())
    newest = builds[0] if builds else None
    percent, remaining = _progress(newest, now)
    return PipelineCard(
        id=pipeline.pipeline_id,
        platform=pipeline.get_platform_display(),
        name=str(connection),
        provider=connection.kind,
        provider_label=connection.kind_label,
        job=pipeline.job_path,
        status=pipeline.build_status,
        number=pipeline.build_number,
        url=web_address(pipeline.build_url),
        log_url=_log_url(connection, pipeline.build_url),
        is_moving=pipeline.is_moving,
        may_trigger=pipeline.needs_build and release.status != ReleaseStatus.CANCELLED,
        queue_reason=newest.queue_reason if newest and pipeline.is_moving else "",
        started_at=newest.started_at if newest else None,
        took=_took(newest) if newest else None,
        percent=percent,
        remaining=remaining,
        artifact=pipeline.artifact_url,
        artifact_url=web_address(pipeline.artifact_url),
        trouble=_trouble_of(newest, effects, now),
        reasons=newest.log_excerpt if newest else "",
        reasons_error=newest.log_error if newest else "",
        reads_log=bool(newest and newest.log_at),
        reads_log_soon=bool(newest and newest.log_at and not newest.log_tries),
        build_id=newest.pk if newest else "",
        attempts=tuple(Attempt.of(build) for build in builds),
    )


def _log_url(connection: Any, build_url: str) -> str:
    provider: Any = provider_class(connection.kind)
    address, path = web_address(build_url), provider.log_path
    return f"{address.rstrip('/')}/{path}" if address and path else ""


def _trouble_of(build: Any, effects: Sequence[Effect], now: datetime) -> Sent | None:
    """The trigger or a stop of the newest build, where it has something to tell."""
    if build is None:
        return None
    for effect in reversed(effects):
        if effect.build_id == build.pk and effect.kind in BUILD_KINDS and effect.last_error:
            return Sent.of(effect, now)
    return None


def _epics(release: Release, effects: Sequence[Effect], now: datetime) -> tuple[EpicLine, ...]:
    if release.ticket_id is None:
        return ()
    return tuple(_epic(target, effects, now) for target in release.targets.all())


def _epic(target: ReleaseTarget, effects: Sequence[Effect], now: datetime) -> EpicLine:
    sent = None
    for effect in effects:
        is_epic = effect.kind == "ticket.create_epic"
        if is_epic and effect.payload.get("target") == target.target_id:
            sent = Sent.of(effect, now)
    return EpicLine(
        target=str(target.target),
        provider=target.target.kind,
        key=target.epic_key,
        url=web_address(target.epic_url),
        sent=sent,
    )


def _took(build: Any) -> timedelta | None:
    if build.started_at is None or build.finished_at is None:
        return None
    took: timedelta = max(build.finished_at - build.started_at, timedelta(0))
    return took


def _progress(build: Any, now: datetime) -> tuple[int | None, str]:
    """How far a running build is, by the time that Jenkins expects it to take: percent and words.

    https://www.jenkins.io/doc/book/using/remote-access-api/ (estimatedDuration, in milliseconds)
    """
    if build is None or build.status != BuildStatus.RUNNING or build.started_at is None:
        return None, ""
    if not build.estimated_ms:
        return None, _("no estimate yet")
    total = timedelta(milliseconds=build.estimated_ms)
    left = build.started_at + total - now
    percent = min(max(int(100 * (1 - left / total)), 0), LAST_PERCENT)
    return percent, _left_words(left)


def _left_words(left: timedelta) -> str:
    minutes = round(left / timedelta(minutes=1))
    if left <= timedelta(0):
        return _("longer than usual")
    if minutes < 1:
        return _("less than a minute left")
    return _("about %(minutes)d min left") % {"minutes": minutes}
