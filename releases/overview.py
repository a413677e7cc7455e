"""The page of one release as plain values, from rows that are already loaded.

The values are frozen, so that a fingerprint shows whether a page that refreshes itself is out of
date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.effects.models import Effect, EffectState
from integrations.providers.ci import BuildStatus
from releases.branches import BranchHead, head_of
from releases.cards import PipelineCard, card_of, unfolded
from releases.marks import MarkChange
from releases.messages.sent import EpicLine, SentMessage, epics, messages
from releases.models import IN_STORES, READY_OR_IN_STORES, Release, ReleaseStatus, candidate_words
from releases.repository.acts import CREATE_BRANCH
from releases.timeline import timeline
from releases.timeline_groups import TimelineGroup, group_by_build

YOUNG = timedelta(minutes=1)
FAR = timedelta(seconds=30)
SOON, LATER, AT_REST = 1, 15, 30  # seconds between two refreshes
MESSAGES_UNFOLDED = 6  # the newest ones
MESSAGES_LISTED = 100  # unfolded, too; all of them are under Activity


@dataclass(frozen=True)
class Step:
    """One step of components/stepper.html."""

    label: str
    state: str


@dataclass(frozen=True)
class StoreLink:
    """Where people continue with a release that is ready: the app in the store's console."""

    platform: str
    label: str
    url: str


@dataclass(frozen=True)
class Overview:
    """The whole page."""

    status: str
    stage: str  # the status with what people marked
    marked: str  # by whom and when, in words
    marked_at: datetime | None
    stores: tuple[StoreLink, ...]  # of a release that is ready
    steps: tuple[Step, ...]  # empty for a cancelled release
    advice: str
    is_moving: bool
    pause: int
    head: BranchHead
    pipelines: tuple[PipelineCard, ...]
    epics: tuple[EpicLine, ...]
    messages: tuple[SentMessage, ...]
    timeline: tuple[TimelineGroup, ...]

    @property
    def may_trigger(self) -> bool:
        """At least one pipeline needs a build."""
        return any(p.may_trigger for p in self.pipelines)

    @property
    def advice_if_held_up(self) -> str:
        """The advice while something holds up the builds."""
        if self.advice != _moving_advice(self.pipelines):
            return self.advice
        held_up = _("Something is holding up the builds.")
        return f"{held_up} {_not_triggered(self.pipelines)}".rstrip()

    @property
    def may_trigger_all(self) -> bool:
        """More than one pipeline needs a build; a single one has its own button."""
        return sum(p.may_trigger for p in self.pipelines) > 1

    @property
    def may_build_all_again(self) -> bool:
        """All of several pipelines succeeded; a single one has its own button."""
        return len(self.pipelines) > 1 and all(p.may_build_again for p in self.pipelines)

    @property
    def next_candidates(self) -> str:
        """The candidates that building all again would create: `RC 2`, or `iOS RC 3, Android
        RC 2`."""
        found = {p.next_candidate for p in self.pipelines}
        if len(found) == 1:
            return candidate_words(found.pop())
        each = (f"{p.title} {candidate_words(p.next_candidate)}" for p in self.pipelines)
        return ", ".join(each)

    @property
    def look_at(self) -> PipelineCard | None:
        """The first of several pipelines that needs a person's attention."""
        waiting = [p for p in self.pipelines if p.may_trigger and p.attempts]
        return waiting[0] if waiting and len(self.pipelines) > 1 else None

    @property
    def messages_shown(self) -> int:
        return unfolded(len(self.messages), MESSAGES_UNFOLDED)

    @property
    def messages_folded(self) -> int:
        return len(self.messages) - self.messages_shown

    @property
    def messages_listed(self) -> tuple[SentMessage, ...]:
        return self.messages[:MESSAGES_LISTED]

    @property
    def has_more_messages(self) -> bool:
        return len(self.messages) > MESSAGES_LISTED

    @property
    def progress(self) -> str:
        done = sum(p.status == BuildStatus.SUCCESS for p in self.pipelines)
        words = {"done": done, "all": len(self.pipelines)}
        return _("%(done)d of %(all)d builds complete") % words


def overview(
    release: Release,
    effects: Sequence[Effect],
    marks: Sequence[MarkChange] = (),
    *,
    now: datetime,
) -> Overview:
    """Needs a release of `with_everything`, its effects and its `mark_changes`; no queries."""
    pipelines = release.pipelines.all()
    cards = tuple(card_of(release, p, effects, now) for p in pipelines)
    is_moving = (
        release.is_moving
        or any(effect.is_open for effect in effects)
        or any(card.reads_log for card in cards)
        or now - release.created_at < YOUNG
    )
    marked_by, marked_at = _marked(release)
    return Overview(
        status=release.status,
        stage=release.stage,
        marked=marked_by,
        marked_at=marked_at,
        stores=_stores(release),
        steps=_steps(release.stage),
        advice=_advice_about_branch(release, effects) or _advice(release, cards),
        is_moving=is_moving,
        pause=_pause(release, cards, effects, now),
        head=head_of(release),
        pipelines=cards,
        epics=epics(release, effects, now),
        messages=messages(release, effects, now),
        timeline=group_by_build(timeline(release, effects, marks)),
    )


