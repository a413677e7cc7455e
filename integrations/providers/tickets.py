"""The interface to a ticket system."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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


class TicketProvider(Provider):
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
