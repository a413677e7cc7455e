"""Slack's Web API: every answer is HTTP 200 with `ok`; scopes are in a header.

https://api.slack.com/web
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox import accounts, chat
from sandbox.chat import Channel, Chat, Message
from sandbox.context import state

blueprint = Blueprint("slack", __name__, url_prefix="/slack/api")

PAGE_CAP = 3  # pages may be shorter than requested: https://api.slack.com/docs/pagination
MAX_TEXT, MAX_BLOCKS = 40_000, 50
ALL_SCOPES = (
    "chat:write",
    "channels:read",
    "groups:read",
    "channels:history",
    "groups:history",
    "users:read",
    "users:read.email",
    "usergroups:read",
)
SOCKET_SCOPE = "connections:write"
TOKENS = {
    accounts.SLACK_BOT_TOKEN: ALL_SCOPES,
    accounts.SLACK_NO_HISTORY_TOKEN: ("chat:write", "channels:read", "groups:read"),
    accounts.SLACK_APP_TOKEN: (SOCKET_SCOPE,),
    accounts.SLACK_NO_WRITE_TOKEN: tuple(s for s in ALL_SCOPES if s != "chat:write"),
}


class SlackError(Exception):
    """`ok: false` with an error code and perhaps more."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.body = {"ok": False, "error": error, **more}


class TooSoon(SlackError):
    """429: another message came to the channel a moment ago."""

    def __init__(self, seconds: int) -> None:
        super().__init__("ratelimited")
        self.seconds = seconds


class Call:
    """One call: its arguments from JSON, form or query, and its token's scopes."""

    def __init__(self) -> None:
        self.arguments = _arguments()
        token = _bearer() or self.arguments.pop("token", "")
        if not token:
            raise SlackError("not_authed")
        if token not in TOKENS:
            raise SlackError("invalid_auth")
        self.scopes = TOKENS[token]

    def require(self, scope: str) -> None:
        if (scope == SOCKET_SCOPE) != (SOCKET_SCOPE in self.scopes):
            raise SlackError("not_allowed_token_type")
        if scope not in self.scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(self.scopes))

    def text(self, name: str, default: str = "") -> str:
        value = self.arguments.get(name, default)
        return value if isinstance(value, str) else str(value)

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("true", "1")

    def number(self, name: str, default: float) -> float:
        try:
            return float(self.text(name) or default)
        except ValueError:
            raise SlackError("invalid_arguments") from None

    def structure(self, name: str, wanted: type, error: str) -> Any:
        """A list or object, which a form sends as JSON text."""
        value = self.arguments.get(name) or wanted()
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise SlackError(error) from None
        if not isinstance(value, wanted):
            raise SlackError(error)
        return value


def _arguments() -> dict[str, Any]:
    text = request.get_data()
    if not request.is_json or not text:
        return request.values.to_dict()
    try:
        body = json.loads(text)
    except ValueError:
        raise SlackError("invalid_json") from None
    if not isinstance(body, dict):
        raise SlackError("json_not_object")
    return body


def _bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


@blueprint.route("/<method>", methods=["GET", "POST"])
def call(method: str) -> Response:
    scopes: tuple[str, ...] = ()
    later = 0
    try:
        if method not in METHODS:
            raise SlackError("unknown_method", req_method=method)
        this = Call()
        scopes = this.scopes
        body = {"ok": True, **METHODS[method](this)}
    except SlackError as error:
        body = error.body
        later = error.seconds if isinstance(error, TooSoon) else 0
    answer = jsonify(body)
    if later:
        answer.status_code, answer.headers["Retry-After"] = 429, str(later)
    answer.content_type = "application/json; charset=utf-8"
    if scopes:
        answer.headers["x-oauth-scopes"] = ",".join(scopes)
    return answer


def slack_chat() -> Chat:
    return state().slack


