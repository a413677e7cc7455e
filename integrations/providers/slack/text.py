"""Text in the format that Slack expects."""

from typing import Any

# https://docs.slack.dev/messaging/formatting-message-text/#escaping : these three, no others
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """`text` as plain characters in a message: no link, mention or `<!channel>` comes out of it."""
    return text.translate(_ENTITIES)


def blocks(text: str, detail: str) -> list[dict[str, Any]]:
    """https://docs.slack.dev/reference/block-kit/blocks/"""
    return [
        {"type": "section", "text": _words(text)},
        {"type": "context", "elements": [_words(detail)]},
    ]


def _words(text: str) -> dict[str, Any]:
    """Without `verbatim`, Slack looks for addresses, channels and names in plain words, too."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
