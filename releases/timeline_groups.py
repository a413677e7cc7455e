"""The timeline of a release as its page shows it: one group for each build, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from releases.timeline import TimelineItem


@dataclass(frozen=True)
class Step:
    """One event of a group, and the page of what reported it."""

    at: datetime
    word: str
    cause_url: str


@dataclass(frozen=True)
class TimelineGroup:
    """An entry of components/timeline.html."""

    at: datetime
    title: str
    detail: str
    tone: str
    url: str
    steps: tuple[Step, ...] = ()  # of a build, oldest first


def group_by_build(items: Sequence[TimelineItem]) -> tuple[TimelineGroup, ...]:
    """Groups the items of a timeline (oldest first); the newest group comes first."""
    builds: dict[str, list[TimelineItem]] = {}
    groups = []
    for item in items:
        if item.build_id:
            builds.setdefault(item.build_id, []).append(item)
        elif not _is_routine(item):
            groups.append(_single(item))
    groups += [_of_build(of_build) for of_build in builds.values()]
    return tuple(sorted(groups, key=lambda group: group.at)[::-1])


def _is_routine(item: TimelineItem) -> bool:
    """True for a message that was sent: the page has its own list of messages."""
    return item.kind == "MESSAGE" and item.tone == "neutral"


def _single(item: TimelineItem) -> TimelineGroup:
    return TimelineGroup(item.at, item.title, item.detail, item.tone, item.url)


def _of_build(items: Sequence[TimelineItem]) -> TimelineGroup:
    """One group: the title of the last applied item, and the notes of all items."""
    applied = [item for item in items if item.is_applied] or list(items)
    steps = tuple(Step(item.at, item.word, _page_of(item.cause)) for item in items)
    detail = " ".join(_notes(items))
    last = applied[-1]
    return TimelineGroup(last.at, last.title, detail, last.tone, last.url, steps)


def _notes(items: Iterable[TimelineItem]) -> Iterable[str]:
    """The notes of the items, without duplicates."""
    return dict.fromkeys(item.note for item in items if item.note)


def _page_of(cause: str) -> str:
    if cause.startswith("whd_"):
        return reverse("delivery", args=[cause])
    return reverse("effect", args=[cause]) if cause else ""