def _pause(
    release: Release, cards: Iterable[PipelineCard], effects: Sequence[Effect], now: datetime
) -> int:
    """Seconds between two refreshes: short while something is in progress, longer if everything
    open waits for a later attempt, longest if nothing is open (someone else may change it)."""
    if release.is_moving or now - release.created_at < YOUNG:
        return SOON
    waits = [e.next_at - now for e in effects if e.is_open]
    soon = any(card.reads_log_soon or card.is_looking for card in cards)
    if soon or any(wait < FAR for wait in waits):
        return SOON
    return LATER if waits or any(card.reads_log for card in cards) else AT_REST


def _steps(stage: str) -> tuple[Step, ...]:
    """The steps from the kickoff to the stores, with their states."""
    places: dict[str, int] = {
        ReleaseStatus.KICKOFF_PENDING: 0,
        ReleaseStatus.BUILDING: 1,
        ReleaseStatus.BUILD_FAILED: 1,
        ReleaseStatus.BUILD_COMPLETE: 2,
        ReleaseStatus.SUBMITTED: 3,
        ReleaseStatus.ROLLING_OUT: 3,
        ReleaseStatus.RELEASED: 4,
    }
    here = places.get(stage)
    if here is None:
        return ()
    labels = (_("Kickoff"), _("Builds"), _("Submission"), _("Release"))
    states = ["DONE"] * here + ["CURRENT"] + ["TODO"] * 3
    return tuple(Step(label, state) for label, state in zip(labels, states, strict=False))


def _marked(release: Release) -> tuple[str, datetime | None]:
    """Who marked it last, and when."""
    by, at = release.released_by, release.released_at
    if at is None:
        by, at = release.submitted_by, release.submitted_at
    return (by.called if by else ""), at


def _stores(release: Release) -> tuple[StoreLink, ...]:
    """The apps in the stores' consoles; a target that now has another app gets no link."""
    if release.status not in READY_OR_IN_STORES:
        return ()
    targets = (
        part.target
        for part in release.targets.all()
        if part.app_identifier in ("", part.target.app_identifier)
    )
    return tuple(StoreLink(t.platform.label, t.console, t.console_url) for t in targets)


def _advice_about_branch(release: Release, effects: Iterable[Effect]) -> str:
    """Builds wait for a branch that could not be created; "" otherwise."""
    failed = any(e.kind == CREATE_BRANCH and e.state == EffectState.DEAD for e in effects)
    if not failed or release.status == ReleaseStatus.CANCELLED:
        return ""
    return _(
        "The branch could not be created. Check the reason, then retry or continue without it."
    )


def _advice(release: Release, cards: Sequence[PipelineCard]) -> str:
    """What a person should do next, in one line."""
    if release.status in IN_STORES:
        return str(_IN_STORES[ReleaseStatus(release.status)])
    if release.stage in _OF_MARKS:
        return str(_OF_MARKS[release.stage])
    failed = [card for card in cards if card.may_trigger and card.attempts]
    if release.status == ReleaseStatus.BUILD_FAILED or failed:
        return _failed_advice(failed)
    if release.status == ReleaseStatus.BUILDING and any(card.is_moving for card in cards):
        return _moving_advice(cards)
    return {
        ReleaseStatus.BUILDING: _("Trigger the remaining builds."),
        ReleaseStatus.KICKOFF_PENDING: _("Trigger the builds when the branch is ready."),
        ReleaseStatus.BUILD_COMPLETE: _("All builds are ready: submit them to the stores."),
        ReleaseStatus.CANCELLED: _("This release was cancelled. No more builds can be triggered."),
    }[ReleaseStatus(release.status)]


_IN_STORES = {
    ReleaseStatus.SUBMITTED: gettext_lazy("Submitted. delivr follows the review in the stores."),
    ReleaseStatus.ROLLING_OUT: gettext_lazy("The release is on its way to the users."),
    ReleaseStatus.RELEASED: gettext_lazy("This version has been released."),
}
_OF_MARKS = {
    "SUBMITTED": gettext_lazy("Submitted to the stores. Mark it as released once it is live."),
    "RELEASED": gettext_lazy("This version has been released."),
}


def _moving_advice(cards: Sequence[PipelineCard]) -> str:
    if missing := _not_triggered(cards):
        return f"{_('Builds are in progress.')} {missing}"
    return _("Nothing to do: builds are in progress.")


def _not_triggered(cards: Sequence[PipelineCard]) -> str:
    """Which builds are missing, as a sentence; "" if none is."""
    missing = ", ".join(card.title for card in cards if card.may_trigger)
    return _("Not triggered yet: %(builds)s.") % {"builds": missing} if missing else ""


def _failed_advice(failed: Sequence[PipelineCard]) -> str:
    if len(failed) != 1:
        return _("Check what failed, then trigger it again.")
    [card] = failed
    words = {"platform": card.title}
    if card.still_good:
        words |= {"new": candidate_words(card.candidate), "old": candidate_words(card.still_good)}
        return (
            _(
                "%(platform)s %(new)s did not succeed. Trigger it again, or submit %(old)s, "
                "which is still available."
            )
            % words
        )
    if card.status == BuildStatus.TRIGGER_FAILED:
        return _("%(platform)s was not triggered. Check the reason, then try again.") % words
    return _("%(platform)s did not succeed. Check the reason, then trigger it again.") % words
