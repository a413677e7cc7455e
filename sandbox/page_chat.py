"""The part of the sandbox's board that shows Slack's channels."""

from __future__ import annotations

from typing import Any

from sandbox import mrkdwn, presses
from sandbox.chat import CHANNELS, PEOPLE, Channel, Message
from sandbox.context import clock_time, state

SHOWN = 10  # messages of a channel, without the replies


def board() -> dict[str, Any]:
    """What the board shows of it."""
    return {
        "channels": [_channel(c) for c in CHANNELS if c.member and not c.archived],
        "people": list(PEOPLE.values()),
    }


def _channel(channel: Channel) -> dict[str, Any]:
    messages = state().slack.in_channel(channel.id)
    roots = [m for m in messages if not m.is_reply][-SHOWN:]
    return {"name": channel.name, "id": channel.id, "messages": [_message(m) for m in roots]}


def _message(message: Message) -> dict[str, Any]:
    replies = [] if message.is_reply else state().slack.replies(message)
    return {
        "at": clock_time(float(message.ts)),
        "ts": message.ts,
        "lines": mrkdwn.lines(message.text, message.blocks),
        "edited": bool(message.edited_ts),
        "broadcast": message.is_reply and message.broadcast,
        **presses.shown_below(message),
        "replies": [_message(reply) for reply in replies],
    }
