"""Counts and lengths that can be added up: of a day, of a week, of a period."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

DIGITS = 3  # of a length in seconds that are kept: off by at most half a percent


@dataclass(frozen=True)
class Choice:
    """Which builds count: of one platform, of one pipeline (both as ids), or all."""

    platform: str = ""
    pipeline: str = ""


ALL = Choice()


def choices_of(platform: str, pipeline: str) -> set[Choice]:
    """All choices that a build of this platform and pipeline belongs to."""
    return {Choice(a, b) for a in ("", platform) for b in ("", pipeline)}


@dataclass
class Tally:
    """Lengths are histograms: how many took how many seconds."""

    counts: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)

    def add_length(self, name: str, length: timedelta | None) -> None:
        if length is not None:
            self.lengths.setdefault(name, Counter())[rounded(length)] += 1

    def add(self, other: Tally) -> None:
        self.counts.update(other.counts)
        for name, lengths in other.lengths.items():
            self.lengths.setdefault(name, Counter()).update(lengths)

    def median(self, name: str) -> timedelta | None:
        """The middle one, or the mean of both; None if there is no length."""
        total = self.number(name)
        if not total:
            return None
        return (self._at(name, (total - 1) // 2) + self._at(name, total // 2)) / 2

    def percentile(self, name: str, share: float) -> timedelta | None:
        """Nearest rank: the smallest length that at least `share` of all lengths do not exceed."""
        total = self.number(name)
        return self._at(name, max(math.ceil(share * total) - 1, 0)) if total else None

    def number(self, name: str) -> int:
        return self.lengths.get(name, Counter()).total()

    def _at(self, name: str, rank: int) -> timedelta:
        passed = 0
        for seconds, number in sorted(self.lengths[name].items()):
            passed += number
            if passed > rank:
                return timedelta(seconds=seconds)
        raise IndexError(rank)

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts, "lengths": self.lengths}

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> Tally:
        lengths = {
            name: Counter({int(seconds): number for seconds, number in each.items()})
            for name, each in data.get("lengths", {}).items()
        }
        return cls(Counter(data.get("counts", {})), lengths)


def total(tallies: Iterable[Tally]) -> Tally:
    found = Tally()
    for each in tallies:
        found.add(each)
    return found


def rounded(length: timedelta) -> int:
    """Seconds with three digits, so that a histogram has few entries however many it counts."""
    seconds = max(round(length.total_seconds()), 0)
    step: int = 10 ** max(len(str(seconds)) - DIGITS, 0)
    return round(seconds / step) * step
