"""The timeline of a release: one list of events for the page and the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.effects.models import Effect, EffectState
from delivr.pages.statuses import look_of
from integrations.providers.ci import BuildStatus
from releases.marks import MUTED, MarkChange
from releases.messages.in_place import EDIT
from releases.models import (
    MOVING,
    Mark,
    Release,
    ReleasePipeline,
    ReleaseStatus,
    candidate_words,
)
from releases.readiness import ready_times
from releases.wording import describe_effect, web_address


@dataclass(frozen=True)
class TimelineItem:
    """One event. `kind` is RELEASE, BUILD, MESSAGE, TICKET or REPOSITORY; `tone` is as in
    `statuses.Look`."""

    at: datetime
    kind: str
    title: str
    detail: str = ""
    tone: str = "neutral"
    url: str = ""
    build_id: str = ""  # the build that it is about
    word: str = ""  # the title without the name of the build
    is_applied: bool = True  # False: the update came late, or only caused a poll
    note: str = ""  # the detail without its source
    cause: str = ""  # the id of the delivery or effect that reported it


def timeline(
    release: Release, effects: Iterable[Effect], marks: Iterable[MarkChange] = ()
) -> list[TimelineItem]:
    """All events, oldest first.

    Reads what `ReleaseQuerySet.with_everything` prefetched, the release's effects and its
    `mark_changes`; makes no queries.
    """
    effects = list(effects)
    items = [
        *_of_release(release),
        *_of_marks(release, marks),
        *_of_pipelines(release, effects),
        *(item for effect in effects for item in _of_effect(effect)),
    ]
    return sorted(items, key=lambda item: item.at)


def _of_release(release: Release) -> Iterator[TimelineItem]:
    by = release.created_by
    yield TimelineItem(
        at=release.created_at,
        kind="RELEASE",
        title=_("Release %(version)s created") % {"version": release.version},
        detail=_("by %(who)s") % {"who": by.called} if by else "",
    )
    for at in _ready_times(release):
        yield TimelineItem(
            at=at,
            kind="RELEASE",
            title=_("All builds complete: ready for submission"),
            tone="success",
        )
    if release.status == ReleaseStatus.CANCELLED:
        yield TimelineItem(at=release.updated_at, kind="RELEASE", title=_("Release cancelled"))


def _of_marks(release: Release, changes: Iterable[MarkChange]) -> Iterator[TimelineItem]:
    """The marks that it has, that it is muted, and all earlier changes of both."""
    told = {(one.mark, one.at): one for one in changes if one.by_stores}
    for mark in (*Mark.values, MUTED):
        at, by = getattr(release, f"{mark}_at"), getattr(release, f"{mark}_by")
        if at is not None:
            tone = "neutral" if mark == MUTED else "success"
            change = told.get((mark, at))
            title = _by_stores(change) if change else _MARKED[mark]
            yield _of_mark(title, at, by.called if by else "", tone=tone)
    for change in changes:
        is_current = change.at == getattr(release, f"{change.mark}_at")
        if change.is_set and is_current:
            continue
        texts = _MARKED if change.is_set else _REMOVED if change.is_removed else _DROPPED
        title = _by_stores(change) if change.by_stores else texts[change.mark]
        yield _of_mark(title, change.at, change.by)


def _by_stores(change: MarkChange) -> object:
    """What the stores said. A store that follows when the others have released takes no users
    away."""
    stores = {"stores": change.stores}
    if change.is_set and change.stores:
        return _("Released to all users: %(stores)s") % stores
    if change.stores:
        return _("Also submitted to %(stores)s") % stores
    return (_FOLLOWED if change.is_set else _LEFT)[change.mark]


def _of_mark(title: object, at: datetime, by: str, tone: str = "neutral") -> TimelineItem:
    detail = _("by %(who)s") % {"who": by} if by else ""
    return TimelineItem(at=at, kind="RELEASE", title=str(title), detail=detail, tone=tone)


_MARKED: dict[str, Any] = {
    Mark.SUBMITTED: gettext_lazy("Marked as submitted"),
    Mark.RELEASED: gettext_lazy("Marked as released"),
    MUTED: gettext_lazy("Messages muted"),
}
_FOLLOWED: dict[str, Any] = {
    Mark.SUBMITTED: gettext_lazy("Submitted to the stores"),
    Mark.RELEASED: gettext_lazy("Released to all users"),
}
_LEFT: dict[str, Any] = {
    Mark.SUBMITTED: gettext_lazy("No longer in the stores"),
    Mark.RELEASED: gettext_lazy("No longer available to all users"),
}
_REMOVED: dict[str, Any] = {
    Mark.SUBMITTED: gettext_lazy("Mark “submitted” removed"),
    Mark.RELEASED: gettext_lazy("Mark “released” removed"),
    MUTED: gettext_lazy("Messages unmuted"),
}
_DROPPED: dict[str, Any] = {
    Mark.SUBMITTED: gettext_lazy("No longer marked as submitted"),
    Mark.RELEASED: gettext_lazy("No longer marked as released"),
}


def _ready_times(release: Release) -> list[datetime]:
    """Each time it became ready: the last one as it was stored, the others derived from builds."""
    times = ready_times([pipeline.builds.all() for pipeline in release.pipelines.all()])
    return [*times[:-1], release.completed_at] if release.completed_at else times


def _of_pipelines(release: Release, effects: Iterable[Effect]) -> Iterator[TimelineItem]:
    triggers = {effect.build_id: effect.pk for effect in effects if effect.kind == "build.trigger"}
    for pipeline in release.pipelines.all():
        yield from _of_pipeline(pipeline, triggers)


def _of_pipeline(pipeline: ReleasePipeline, triggers: Mapping[str, str]) -> Iterator[TimelineItem]:
    platform = pipeline.title
    for build in pipeline.builds.all():
        trigger = triggers.get(build.pk, "")
        yield _began(build, platform, trigger)
        for event in build.events.all():
            if _is_shown(event):
                yield _update(event, build, platform, trigger)


def _is_shown(event: Any) -> bool:
    """False for events that only added details, and for webhooks that only caused a poll of a build
    in progress: the response to the poll has its own event."""
    is_hint = event.step == "ask" and event.from_status in MOVING
    return event.from_status != event.to_status and not is_hint


def _is_adopted(build: Any) -> bool:
    """True for a build that was started on the CI server and then adopted (`builds.adopting`)."""
    began = (BuildStatus.TRIGGERING, BuildStatus.QUEUED)
    return any(
        e.source == "PERSON" and e.from_status in began and e.to_status != BuildStatus.CANCELLED
        for e in build.events.all()
    )


def _began(build: Any, platform: str, trigger: str) -> TimelineItem:
    """The trigger of a build, or its adoption."""
    is_adopted = _is_adopted(build)
    title = _("%(build)s adopted") if is_adopted else _("%(build)s triggered")
    word = _("adopted %(by)s") if is_adopted else _("triggered %(by)s")
    by = _("by %(who)s") % {"who": build.started_by.called} if build.started_by else ""
    words = by
    if build.attempt > 1:
        words = _("Attempt %(number)d %(by)s") % {"number": build.attempt, "by": words}
    return TimelineItem(
        at=build.created_at,
        kind="BUILD",
        title=title % {"build": _name(platform, build, number=None)},
        detail=words.strip(),
        build_id=build.pk,
        word=(word % {"by": by}).strip(),
        cause=trigger,
    )


def _name(platform: str, build: Any, *, number: int | None) -> str:
    """`iOS build #245`, or with its candidate after the first: `iOS build #251 (RC 2)`."""
    name = _("%(platform)s build") % {"platform": platform}
    name = f"{name} #{number}" if number else name
    return f"{name} ({candidate_words(build.candidate)})" if build.candidate > 1 else name


def _update(event: Any, build: Any, platform: str, trigger: str) -> TimelineItem:
    name = _name(platform, build, number=build.number)
    status = BuildStatus(event.to_status)
    title = _TITLES.get(status, "%(build)s: %(status)s")
    word = _WORDS.get(status, "%(status)s")
    if event.step == "ask":
        title = _("%(build)s: “%(status)s” was reported; delivr asked the CI server to confirm")
        word = _("“%(status)s” reported; delivr asked the CI server")
    elif not event.applied:
        title = _("%(build)s: “%(status)s” was ignored")
        word = _("“%(status)s” ignored")
    words = {"build": name, "status": look_of(status, "build").label}
    source = event.get_source_display()
    return TimelineItem(
        at=event.at,
        kind="BUILD",
        title=title % words,
        detail=f"{source}: {event.detail}" if event.detail else source,
        tone=look_of(status, "build").tone if event.applied else "neutral",
        url=web_address(build.url),
        build_id=build.pk,
        word=word % words,
        is_applied=event.applied,
        note=event.detail,
        cause=event.delivery_id or (trigger if event.source == "TRIGGER" else ""),
    )


_TITLES = {
    BuildStatus.TRIGGERING: gettext_lazy("%(build)s: trigger retried"),
    BuildStatus.QUEUED: gettext_lazy("%(build)s queued"),
    BuildStatus.WAITING: gettext_lazy("%(build)s is waiting for approval"),
    BuildStatus.RUNNING: gettext_lazy("%(build)s started"),
    BuildStatus.SUCCESS: gettext_lazy("%(build)s complete"),
    BuildStatus.FAILURE: gettext_lazy("%(build)s failed"),
    BuildStatus.UNSTABLE: gettext_lazy("%(build)s is unstable: some tests failed"),
    BuildStatus.ABORTED: gettext_lazy("%(build)s was aborted"),
    BuildStatus.TRIGGER_FAILED: gettext_lazy("%(build)s could not be triggered"),
    BuildStatus.LOST: gettext_lazy("%(build)s no longer exists on the CI server"),
    BuildStatus.CANCELLED: gettext_lazy("%(build)s was cancelled"),
}


_WORDS = {
    BuildStatus.TRIGGERING: gettext_lazy("trigger retried"),
    BuildStatus.QUEUED: gettext_lazy("queued"),
    BuildStatus.WAITING: gettext_lazy("waiting for approval"),
    BuildStatus.RUNNING: gettext_lazy("started"),
    BuildStatus.SUCCESS: gettext_lazy("complete"),
    BuildStatus.FAILURE: gettext_lazy("failed"),
    BuildStatus.UNSTABLE: gettext_lazy("unstable"),
    BuildStatus.ABORTED: gettext_lazy("aborted"),
    BuildStatus.TRIGGER_FAILED: gettext_lazy("could not be triggered"),
    BuildStatus.LOST: gettext_lazy("lost"),
    BuildStatus.CANCELLED: gettext_lazy("cancelled"),
}


_KINDS = {
    "message.post": "MESSAGE",
    "message.edit": "MESSAGE",
    "ticket.create_epic": "TICKET",
    "ticket.comment": "TICKET",
    "ticket.move": "TICKET",
    "ticket.version": "TICKET",
    "ticket.fix_version": "TICKET",
    "ticket.release_version": "TICKET",
    "build.stop_repeat": "BUILD",
    "scm.create_branch": "REPOSITORY",
    "scm.tag": "REPOSITORY",
    "scm.draft_release": "REPOSITORY",
}


def _of_effect(effect: Effect) -> Iterator[TimelineItem]:
    """Settled effects; triggers are not included, because the build's events show them."""
    kind = _KINDS.get(effect.kind)
    settled = effect.state in (EffectState.DONE, EffectState.DEAD)
    if kind is None or not settled or effect.done_at is None:
        return
    failed = effect.state == EffectState.DEAD
    if effect.kind == EDIT and not failed:
        return  # what it says now is an event of its own
    not_done = _("Not done: %(what)s") if kind == "REPOSITORY" else _("Not sent: %(what)s")
    title = not_done if failed else "%(what)s"
    yield TimelineItem(
        at=effect.done_at,
        kind=kind,
        title=title % {"what": describe_effect(effect)},
        detail=effect.last_error,
        tone="danger" if failed else "neutral",
        url=web_address(effect.result.get("url", "")),
        cause=effect.pk,
    )
