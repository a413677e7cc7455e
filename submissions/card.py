"""The stores on a release's page, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet, prefetch_related_objects
from django.urls import reverse
from django.utils.translation import gettext as _

from delivr.effects.models import Effect
from delivr.json_rows import JsonRows, read_rows
from integrations.checks import state_of
from integrations.providers.stores import HAS_USERS, Act, SubmissionState
from releases.messages.sent import SentEffect
from releases.models import IN_STORES, Release, ReleaseStatus, ReleaseTarget
from releases.wording import web_address
from submissions.effects import ACT_NAMES
from submissions.health.models import HealthWatch, RolloutRule
from submissions.health.shown import HEALTH, HealthLines, health_of
from submissions.models import Submission, SubmissionEvent, store_of
from submissions.operations import must_wait, refusal_of, share_after
from submissions.plans import is_built, takes_submissions
from submissions.preflight import other_in_the_way
from submissions.states import IN_REVIEW

EVENTS_SHOWN = 5  # the newest ones
_NOT_WATCHED = HealthLines(figures=(), sources=(), rules=())
_CAREFUL = (Act.WITHDRAW, Act.HALT, Act.EXPIRE)  # red buttons
_EMPHASIZED = (Act.PUBLISH, Act.ADVANCE, Act.RESUME)


@dataclass(frozen=True)
class CheckLine:
    """See components/check.html; `url` is the store's page on which it is mended."""

    label: str
    state: str
    message: str
    hint: str
    url: str


@dataclass(frozen=True)
class ShareStep:
    """A step of a staged roll-out."""

    label: str
    state: str


@dataclass(frozen=True)
class ActButton:
    """What a person can do now, with what it will cause."""

    act: str
    seen: int  # how many acts were asked for before
    label: str
    consequence: str
    url: str
    variant: str


@dataclass(frozen=True)
class EventLine:
    at: datetime
    what: str
    by: str
    is_outside: bool


@dataclass(frozen=True)
class SubmissionLine:
    id: str
    state: str
    store_state: str
    build: str
    track: str
    percent: str
    day: int | None
    since: datetime
    next_step_at: datetime | None
    message: str
    hint: str
    url: str
    expedite_page: str  # while the store has not decided
    read_error: str
    shares: tuple[ShareStep, ...]
    acts: tuple[ActButton, ...]
    events: tuple[EventLine, ...]
    trouble: SentEffect | None
    health: HealthLines


@dataclass(frozen=True)
class StoreCard:
    """One target of the release, and where it stands in its store."""

    target_id: str
    name: str
    platform: str
    store: str
    console: str
    console_url: str
    is_built: bool
    may_submit: bool
    is_checking: bool
    checked_at: datetime | None
    is_ready: bool
    checks: tuple[CheckLine, ...]
    submission: SubmissionLine | None

    @property
    def blocking(self) -> tuple[CheckLine, ...]:
        return tuple(check for check in self.checks if check.state == "FAILED")

    @property
    def others(self) -> tuple[CheckLine, ...]:
        return tuple(check for check in self.checks if check.state != "FAILED")


def store_cards(
    release: Release, effects: Sequence[Effect], now: datetime
) -> tuple[StoreCard, ...]:
    """One for each target, once its builds are complete. Needs a release of `with_everything`;
    makes one query then, or three if the roll-out is watched, and none before."""
    parts = list(release.targets.all())
    if release.status == ReleaseStatus.CANCELLED or not any(map(_is_shown, parts)):
        return ()
    # Under a name of its own: the blockers prefetch the plain rows.
    prefetch_related_objects([release], Prefetch("submissions", _submissions(), "of_card"))
    of_card: list[Submission] = release.of_card  # type: ignore[attr-defined] # set just above
    current = [row for row in of_card if row.is_current]
    prefetch_related_objects([row for row in current if row.is_watched], *HEALTH)
    rows = {row.release_target_id: row for row in current}
    return tuple(
        _card(release, part, rows.get(part.pk), effects, now) for part in parts if _is_shown(part)
    )


def _submissions() -> QuerySet[Submission]:
    events = SubmissionEvent.objects.filter(submission=OuterRef("pk")).order_by("-at", "-id")
    rules = RolloutRule.objects.filter(submission=OuterRef("pk"))
    watches = HealthWatch.objects.filter(submission=OuterRef("pk"))
    every: Any = Submission.objects
    rows: QuerySet[Submission] = every.annotate(
        newest_events=JsonRows(events[:EVENTS_SHOWN], "at", "what", "by", "is_outside"),
        is_watched=Exists(rules) | Exists(watches),
    )
    return rows


