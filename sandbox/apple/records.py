"""The resources of App Store Connect as records, and how they are found from each other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sandbox.apple.shapes import SHAPES
from sandbox.apple.trouble import missing

CALIFORNIA = timezone(timedelta(hours=-7))  # Apple's time stamps carry its own offset


def apple_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, CALIFORNIA).isoformat(timespec="seconds")


def moment_of(text: str) -> float:
    """Raises ValueError for anything but an ISO time; without an offset it is UTC."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@dataclass
class Record:
    """`one` holds the type and id of each related resource, `many` ids, `private` what the API
    does not show."""

    type: str
    id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    one: dict[str, list[str]] = field(default_factory=dict)
    many: dict[str, list[str]] = field(default_factory=dict)
    private: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes.get(attribute)

    @property
    def key(self) -> list[str]:
        return [self.type, self.id]


class Records:
    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Record]] = {}

    def add(self, kind: str, key: str = "", /, **attributes: Any) -> Record:
        record = Record(kind, key or str(uuid.uuid4()), attributes)
        self._tables.setdefault(kind, {})[record.id] = record
        return record

    def remove(self, record: Record) -> None:
        """With what belongs to it alone, which its type's shape names as `owned`."""
        for name in SHAPES[record.type].owned:
            for part in self.related(record, name):
                self.remove(part)
        self._tables[record.type].pop(record.id, None)

    def all(self, kind: str) -> list[Record]:
        """Oldest first."""
        return list(self._tables.get(kind, {}).values())

    def find(self, kind: str, key: str) -> Record | None:
        return self._tables.get(kind, {}).get(key)

    def get(self, kind: str, key: str) -> Record:
        """Raises Trouble: 404."""
        found = self.find(kind, key)
        if found is None:
            raise missing(kind, key)
        return found

    def one(self, record: Record, name: str) -> Record | None:
        return next(iter(self.related(record, name)), None)

    def related(self, record: Record, name: str) -> list[Record]:
        """The resources of a relationship, also of one that the other side holds."""
        shape = SHAPES[record.type]
        if name in shape.one:
            there = record.one.get(name)
            found = self.find(*there) if there else None
            return [found] if found else []
        if name in shape.listed:
            every = (self.find(shape.listed[name], key) for key in record.many.get(name, []))
            return [one for one in every if one]
        kind, back = shape.back.get(name) or shape.many[name]
        return [one for one in self.all(kind) if self._points(one, back, record)]

    @staticmethod
    def _points(one: Record, name: str, at: Record) -> bool:
        return one.one.get(name) == at.key or at.id in one.many.get(name, [])

    def values(self, record: Record, path: str) -> Iterator[Any]:
        """What a path of a filter leads to: `version`, `app`, `preReleaseVersion.version`."""
        name, _dot, rest = path.partition(".")
        if name == "id":
            yield record.id
        elif name in record.attributes:
            yield record.attributes[name]
        elif SHAPES[record.type].knows(name):
            for other in self.related(record, name):
                yield from self.values(other, rest or "id")

    def dump(self) -> list[dict[str, Any]]:
        return [asdict(one) for table in self._tables.values() for one in table.values()]

    def load(self, data: list[dict[str, Any]]) -> None:
        self._tables = {}
        for item in data:
            self._tables.setdefault(item["type"], {})[item["id"]] = Record(**item)
