"""Text in the format that Slack expects."""

from typing import Any

from ..chat import Button, Message

# https://docs.slack.dev/messaging/formatting-message-text/#escaping : these three, no others
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """`text` as plain characters in a message: no link, mention or `<!channel>` comes out of it."""
    return text.translate(_ENTITIES)


def blocks(message: Message) -> list[dict[str, Any]]:
    """https://docs.slack.dev/reference/block-kit/blocks/"""
    made: list[dict[str, Any]] = [{"type": "section", "text": _words(message.text)}]
    if message.detail:
        made.append({"type": "context", "elements": [_words(message.detail)]})
    if message.buttons:
        made.append({"type": "actions", "elements": [_button(one) for one in message.buttons]})
    return made


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