def _is_shown(part: ReleaseTarget) -> bool:
    return is_built(part) or part.release.status in IN_STORES


def _card(
    release: Release,
    part: ReleaseTarget,
    row: Submission | None,
    effects: Sequence[Effect],
    now: datetime,
) -> StoreCard:
    store, target = store_of(part.target), part.target
    if row is not None:
        row.release, row.target, row.release_target = release, target, part
    preflight = getattr(part, "preflight", None)
    may_follow = row is None or row.may_be_followed
    return StoreCard(
        target_id=target.pk,
        name=str(target),
        platform=target.platform.label,
        store=store.label,
        console=store.console,
        console_url=target.console_url,
        is_built=is_built(part),
        may_submit=may_follow and is_built(part) and takes_submissions(release),
        is_checking=bool(preflight and preflight.look_at),
        checked_at=preflight.checked_at if preflight else None,
        is_ready=bool(preflight and preflight.is_ready),
        checks=tuple(map(check_line, preflight.checks)) if preflight else (),
        submission=_line(row, effects, now) if row else None,
    )


def check_line(check: dict[str, Any]) -> CheckLine:
    return CheckLine(
        label=check.get("label") or check["name"],
        state=str(state_of(check)),
        message=check["message"],
        hint=check["hint"],
        url=web_address(check.get("url", "")),
    )


def _line(row: Submission, effects: Sequence[Effect], now: datetime) -> SubmissionLine:
    mine = [e for e in effects if e.payload.get("submission") == row.pk]
    failed = [e for e in mine if e.last_error and e.state != "DONE"]
    return SubmissionLine(
        id=row.pk,
        state=row.state,
        store_state=row.store_state,
        build=row.store_build,
        track=row.track,
        percent=f"{row.percent:g}" if row.percent is not None else "",
        day=row.day,
        since=row.changed_at,
        next_step_at=row.next_step_at,
        message=row.message,
        hint=row.hint,
        url=web_address(row.store_url),
        expedite_page=store_of(row.target).expedite_page if row.state in IN_REVIEW else "",
        read_error=row.read_error,
        shares=_shares(row),
        acts=tuple(_acts(row, [e for e in mine if e.is_open])),
        events=tuple(
            EventLine(event.at, event.what, event.by, event.is_outside)
            for event in read_rows(SubmissionEvent, row.newest_events)
        ),
        trouble=SentEffect.of(failed[-1], now) if failed else None,
        health=health_of(row, now) if row.is_watched else _NOT_WATCHED,
    )


def _shares(row: Submission) -> tuple[ShareStep, ...]:
    """The steps of a roll-out, with where it is; empty without steps."""
    fixed = store_of(row.target).fixed_shares if row.is_phased else ()
    shares = [float(share) for share in (row.shares or fixed)]
    if row.state not in HAS_USERS:
        return tuple(ShareStep(f"{share:g} %", "TODO") for share in shares)
    reached = row.percent or 0.0
    is_over = row.state == SubmissionState.LIVE
    last = max((share for share in shares if share <= reached), default=0.0)
    return tuple(
        ShareStep(
            f"{share:g} %",
            "DONE" if share < last or is_over else "CURRENT" if share == last else "TODO",
        )
        for share in shares
    )


def _acts(row: Submission, on_their_way: Sequence[Effect]) -> list[ActButton]:
    """While a step or an act is on its way, it can only be given up, before it is submitted, or
    halted."""
    found = []
    for act in Act:
        is_held_up = row.submitted_at is not None and must_wait(act, on_their_way)
        if refusal_of(row, act) or is_held_up:
            continue
        variant = "danger" if act in _CAREFUL else "default"
        found.append(
            ActButton(
                act=act.value,
                seen=row.acts,
                label=str(ACT_NAMES[act]),
                consequence=consequence_of(row, act),
                url=reverse("submission_act", args=[row.pk]),
                variant="primary" if act in _EMPHASIZED else variant,
            )
        )
    return found


def consequence_of(row: Submission, act: Act) -> str:
    if act is Act.EXPIRE:
        check = other_in_the_way(row.release_target) or {"message": "", "subject": ""}
        plan = replace(row.plan, other_build=check["subject"])
        return f"{check['message']} {store_of(row.target).consequence(act, plan, row.seen)}"
    if row.submitted_at is None:
        return _("Nothing was submitted yet. delivr stops here; what it prepared stays as a draft.")
    plan = replace(row.plan, share=share_after(row, act))
    return store_of(row.target).consequence(act, plan, row.seen)
