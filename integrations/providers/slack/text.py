"""Text in the format that Slack expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..chat import Button, Message

# https://docs.slack.dev/messaging/formatting-message-text/#escaping : these three, no others
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """`text` as plain characters in a message: no link, mention or `<!channel>` comes out of it."""
    return text.translate(_ENTITIES)


# https://docs.slack.dev/reference/block-kit/blocks : a message that exceeds a limit is refused.
MAX_HEADER, MAX_SECTION, MAX_BLOCKS = 150, 3000, 50


def blocks(message: Message) -> list[dict[str, Any]]:
    """The message in blocks; none if its text is all there is. Its text is a heading if lines
    follow; what does not fit is left out, with a note about how much."""
    if not (message.detail or message.lines or message.buttons):
        return []
    head = _heading(message.text) if message.lines else _section(message.text)
    parts = [_section(text) for text in _sections(message.lines)]
    made = [head, *parts]
    if message.detail:
        made.append({"type": "context", "elements": [_words(shorten(message.detail))]})
    if message.buttons:
        made.append({"type": "actions", "elements": [_button(one) for one in message.buttons]})
    return made


def _sections(lines: Sequence[str]) -> Iterator[str]:
    """The lines in as few sections as they fit into."""
    text, count = "", 0
    for number, line in enumerate(lines):
        piece = shorten(line)
        if text and len(text) + 1 + len(piece) > MAX_SECTION:
            yield text
            text, count = "", count + 1
        if count == MAX_BLOCKS - 4:  # the heading, the note, the context and the buttons
            yield f"… {len(lines) - number} more"
            return
        text = f"{text}\n{piece}" if text else piece
    if text:
        yield text


def shorten(text: str) -> str:
    """At most as long as one section may be."""
    return text if len(text) <= MAX_SECTION else text[: MAX_SECTION - 1] + "…"


def _heading(text: str) -> dict[str, Any]:
    short = text if len(text) <= MAX_HEADER else text[: MAX_HEADER - 1] + "…"
    return {"type": "header", "text": {"type": "plain_text", "text": short, "emoji": True}}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _words(shorten(text))}


def _button(button: Button) -> dict[str, Any]:
    """https://docs.slack.dev/reference/block-kit/block-elements/button-element"""
    made: dict[str, Any] = {
        "type": "button",
        "text": _plain(button.label),
        "action_id": button.action or "open",
    }
    if button.url:
        return {**made, "url": button.url}
    made["value"] = button.value
    if button.confirm:
        made["confirm"] = {
            "title": _plain(button.label),
            "text": _plain(button.confirm),
            "confirm": _plain(button.label),
            "deny": _plain("Cancel"),
        }
    return made


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text[:75]}


def _words(text: str) -> dict[str, Any]:
    """Without `verbatim`, Slack looks for addresses, channels and names in plain words, too."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
