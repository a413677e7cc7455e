"""Messages as Adaptive Cards: https://adaptivecards.io/explorer/AdaptiveCard.html"""

from __future__ import annotations

import json
import re
from typing import Any

from ..chat import Message

CARD = "application/vnd.microsoft.card.adaptive"
MOST_BYTES = 25_000  # Teams refuses more than about 28 KB, with what it adds itself
MOST_TEXT = 1000  # characters of the first line
# What the markdown of cards may read as more than text:
# https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#~|])")
_CODE = re.compile(r"(?<!\\)`")  # there is none in a card's markdown
_CUT = "…"


def escape(text: str) -> str:
    """`text` as plain characters: no link, list or emphasis comes out of it."""
    return _MARKDOWN.sub(r"\\\1", text)


def link(url: str, label: str) -> str:
    return f"[{escape(label)}]({url.replace(')', '%29').replace(' ', '%20')})"


def document(message: Message) -> bytes:
    """The body to post, which is never longer than `MOST_BYTES`: lines of the detail are left out
    from the end."""
    lines = message.detail.split("\n") if message.detail else []
    while True:
        body = json.dumps(_post(_card(message, lines))).encode()
        if len(body) <= MOST_BYTES or not lines:
            return body
        kept = max(len(lines) // 2, 1) if len(lines) > 1 else 0
        lines = [*lines[:kept], _CUT] if kept and len(lines) > 2 else []


def _post(card: dict[str, Any]) -> dict[str, Any]:
    """https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook"""
    return {
        "type": "message",
        "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}],
    }


def _card(message: Message, lines: list[str]) -> dict[str, Any]:
    text = message.text
    first = text if len(text) <= MOST_TEXT else escape_end(text[:MOST_TEXT])
    body = [_block(first, weight="Bolder")]
    if lines:
        body.append(_block("\n\n".join(line for line in lines if line.strip()), isSubtle=True))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if message.page:
        open_it = {"type": "Action.OpenUrl", "title": "Open the release", "url": message.page}
        card["actions"] = [open_it]
    return card


def escape_end(text: str) -> str:
    """A text that was cut, without half an escape at its end."""
    return text.rstrip("\\") + _CUT


def _block(text: str, **looks: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": _CODE.sub("", text), "wrap": True, **looks}
