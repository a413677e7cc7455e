"""What delivr asks of a ticket system."""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .base import Option, Provider


@dataclass(frozen=True, kw_only=True)
class Ticket:
    key: str
    url: str


class TicketItem:
    """Base of what a ticket system keeps for a release: its content, not where it goes."""


@dataclass(frozen=True, kw_only=True)
class Epic(TicketItem):
    summary: str
    description: str = ""
    labels: Sequence[str] = field(default_factory=tuple)


class FoundBy(enum.StrEnum):
    """How an item is found again after a lost response."""

    MARK = "MARK"  # by our correlation, which it carries; a search index may lag behind
    KEY = "KEY"  # by its own name or global id: creating it again creates no second one


class TicketProvider(Provider):
    found_by: ClassVar[Mapping[type[TicketItem], FoundBy]]  # of each type that it can create

    @staticmethod
    def page_of(url: str, *, server_url: str, options: Mapping[str, Any]) -> str:
        """The page of a ticket whose address was stored, for a person; "" where none is known."""
        return url

    @abstractmethod
    def projects(self) -> list[Option]: ...

    @abstractmethod
    def create(self, item: TicketItem, *, correlation: str) -> Ticket:
        """Create an item of one of the types in `found_by`."""

    @abstractmethod
    def find(self, item: TicketItem, *, correlation: str) -> Ticket | None: ...
