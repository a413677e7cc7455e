"""The guide docs/api-guide.md as a page: of Markdown just what the guide uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from django.conf import settings

_SECTION = re.compile(r"^#{1,2} ", re.MULTILINE)
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Part:
    """Paragraphs of text, or a block of code."""

    text: str
    is_code: bool


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple[Part, ...]


@cache
def sections() -> list[Section]:
    """The guide in sections, the first of which has the title of the whole."""
    text = (settings.BASE_DIR / "docs" / "api-guide.md").read_text()
    return [_section(part) for part in _SECTION.split(text) if part]


def _section(text: str) -> Section:
    title, _end, body = text.partition("\n")
    return Section(title, tuple(_parts(body)))


def _parts(body: str) -> Iterator[Part]:
    """Between the blocks of code, at the odd places, is text."""
    for place, text in enumerate(_BLOCK.split(body)):
        if text.strip():
            yield Part(text.strip(), is_code=place % 2 == 1)
