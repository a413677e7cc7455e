"""The guide docs/api-guide.md as a page: of Markdown just what the guide uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count

from django.conf import settings

_SECTION = re.compile(r"^#{1,2} ", re.MULTILINE)
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Part:
    """Paragraphs of text, or a block of code."""

    text: str
    number: int = 0  # of a block of code in the guide; 0 for text

    @property
    def anchor(self) -> str:
        return f"commands-{self.number}"


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple[Part, ...]


@cache
def sections() -> list[Section]:
    """The guide in sections, the first of which has the title of the whole."""
    text = (settings.BASE_DIR / "docs" / "api-guide.md").read_text()
    numbers = count(1)
    return [_section(part, numbers) for part in _SECTION.split(text) if part]


def _section(text: str, numbers: Iterator[int]) -> Section:
    title, _end, body = text.partition("\n")
    return Section(title, tuple(_parts(body, numbers)))


def _parts(body: str, numbers: Iterator[int]) -> Iterator[Part]:
    """The blocks of code are at the odd places, the text between them."""
    for place, text in enumerate(_BLOCK.split(body)):
        if place % 2:
            yield Part(text.strip(), next(numbers))
        elif text.strip():
            yield Part(text.strip())
