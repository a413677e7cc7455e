"""Slack's text format as HTML, as far as the board needs it.

https://api.slack.com/reference/surfaces/formatting
"""

from __future__ import annotations

import html
import re
from typing import Any

from markupsafe import Markup, escape

LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|([^>]*))?>")
BOLD = re.compile(r"(?<!\w)\*([^*\n]+)\*(?!\w)")
CODE = re.compile(r"`([^`\n]+)`")


def to_html(text: str) -> Markup:
    """Convert links, bold and code; everything else is shown unchanged."""
    parts, position = [], 0
    for match in LINK.finditer(text):
        parts.append(_plain(text[position : match.start()]))
        label = _plain(match[2] or match[1])
        parts.append(Markup('<a href="{}" rel="noreferrer">{}</a>').format(match[1], label))
        position = match.end()
    parts.append(_plain(text[position:]))
    return Markup("").join(parts)


def _plain(text: str) -> Markup:
    """Unescape Slack's three entities, escape HTML, then convert bold and code."""
    safe = str(escape(html.unescape(text)))
    safe = BOLD.sub(r"<b>\1</b>", safe)
    return Markup(CODE.sub(r"<code>\1</code>", safe))  # noqa: S704 -- escaped two lines above


def lines(text: str, blocks: list[Any]) -> list[Markup]:
    """The visible lines of a message: its blocks, or its text if it has none."""
    shown = [to_html(line) for block in blocks for line in _block_lines(block)]
    return shown or [to_html(text)]


def _block_lines(block: dict[str, Any]) -> list[str]:
    match block.get("type"):
        case "header":
            return [f"*{_text(block)}*"]
        case "section":
            return [
                line
                for text in (_text(block), *map(_text_of, block.get("fields", [])))
                for line in text.splitlines()
            ]
        case "context":
            return [" ".join(_text_of(element) for element in block.get("elements", []))]
        case "actions":
            return [" ".join(_button(element) for element in block.get("elements", []))]
    return []


def _text(block: dict[str, Any]) -> str:
    return _text_of(block.get("text") or {})


def _text_of(thing: dict[str, Any]) -> str:
    found = thing.get("text", "")
    return found if isinstance(found, str) else _text_of(found)


def _button(element: dict[str, Any]) -> str:
    url, label = element.get("url", ""), _text_of(element)
    return f"<{url}|{label}>" if url else f"[{label}]"
