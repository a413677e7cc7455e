"""What happened to a release as its page tells it: one chapter for each build, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from releases.timeline import TimelineItem


@dataclass(frozen=True)
class Step:
    """One thing of a chapter, and the page of what told of it."""

    at: datetime
    word: str
    cause_url: str


@dataclass(frozen=True)
class TimelineGroup:
    """A line of components/timeline.html."""

    at: datetime
    title: str
    detail: str
    tone: str
    url: str
    steps: tuple[Step, ...] = ()  # of a build, oldest first


def story(items: Sequence[TimelineItem]) -> tuple[TimelineGroup, ...]:
    """The chapters of a timeline (oldest first), newest first."""
    builds: dict[str, list[TimelineItem]] = {}
    chapters = []
    for item in items:
        if item.build_id:
            builds.setdefault(item.build_id, []).append(item)
        elif not _is_routine(item):
            chapters.append(_alone(item))
    chapters += [_of_build(heard) for heard in builds.values()]
    return tuple(sorted(chapters, key=lambda chapter: chapter.at)[::-1])


def _is_routine(item: TimelineItem) -> bool:
    """A message that got through: the page lists these by themselves."""
    return item.kind == "MESSAGE" and item.tone == "neutral"


def _alone(item: TimelineItem) -> TimelineGroup:
    return TimelineGroup(item.at, item.title, item.detail, item.tone, item.url)


def _of_build(items: Sequence[TimelineItem]) -> TimelineGroup:
    """Called by the last thing that moved it; what came late or was unusual stands below."""
    moved = [item for item in items if item.moved] or list(items)
    steps = tuple(Step(item.at, item.word, _page_of(item.cause)) for item in items)
    detail = " ".join(_told(items))
    last = moved[-1]
    return TimelineGroup(last.at, last.title, detail, last.tone, last.url, steps)


def _told(items: Iterable[TimelineItem]) -> Iterable[str]:
    """The words that came with the steps, each once."""
    return dict.fromkeys(item.said for item in items if item.said)


def _page_of(cause: str) -> str:
    if cause.startswith("whd_"):
        return reverse("delivery", args=[cause])
    return reverse("effect", args=[cause]) if cause else ""
