"""People in Slack's Web API: who they are, what one of them alone is shown, and the connection
through which their presses are reported."""

from __future__ import annotations

import zlib
from typing import Any

from sandbox import chat, sockets
from sandbox.context import state
from sandbox.providers.slack import (
    METHODS,
    SOCKET_SCOPE,
    Call,
    SlackError,
    content,
    slack_chat,
    writable,
)


def open_connection(call: Call) -> dict[str, Any]:
    call.require(SOCKET_SCOPE)
    address = state().base_url.replace("http", "ws", 1)
    return {"url": f"{address}{sockets.PATH}?ticket={state().sockets.ticket()}"}


def users_info(call: Call) -> dict[str, Any]:
    call.require("users:read")
    person = chat.PEOPLE.get(call.text("user"))
    if person is None:
        raise SlackError("user_not_found")
    profile = {"real_name": person.name}
    if "users:read.email" in call.scopes and person.email:
        profile["email"] = person.email
    return {
        "user": {
            "id": person.id,
            "team_id": person.team or chat.TEAM_ID,
            "name": person.name.split()[0].lower(),
            "deleted": person.deleted,
            "is_bot": False,
            "is_restricted": person.guest,
            "is_email_confirmed": person.confirmed,
            "profile": profile,
        }
    }


def post_ephemeral(call: Call) -> dict[str, Any]:
    call.require("chat:write")
    channel = writable(call)
    if call.text("user") not in chat.PEOPLE:
        raise SlackError("user_not_in_channel")
    content(call)
    shown = slack_chat().show(
        channel.id, call.text("user"), call.text("text"), call.text("thread_ts")
    )
    return {"message_ts": shown.ts}


def users_lookup_by_email(call: Call) -> dict[str, Any]:
    """Everybody is in this workspace, but whose address begins with `stranger`."""
    call.require("users:read.email")
    email = call.text("email").lower()
    if not email or email.startswith("stranger"):
        raise SlackError("users_not_found")
    known = next((one.id for one in chat.PEOPLE.values() if one.email == email), "")
    number = known or f"U{zlib.crc32(email.encode()):08X}"
    return {"user": {"id": number, "name": email.split("@")[0], "deleted": False}}


def usergroups_list(call: Call) -> dict[str, Any]:
    call.require("usergroups:read")
    groups = [
        {"id": id, "handle": handle, "name": name, "date_delete": 0}
        for id, handle, name in chat.GROUPS
    ]
    return {"usergroups": groups}


METHODS.update(
    {
        "usergroups.list": usergroups_list,
        "apps.connections.open": open_connection,
        "users.info": users_info,
        "users.lookupByEmail": users_lookup_by_email,
        "chat.postEphemeral": post_ephemeral,
    }
)
