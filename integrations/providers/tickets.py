"""The interface to a ticket system."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .base import Option, Provider

MOST_PLANNED = 25
"""Tickets that one call of `TicketProvider.plan` takes."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    key: str
    url: str


@dataclass(frozen=True, kw_only=True)
class FoundTicket(Ticket):
    """A ticket as it is now."""

    title: str = ""
    status: str = ""  # in the ticket system's own words


class TicketItem:
    """Base of what a ticket system keeps for a release: its content, not where it goes."""


@dataclass(frozen=True, kw_only=True)
class Epic(TicketItem):
    summary: str
    description: str = ""
    labels: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link from a ticket to a page of ours. `name` is its natural key: a ticket has one link of
    this name, whatever its address and its words are."""

    name: str
    url: str
    title: str
    summary: str = ""
    is_resolved: bool = False


@dataclass(frozen=True, kw_only=True)
class Comment:
    """Plain text, and below it a link to a page of ours."""

    text: str
    url: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Version:
    """What a project plans its tickets for."""

    id: str
    name: str
    url: str = ""
    is_released: bool = False
    is_archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """How far a version is: `total` tickets, of which `not_done` are not done. `tickets` are the
    first of these."""

    version: Version
    total: int
    not_done: int
    tickets: Sequence[FoundTicket] = ()


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Keys of tickets that a version was to be added to.

    `added` have it now, `elsewhere` are in other projects, which have versions of their own,
    `unknown` do not exist or may not be seen, and `refused` says why of others.
    """

    added: Sequence[str] = ()
    elsewhere: Sequence[str] = ()
    unknown: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class TicketProvider(Provider):
    """A ticket system, with one project of it.

    The methods that change something are called by effects, one at a time for a ticket or a
    version. All but `create` and `comment` may be repeated: a second call leaves things as the
    first one did.
    """

    @staticmethod
    def page_of(url: str, *, server_url: str, options: Mapping[str, Any]) -> str:
        """The page of a ticket whose address was stored, for a person; "" if none is known."""
        return url

    @abstractmethod
    def projects(self) -> list[Option]: ...

    @abstractmethod
    def create(self, item: TicketItem, *, correlation: str) -> Ticket: ...

    @abstractmethod
    def find(self, item: TicketItem, *, correlation: str) -> Ticket | None: ...

    @abstractmethod
    def put_link(self, key: str, link: Link) -> None:
        """Link a ticket to a page of ours, or change the link of this name."""

    @abstractmethod
    def has_link(self, key: str, link: Link) -> bool:
        """True if the ticket has exactly this link."""

    @abstractmethod
    def comment(self, key: str, comment: Comment, *, correlation: str) -> str:
        """Write a comment that carries `correlation`, and return its id."""

    @abstractmethod
    def find_comment(self, key: str, *, correlation: str) -> str | None: ...

    @abstractmethod
    def finish_ticket(self, key: str) -> str:
        """Move a ticket to a status that counts as done, unless it has one; returns the status.

        Raises ProviderError("choose_status", REFUSED) if several are possible, and
        ProviderError("no_transition", REFUSED) if none is.
        """

    @abstractmethod
    def finished_as(self, key: str) -> str | None:
        """The ticket's status if it counts as done."""

    @abstractmethod
    def find_version(self, name: str) -> Version | None:
        """The project's version of exactly this name."""

    @abstractmethod
    def create_version(self, name: str, *, description: str) -> Version:
        """Create a version in the project, or return the one of this name."""

    @abstractmethod
    def plan(self, version_id: str, keys: Sequence[str]) -> Planned:
        """Add the version to those of the tickets that are in its project: `MOST_PLANNED` at most.
        They keep their other versions.

        Raises ProviderError if some are left; those that have the version are skipped the next
        time.
        """

    @abstractmethod
    def release_version(self, version_id: str, *, on: date) -> Version:
        """Mark it as released on this day. One that is released already keeps its date."""

    @abstractmethod
    def readiness(self, version: Version, *, most: int) -> Readiness:
        """Count the version's tickets, and list `most` of those that are not done."""

    @abstractmethod
    def readiness_of(self, name: str, *, most: int, within: float) -> Readiness | None:
        """`readiness` of the version of this name, within this many seconds for all calls together;
        None if there is none."""
