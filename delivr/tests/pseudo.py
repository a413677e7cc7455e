"""A fake language for tests: every translated text is put between marks. What a page shows outside
of them is data, or cannot be translated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import translation

OPEN, CLOSE = "⟦", "⟧"
SPOKEN = {"title", "alt", "aria-label", "placeholder", "data-confirm", "data-label"}
SILENT = {"script", "style", "code", "pre", "kbd", "samp", "svg", "textarea", "datalist"}
ENDS = {"p", "li", "td", "th", "dt", "dd", "option", "button", "label", "legend", "div", "title"}
VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
WORD = re.compile(r"[^\W\d_]{2,}")


def speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, gettext and related functions put marks around their texts."""
    spoken = translation._trans  # type: ignore[attr-defined] # what all of them end in
    for name, place in (("gettext", 0), ("pgettext", 1)):
        plain = getattr(spoken, name)
        monkeypatch.setattr(spoken, name, _marking(plain, place))
    for name in ("ngettext", "npgettext"):
        monkeypatch.setattr(spoken, name, _marking(getattr(spoken, name), None))


def _marking(plain: Any, place: int | None) -> Any:
    def speak(*given: Any) -> str:
        text = plain(*given)
        is_empty = place is not None and not given[place]
        return text if is_empty or OPEN in text else f"{OPEN}{text}{CLOSE}"

    return speak


class _Shown(HTMLParser):
    """Collects in `found` the texts of a page outside the marks."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.depth = 0
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_silent = tag in SILENT or "avatar" in (given.get("class") or "").split()
        is_silent |= tag != "html" and "lang" in given  # what is sent away in one language
        if tag not in VOID and (self.silent or is_silent):
            self.silent.append(tag)
        for name, value in attrs:
            is_text = name in SPOKEN or name.startswith("data-text-")
            is_button = tag == "input" and name == "value" and given.get("type") == "submit"
            if value and not self.silent and (is_text or is_button):
                self.found.append(outside(value))

    def handle_endtag(self, tag: str) -> None:
        if self.silent and tag == self.silent[-1]:
            self.silent.pop()
        if tag in ENDS:
            self.depth = 0

    def handle_data(self, data: str) -> None:
        kept = []
        for letter in data:
            self.depth += (letter == OPEN) - (letter == CLOSE and self.depth > 0)
            if not self.depth and letter != CLOSE:
                kept.append(letter)
        if not self.silent:
            self.found.append("".join(kept))


def outside(text: str) -> str:
    """The parts of a text outside the marks; marks may be nested."""
    parser = _Shown()
    parser.handle_data(text)
    return "".join(parser.found)


def unmarked(html: str, data: list[str]) -> list[str]:
    """The words that a page shows, or screen readers read, outside the marks and outside `data`."""
    parser = _Shown()
    parser.feed(html)
    left = []
    for text in parser.found:
        rest = text
        for value in data:
            rest = rest.replace(value, " ")
        if WORD.search(rest):
            left.append(" ".join(rest.split()))
    return left


def stored() -> list[str]:
    """Every text in a row of any table, the longest first."""
    found: set[str] = set()
    for model in apps.get_models():
        for row in model._default_manager.all():
            for part in model._meta.concrete_fields:
                found.update(_texts(getattr(row, part.attname)))
    return sorted((text for text in found if len(text) > 2), key=len, reverse=True)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and not isinstance(value, models.Choices):
        yield value
