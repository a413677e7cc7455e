"""Finds words meant for programs in what a page shows to people."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db import models
from playwright.sync_api import Page

from delivr.audit.wording import ACTIONS
from integrations.providers.ci import BuildStatus

# Text in code elements is meant for programs, and looks like it.
VISIBLE_TEXT = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        const isCode = parent.closest("code, pre, kbd, samp, textarea, script, style");
        const shown = parent.closest("select") ?? parent; // includes options of a closed one
        if (!isCode && shown.checkVisibility()) found.push(walker.currentNode.textContent);
    }
    return found.join("\\n");
}"""
ADDRESS = re.compile(r"\S*(?:@|://|/)\S*")
RAW = re.compile(r"(?<![\w#-])(?:[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+)(?![\w-])")

KNOWN = {
    "DELIVR_BUILD_ID": "the name of a parameter that people write into their Jenkins job",
    "x86_64": "of the browser's own name, which the list of sessions shows",
}


def visible_text(page: Page) -> str:
    """All text that the page shows, outside of code; as written, not as transformed by CSS."""
    text: str = page.evaluate(VISIBLE_TEXT)
    return text


def raw_words(text: str) -> list[str]:
    """Stored values (`IN_PROGRESS`, `DEAD`), codes (`message.post`), ids and snake_case."""
    bare = ADDRESS.sub(" ", text)
    words = set(re.findall(r"[\w.]+\w", bare))
    return sorted({*RAW.findall(bare), *(words & stored_words())} - set(KNOWN))


def stored_words() -> set[str]:
    """The values of all models' choices that are not words of a language, and codes with dots."""
    values = {str(value) for value in _choices()} | {status.value for status in BuildStatus}
    shouted = {value for value in values if re.fullmatch(r"[A-Z_]{3,}", value)}
    return shouted | set(ACTIONS) | set(settings.EFFECT_HANDLERS)


def _choices() -> Iterator[str]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, models.CharField):
                yield from (value for value, _label in field.flatchoices)
