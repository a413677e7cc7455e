"""What follows a release in its ticket system, on its page, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delivr.effects.models import Effect, EffectState
from releases.messages.sent import SentEffect
from releases.models import Release
from releases.repository.card import StepLine
from releases.tickets.acts import (
    COMMENT,
    LINK,
    MOVE,
    ON_EPIC,
    PLAN,
    RELEASE_VERSION,
    VERSION,
    ticket_part_of,
)
from releases.tickets.models import TicketPart
from releases.wording import web_address

SHOWN = 20  # tickets of each kind; the ticket system has the others


@dataclass(frozen=True)
class OpenTicket:
    key: str
    title: str
    status: str
    url: str


@dataclass(frozen=True)
class VersionFacts:
    """The version as it was last looked up, and what became of the tickets of the changes."""

    name: str
    url: str
    is_released: bool
    total: int | None
    not_done: int | None
    open_tickets: tuple[OpenTicket, ...]
    added: tuple[str, ...]
    elsewhere: tuple[str, ...]
    unknown: tuple[str, ...]
    refused: Mapping[str, str]
    looked_at: datetime | None
    note: str

    @classmethod
    def of(cls, release: Release, part: TicketPart, effects: Sequence[Effect]) -> VersionFacts:
        results = [e.result for e in effects if e.kind == PLAN and e.state == EffectState.DONE]
        ticket = release.ticket
        page_of = ticket.page_of if ticket else str

        def keys(name: str) -> tuple[str, ...]:
            return tuple(sorted({key for result in results for key in result.get(name, ())}))

        return cls(
            name=part.version_name or release.version,
            url=web_address(part.version_url),
            is_released=part.version_released,
            total=part.total,
            not_done=part.not_done,
            open_tickets=tuple(
                OpenTicket(**{**one, "url": web_address(page_of(one["url"]))})
                for one in part.open_tickets
            ),
            added=keys("added"),
            elsewhere=keys("elsewhere"),
            unknown=keys("unknown"),
            refused={key: why for r in results for key, why in r.get("refused", {}).items()},
            looked_at=part.looked_at,
            note=part.note,
        )

    @property
    def more(self) -> int:
        """Tickets that are not done, beyond those that are listed."""
        return max((self.not_done or 0) - len(self.open_tickets), 0)

    @property
    def summary(self) -> str:
        """`3 of 12 tickets are not done`; "" if not looked up yet."""
        if self.not_done is None or self.total is None:
            return ""
        if not self.total:
            return _("It has no tickets yet.")
        if not self.not_done:
            words = ngettext(
                "Its ticket is done.", "All of its %(count)d tickets are done.", self.total
            )
            return words % {"count": self.total}
        words = ngettext(
            "%(open)d of %(total)d ticket is not done.",
            "%(open)d of %(total)d tickets are not done.",
            self.not_done,
        )
        return words % {"open": self.not_done, "total": self.total}


@dataclass(frozen=True)
class TicketCard:
    """`steps` are what was done about the version, `troubles` what failed at the epics."""

    steps: tuple[StepLine, ...]
    version: VersionFacts | None
    troubles: tuple[StepLine, ...]
    warns: bool  # tickets are not done, and the release is not out yet

    @property
    def is_shown(self) -> bool:
        return bool(self.version or self.troubles)


def ticket_card(release: Release, effects: Sequence[Effect], now: datetime) -> TicketCard:
    """Makes no query."""
    part = ticket_part_of(release)
    if part is None:
        return TicketCard((), None, (), False)
    facts = VersionFacts.of(release, part, effects) if part.makes_version else None
    return TicketCard(
        steps=tuple(_steps(effects, facts, now)) if facts else (),
        version=facts,
        troubles=tuple(_troubles(release, effects, now)),
        warns=bool(facts and facts.not_done and release.is_open),
    )


def _steps(effects: Sequence[Effect], facts: VersionFacts, now: datetime) -> Iterator[StepLine]:
    def newest(kind: str) -> Effect | None:
        return next((e for e in reversed(effects) if e.kind == kind), None)

    def sent(effect: Effect | None) -> SentEffect | None:
        return SentEffect.of(effect, now) if effect else None

    yield StepLine(_("Version"), facts.name, facts.url, sent(newest(VERSION)))
    plans = [effect for effect in effects if effect.kind == PLAN]
    if plans:
        pending = [e for e in plans if e.state == EffectState.DEAD] or [
            e for e in plans if e.is_open
        ]
        words = ngettext("%(count)d added", "%(count)d added", len(facts.added))
        text = words % {"count": len(facts.added)}
        yield StepLine(_("Tickets of the changes"), text, "", sent((pending or plans)[-1]))
    released = newest(RELEASE_VERSION)
    if released is not None:
        text = _("Released") if facts.is_released else _("To be marked as released")
        yield StepLine(_("Release date"), text, "", sent(released))


def _troubles(release: Release, effects: Sequence[Effect], now: datetime) -> Iterator[StepLine]:
    """What failed at each epic, the newest of each kind."""
    keys = {target.target_id: target.epic_key for target in release.targets.all()}
    newest = {(e.kind, e.payload.get("target")): e for e in effects if e.kind in ON_EPIC}
    for (kind, target), effect in newest.items():
        if effect.state == EffectState.DEAD:
            label = {
                LINK: _("Link to the release"),
                COMMENT: _("Comment"),
                MOVE: _("Move to done"),
            }[kind]
            yield StepLine(label, keys.get(str(target), ""), "", SentEffect.of(effect, now))
