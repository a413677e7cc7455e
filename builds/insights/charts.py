"""Bars as svg, drawn on the server: plain geometry, the looks are in the stylesheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 160  # of the area with bars, in the svg's own units
LEFT, TOP, BOTTOM = 44, 8, 22  # room for the words beside it
GAP = 0.28  # of a bar's place
STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    tone: str
    words: str  # what it says, for a mouse that rests on it


@dataclass(frozen=True)
class Tick:
    at: float
    words: str


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]  # across, with the values at the left
    labels: tuple[Tick, ...]  # below
    width: int = LEFT + WIDTH
    height: int = TOP + HEIGHT + BOTTOM
    left: int = LEFT
    base: int = TOP + HEIGHT

    @property
    def is_empty(self) -> bool:
        return not self.bars


@dataclass(frozen=True)
class Part:
    """One part of a column, stacked on those before it."""

    value: float
    tone: str
    words: str


@dataclass(frozen=True)
class Column:
    label: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> float:
        return sum(part.value for part in self.parts)


def chart(columns: Sequence[Column], *, unit: str = "") -> Chart:
    """Stacked columns side by side, with lines at round values. Nothing to draw: an empty chart."""
    top = max((column.total for column in columns), default=0)
    if not top:
        return Chart((), (), ())
    step = _step(top)
    full = step * math.ceil(top / step)
    place = WIDTH / len(columns)
    bars = [
        bar for n, column in enumerate(columns) for bar in _bars(column, n * place, place, full)
    ]
    lines = [_line(step * n, full, unit) for n in range(round(full / step) + 1)]
    return Chart(tuple(bars), tuple(lines), tuple(_labels(columns, place)))


def _bars(column: Column, x: float, place: float, full: float) -> list[Bar]:
    found, below = [], 0.0
    for part in column.parts:
        height = HEIGHT * part.value / full
        below += height
        if height:
            found.append(
                Bar(
                    x=round(LEFT + x + place * GAP / 2, 1),
                    y=round(TOP + HEIGHT - below, 1),
                    width=round(place * (1 - GAP), 1),
                    height=round(height, 1),
                    tone=part.tone,
                    words=part.words,
                )
            )
    return found


def _step(top: float) -> float:
    """A round distance between lines, so that there are two to five of them."""
    size = 10.0 ** math.floor(math.log10(top))
    for factor in (0.1, 1.0):
        for step in STEPS:
            if top / (step * size * factor) <= 5:
                return max(step * size * factor, 1.0)
    return size * 10


def _line(value: float, full: float, unit: str) -> Tick:
    return Tick(round(TOP + HEIGHT * (1 - value / full), 1), f"{value:g}{unit}")


def _labels(columns: Sequence[Column], place: float) -> list[Tick]:
    """Not more than fit side by side."""
    every = max(math.ceil(len(columns) / 9), 1)
    return [
        Tick(round(LEFT + (n + 0.5) * place, 1), column.label)
        for n, column in enumerate(columns)
        if n % every == 0
    ]
