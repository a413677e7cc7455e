"""Bar charts as SVG, computed on the server. Only the geometry: the stylesheet has the colors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 130  # of the plot area, in SVG units
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 8, 22  # margins for the labels
GAP = 0.28  # the part of a column's space that stays empty
MIN_HEIGHT = 1.5  # so that a small value can be seen
PART_GAP = 1  # so that the parts of a column differ by more than their color
MAX_WIDTH = 28  # so that a chart of few columns has no blocks
STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    tone: str


@dataclass(frozen=True)
class HoverArea:
    """The full height of a column; `words` are its tooltip."""

    x: float
    width: float
    words: str


@dataclass(frozen=True)
class Tick:
    at: float
    words: str


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]  # horizontal, with their values on the left
    labels: tuple[Tick, ...]  # below
    places: tuple[HoverArea, ...] = ()
    width: int = LEFT + WIDTH + RIGHT
    height: int = TOP + HEIGHT + BOTTOM
    left: int = LEFT
    base: int = TOP + HEIGHT

    @property
    def is_empty(self) -> bool:
        return not self.bars


@dataclass(frozen=True)
class Part:
    """One part of a column, stacked on the parts before it."""

    value: float
    tone: str


@dataclass(frozen=True)
class Column:
    label: str
    parts: tuple[Part, ...]
    words: str = ""  # the exact values

    @property
    def total(self) -> float:
        return sum(part.value for part in self.parts)


def chart(columns: Sequence[Column], *, unit: str = "") -> Chart:
    """Stacked columns with grid lines at round values; an empty chart if all values are 0."""
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
    places = [
        HoverArea(round(LEFT + n * place, 1), round(place, 1), column.words)
        for n, column in enumerate(columns)
    ]
    return Chart(tuple(bars), tuple(lines), tuple(_labels(columns, place)), tuple(places))


def _bars(column: Column, x: float, place: float, full: float) -> list[Bar]:
    found: list[Bar] = []
    below = 0.0
    width = min(place * (1 - GAP), MAX_WIDTH)
    for part in column.parts:
        height = max(HEIGHT * part.value / full, MIN_HEIGHT) if part.value else 0
        below += height
        if height:
            height -= PART_GAP if found and height > MIN_HEIGHT else 0
            found.append(
                Bar(
                    x=round(LEFT + x + (place - width) / 2, 1),
                    y=round(TOP + HEIGHT - below, 1),
                    width=round(width, 1),
                    height=round(height, 1),
                    tone=part.tone,
                )
            )
    return found


def _step(top: float) -> float:
    """A round distance between grid lines that gives two to five of them."""
    size = 10.0 ** math.floor(math.log10(top))
    for factor in (0.1, 1.0):
        for step in STEPS:
            if top / (step * size * factor) <= 5:
                return max(step * size * factor, 1.0)
    return size * 10


def _line(value: float, full: float, unit: str) -> Tick:
    return Tick(round(TOP + HEIGHT * (1 - value / full), 1), f"{value:g}{unit}")


def _labels(columns: Sequence[Column], place: float) -> list[Tick]:
    """At most five labels, so that they fit side by side."""
    every = max(math.ceil(len(columns) / 5), 1)
    return [
        Tick(round(LEFT + (n + 0.5) * place, 1), column.label)
        for n, column in enumerate(columns)
        if n % every == 0
    ]
