"""The control API of Slack, below /sandbox/api/slack/."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request

from sandbox.chat import Message
from sandbox.context import state
from sandbox.control import guard, json_body, refuse

blueprint = Blueprint("control_slack", __name__, url_prefix="/sandbox/api/slack")
blueprint.before_request(guard)


@blueprint.get("/messages")
def messages() -> Response:
    channel = request.args.get("channel")
    found = [m for m in state().slack.messages if channel in (None, m.channel)]
    return jsonify({"count": len(found), "messages": [asdict(m) for m in found]})


def _message(channel: str, ts: str) -> Message:
    message = state().slack.message(channel, ts)
    if message is None:
        refuse(404, f"no message {ts} in {channel}")
    return message


@blueprint.delete("/messages/<channel>/<ts>")
def delete_message(channel: str, ts: str) -> Response:
    """Delete a message as a person does; later answers to its thread do not notice."""
    state().slack.delete(_message(channel, ts))
    return jsonify({"ok": True})


@blueprint.patch("/messages/<channel>/<ts>")
def change_message(channel: str, ts: str) -> Response:
    """`refusesEdits`: the error of `chat.update` for it, such as `edit_window_closed`."""
    message = _message(channel, ts)
    message.refuses_edits = str(json_body().get("refusesEdits", ""))
    state().touch()
    return jsonify(asdict(message))


@blueprint.patch("/channels/<channel>")
def change_channel(channel: str) -> Response:
    """`archived`: whether it is; messages in it can neither be posted nor edited then."""
    slack = state().slack
    if slack.channel(channel) is None:
        refuse(404, f"no channel {channel}")
    is_archived = bool(json_body().get("archived"))
    (slack.archived.add if is_archived else slack.archived.discard)(channel)
    state().touch()
    return jsonify({"archived": is_archived})


@blueprint.post("/settings")
def settings() -> Response:
    """`paced`: whether only one message a second may come to a channel, as is usual."""
    chat = state().slack
    chat.is_paced = bool(json_body().get("paced", chat.is_paced))
    return jsonify({"paced": chat.is_paced})
