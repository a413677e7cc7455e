"""The resources in App Store Connect's responses, which follow JSON:API.

https://jsonapi.org/format/1.0/#document-structure
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..base import Outcome, ProviderError
from ..http import dicts
from ..json_values import line

Included = Mapping[tuple[str, str], Mapping[str, Any]]
_ID = re.compile(r"(?!\.)[^/\\?#%\s]{1,200}")  # it becomes a part of paths


class Resource:
    """One resource with its attributes, and with those of its relatives that were included."""

    def __init__(self, data: Mapping[str, Any], included: Included) -> None:
        self.type, self.id = line(data.get("type")), line(data.get("id"))
        if not _ID.fullmatch(self.id):
            raise ProviderError(
                "garbage",
                "App Store Connect returned something without an ID.",
                "Try again later.",
                outcome=Outcome.UNCERTAIN,
            )
        self._attributes = _object(data.get("attributes"))
        self._relationships = _object(data.get("relationships"))
        self._included = included

    def get(self, name: str) -> Any:
        """An attribute as it is; None if Apple does not tell it."""
        return self._attributes.get(name)

    def has(self, name: str) -> bool:
        return name in self._attributes

    def text(self, name: str) -> str:
        """An attribute with a word or a short text; "" for anything else."""
        return line(self.get(name))

    def one(self, name: str) -> Resource | None:
        """The relative in this relationship; without attributes if it was not included."""
        found = self.many(name)
        return found[0] if found else None

    def many(self, name: str) -> list[Resource]:
        related = _object(self._relationships.get(name)).get("data")
        linked = [related] if isinstance(related, dict) else dicts(related)
        return [
            Resource(
                self._included.get((line(r.get("type")), line(r.get("id"))), r), self._included
            )
            for r in linked
        ]


def included_in(document: Mapping[str, Any]) -> Included:
    return {(line(r.get("type")), line(r.get("id"))): r for r in dicts(document.get("included"))}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def link(kind: str, identifier: str) -> dict[str, str]:
    """A resource identifier, as a relationship has it."""
    return {"type": kind, "id": identifier}