def auth_test(call: Call) -> dict[str, Any]:
    return {
        "url": chat.TEAM_URL,
        "team": chat.TEAM,
        "user": chat.BOT_NAME,
        "team_id": chat.TEAM_ID,
        "user_id": chat.BOT_USER_ID,
        "bot_id": chat.BOT_ID,
        "is_enterprise_install": False,
    }


# Channels


def conversations_list(call: Call) -> dict[str, Any]:
    kinds = call.text("types", "public_channel").replace(" ", "").split(",")
    if "public_channel" in kinds:
        call.require("channels:read")
    if "private_channel" in kinds:
        call.require("groups:read")
    found = [
        c
        for c in slack_chat().channels
        if _is_listed(c, kinds, without_archived=call.flag("exclude_archived"))
    ]
    size = min(int(call.number("limit", 100)), PAGE_CAP)
    return _page("channels", [_channel_json(c) for c in found], call.text("cursor"), size)


def _is_listed(channel: Channel, kinds: list[str], *, without_archived: bool) -> bool:
    kind = "private_channel" if channel.private else "public_channel"
    return channel.visible and kind in kinds and not (without_archived and channel.archived)


def _page(name: str, items: list[Any], cursor: str, size: int) -> dict[str, Any]:
    try:
        start = int(cursor.removeprefix("next:")) if cursor else 0
    except ValueError:
        raise SlackError("invalid_cursor") from None
    end = start + max(size, 1)
    following = f"next:{end}" if end < len(items) else ""
    return {name: items[start:end], "response_metadata": {"next_cursor": following}}


def _channel_json(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.private,
        "is_group": channel.private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_general": channel.name == "general",
        "is_member": channel.member,
        "is_shared": False,
        "is_org_shared": False,
        "is_ext_shared": False,
        "created": 1_700_000_000,
        "creator": "U0SANDBOX9",
        "num_members": 4,
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def conversations_info(call: Call) -> dict[str, Any]:
    channel = _channel(call)
    call.require("groups:read" if channel.private else "channels:read")
    return {"channel": _channel_json(channel)}


def _channel(call: Call) -> Channel:
    channel = slack_chat().channel(call.text("channel"))
    if channel is None:
        raise SlackError("channel_not_found")
    return channel


# Messages


def conversations_history(call: Call) -> dict[str, Any]:
    channel = _readable(call)
    messages = [m for m in slack_chat().in_channel(channel.id) if m.broadcast or not m.is_reply]
    return _messages(call, messages[::-1])


def conversations_replies(call: Call) -> dict[str, Any]:
    channel = _readable(call)
    parent = slack_chat().message(channel.id, call.text("ts"))
    if parent is None:
        raise SlackError("thread_not_found")
    return _messages(call, [parent, *slack_chat().replies(parent)])


def _readable(call: Call) -> Channel:
    call.require("channels:history")
    channel = _channel(call)
    if channel.private:
        call.require("groups:history")
    if not channel.member:
        raise SlackError("not_in_channel")
    return channel


def _messages(call: Call, messages: list[Message]) -> dict[str, Any]:
    oldest, latest = call.number("oldest", 0), call.number("latest", float("inf"))
    inclusive, with_metadata = call.flag("inclusive"), call.flag("include_all_metadata")
    chosen = [m for m in messages if _is_within(float(m.ts), oldest, latest, inclusive=inclusive)]
    shown = [message_json(m, with_metadata=with_metadata) for m in chosen]
    page = _page("messages", shown, call.text("cursor"), int(call.number("limit", 100)))
    return {**page, "has_more": bool(page["response_metadata"]["next_cursor"])}


def _is_within(ts: float, oldest: float, latest: float, *, inclusive: bool) -> bool:
    return oldest <= ts <= latest if inclusive else oldest < ts < latest


def message_json(message: Message, *, with_metadata: bool = True) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": "message",
        "user": message.user,
        "bot_id": chat.BOT_ID,
        "app_id": chat.APP_ID,
        "team": chat.TEAM_ID,
        "ts": message.ts,
        "text": message.text,
    }
    if message.blocks:
        data["blocks"] = message.blocks
    if message.attachments:
        data["attachments"] = message.attachments
    if message.thread_ts:
        data["thread_ts"] = message.thread_ts
    elif replies := slack_chat().replies(message):
        data |= {"thread_ts": message.ts, "reply_count": len(replies)}
    if message.edited_ts:
        data["edited"] = {"user": message.user, "ts": message.edited_ts}
    if with_metadata and message.metadata:
        data["metadata"] = message.metadata
    return data


