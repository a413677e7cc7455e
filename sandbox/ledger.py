"""Two records with which a test can check what happened: side effects and requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

LEDGER_LIMIT = 50_000
REQUEST_LIMIT = 10_000

Entry = dict[str, Any]


class Ledger:
    """All side effects, oldest first, without secrets.

    Each entry has `seq`, `at` (seconds since the epoch, by the sandbox's clock), `provider`, `kind`
    and facts of its own.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=LEDGER_LIMIT)
        self._seq = 0

    def add(self, kind: str, *, provider: str, at: float, **facts: Any) -> Entry:
        self._seq += 1
        entry = {"seq": self._seq, "at": at, "provider": provider, "kind": kind, **facts}
        self._entries.append(entry)
        return entry

    def of(self, kind: str, **facts: Any) -> list[Entry]:
        """The entries of one kind that have the given facts."""
        return [
            entry
            for entry in list(self._entries)
            if entry["kind"] == kind and all(entry.get(k) == v for k, v in facts.items())
        ]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def tail(self, count: int) -> list[Entry]:
        return list(self._entries)[-count:]

    def dump(self) -> dict[str, Any]:
        return {"seq": self._seq, "entries": list(self._entries)}

    def load(self, data: dict[str, Any]) -> None:
        self._seq = data["seq"]
        self._entries = deque(data["entries"], maxlen=LEDGER_LIMIT)


class RequestLog:
    """All requests to the stand-ins: time, provider, method, path below the provider's prefix,
    status (0: the connection was cut) and fault. Without the query, which may contain secrets."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=REQUEST_LIMIT)

    def add_entry(self, entry: Entry) -> None:
        self._entries.append(entry)

    def select(self, provider: str = "*", method: str = "*", path: str = "*") -> list[Entry]:
        """The matching requests; each argument may contain shell wildcards."""
        return [
            entry
            for entry in list(self._entries)
            if fnmatchcase(entry["provider"], provider)
            and fnmatchcase(entry["method"], method)
            and fnmatchcase(entry["path"], path)
        ]

    def count(self, provider: str = "*", method: str = "*", path: str = "*") -> int:
        return len(self.select(provider, method, path))

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def dump(self) -> list[Entry]:
        return list(self._entries)

    def load(self, data: list[Entry]) -> None:
        self._entries = deque(data, maxlen=REQUEST_LIMIT)
