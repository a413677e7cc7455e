"""Buttons below messages, and people who press them: reported to delivr through its WebSocket."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from sandbox import chat, mrkdwn
from sandbox.chat import PEOPLE, Message, Person
from sandbox.context import state, to_page
from sandbox.control import guard, json_body, refuse
from sandbox.providers.slack import message_json

blueprint = Blueprint("presses", __name__)
blueprint.before_request(guard)


def buttons_of(message: Message) -> list[dict[str, Any]]:
    """Its buttons that report a press; links do not."""
    return [
        element
        for block in message.blocks
        if block.get("type") == "actions"
        for element in block.get("elements", [])
        if "url" not in element
    ]


def press(message: Message, button: dict[str, Any], person: Person, *, envelope: str = "") -> bool:
    """Report that the person pressed it. False if no connection took the report in time.

    https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """
    user = {"id": person.id, "username": person.name, "name": person.name, "team_id": chat.TEAM_ID}
    action = {
        **{name: button[name] for name in ("action_id", "value", "text")},
        "block_id": "b1",
        "type": "button",
        "action_ts": message.ts,
    }
    payload = {
        "type": "block_actions",
        "team": {"id": chat.TEAM_ID, "domain": "dream11-sandbox"},
        "user": user,
        "api_app_id": chat.APP_ID,
        "container": {"type": "message", "message_ts": message.ts, "channel_id": message.channel},
        "channel": {"id": message.channel},
        "message": message_json(message),
        "actions": [action],
    }
    return state().sockets.send(payload, envelope=envelope)


def shown_below(message: Message) -> dict[str, Any]:
    """What the board shows below a message: its buttons, and what single people were shown."""
    thread = message.thread_ts or message.ts
    shown = [
        m for m in state().slack.shown if (m.channel, m.thread_ts) == (message.channel, thread)
    ]
    buttons = buttons_of(message)
    return {
        "buttons": [button["text"]["text"] for button in buttons],
        "is_ignored": (message.channel, message.ts) in state().slack.ignored,
        "shown": [(PEOPLE[m.only_for].name, mrkdwn.to_html(m.text)) for m in shown if buttons],
    }


def _press(fields: dict[str, Any]) -> bool | None:
    """Press the first button; None if there is no such message, button or person."""
    message = state().slack.message(str(fields.get("channel")), str(fields.get("ts")))
    person = PEOPLE.get(str(fields.get("user")))
    if message is None or person is None or not buttons_of(message):
        return None
    envelope = str(fields.get("envelope") or "")
    is_taken = press(message, buttons_of(message)[0], person, envelope=envelope)
    key = (message.channel, message.ts)
    state().slack.ignored.discard(key) if is_taken else state().slack.ignored.add(key)
    return is_taken


@blueprint.post("/sandbox/press")
def press_on_page() -> Response:
    if _press(request.form.to_dict()) is None:
        abort(400)
    return to_page("page.home")


@blueprint.post("/sandbox/api/slack/press")
def press_by_program() -> Response:
    """`channel`, `ts` and `user`; `envelope` to report one press several times."""
    is_taken = _press(json_body())
    if is_taken is None:
        refuse(404, "no such message with a button, or no such person")
    return jsonify({"acknowledged": is_taken})


@blueprint.get("/sandbox/api/slack/shown")
def shown() -> Response:
    """What single people were shown."""
    found = [asdict(m) for m in state().slack.shown]
    return jsonify({"count": len(found), "messages": found})