def post_message(call: Call) -> dict[str, Any]:
    call.require("chat:write")
    channel = writable(call)
    _count(channel)
    parts = content(call)
    thread_ts = _thread(call, channel)
    message = Message(
        channel.id,
        "",
        **parts,
        metadata=_metadata(call),
        thread_ts=thread_ts,
        broadcast=call.flag("reply_broadcast"),
        link_names=call.flag("link_names"),
    )
    slack_chat().post(message)
    return {"channel": channel.id, "ts": message.ts, "message": message_json(message)}


def _thread(call: Call, channel: Channel) -> str:
    """The thread to answer in. "" also if its parent was deleted: the answer is then posted to the
    channel, without an error."""
    ts = call.text("thread_ts")
    if not ts or slack_chat().was_deleted(channel.id, ts):
        return ""
    if slack_chat().message(channel.id, ts) is None:
        raise SlackError("thread_not_found")
    return ts


def _count(channel: Channel) -> None:
    if seconds := slack_chat().wait(channel.id):
        raise TooSoon(seconds)


def writable(call: Call) -> Channel:
    channel = _channel(call)
    if channel.archived:
        raise SlackError("is_archived")
    if not channel.member:
        raise SlackError("not_in_channel")
    return channel


def content(call: Call) -> dict[str, Any]:
    text = call.text("text")
    blocks = call.structure("blocks", list, "invalid_blocks_format")
    attachments = call.structure("attachments", list, "invalid_attachments")
    if not (text or blocks or attachments):
        raise SlackError("no_text")
    if len(text) > MAX_TEXT:
        raise SlackError("msg_too_long")
    if len(blocks) > MAX_BLOCKS or not all(isinstance(b, dict) and "type" in b for b in blocks):
        raise SlackError("invalid_blocks")
    return {"text": text, "blocks": blocks, "attachments": attachments}


def _metadata(call: Call) -> dict[str, Any] | None:
    data: dict[str, Any] = call.structure("metadata", dict, "invalid_metadata_format")
    if not data:
        return None
    if not isinstance(data.get("event_type"), str) or not isinstance(
        data.get("event_payload"), dict
    ):
        raise SlackError("invalid_metadata_format")
    return data


def update_message(call: Call) -> dict[str, Any]:
    call.require("chat:write")
    channel = _channel(call)
    _count(channel)
    if channel.archived:
        raise SlackError("is_archived")
    message = slack_chat().message(channel.id, call.text("ts"))
    if message is None:
        raise SlackError("message_not_found")
    if message.refuses_edits:
        raise SlackError(message.refuses_edits)
    parts = content(call)
    if metadata := _metadata(call):
        parts["metadata"] = metadata
    slack_chat().update(message, **parts)
    shown = message_json(message)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


def get_permalink(call: Call) -> dict[str, Any]:
    channel, ts = _channel(call), call.text("message_ts")
    if slack_chat().message(channel.id, ts) is None:
        raise SlackError("message_not_found")
    link = f"{chat.TEAM_URL}archives/{channel.id}/p{ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": link}


METHODS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "auth.test": auth_test,
    "conversations.list": conversations_list,
    "conversations.info": conversations_info,
    "conversations.history": conversations_history,
    "conversations.replies": conversations_replies,
    "chat.postMessage": post_message,
    "chat.update": update_message,
    "chat.getPermalink": get_permalink,
}
