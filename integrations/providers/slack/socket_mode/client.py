"""Slack's Socket Mode: presses of buttons come through a WebSocket that we open, so that they reach
an installation behind a firewall. The frames are slack_sdk's.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from slack_sdk.errors import SlackClientNotConnectedError
from slack_sdk.socket_mode.builtin.connection import Connection, ConnectionState

from ...base import ProviderError
from ...chat import Press
from ...http import garbage
from ..client import SlackClient
from ..errors import LABEL

log = logging.getLogger(__name__)
# The SDK logs the frames it cannot read, with what is in them.
_silent = logging.getLogger("delivr.slack_socket")
_silent.addHandler(logging.NullHandler())
_silent.setLevel(logging.CRITICAL + 1)
_silent.propagate = False

PING_EVERY = 5.0  # seconds; Slack counts a connection without pongs for 20 s as dead


def open_address(app_token: str, *, deadline: float) -> str:
    """The address of a new WebSocket, valid for one connection. Raises ProviderError.

    https://docs.slack.dev/reference/methods/apps.connections.open
    """
    answer = SlackClient(app_token, deadline=deadline, what="app-level token").call(
        "apps.connections.open"
    )
    address = str(answer.data.get("url"))
    if not _is_slacks(address):
        raise garbage(LABEL)
    return address


def _is_slacks(address: str) -> bool:
    """True if it leads to Slack, or to the stand-in that the API's address leads to."""
    parts, ours = urlsplit(address), urlsplit(settings.SLACK_API_URL)
    if parts.scheme == "wss" and (parts.hostname or "").endswith(".slack.com"):
        return ours.hostname == "slack.com" or (ours.hostname or "").endswith(".slack.com")
    return parts.scheme == "ws" and ours.scheme == "http" and parts.netloc == ours.netloc


class Socket:
    """One WebSocket. `on_press` stores a press; Slack is told that it arrived once it returned."""

    def __init__(self, address: str, on_press: Callable[[Press], None]) -> None:
        self._on_press = on_press
        self._state = ConnectionState()  # type: ignore[no-untyped-call]
        self._is_over = threading.Event()
        self._connection = Connection(
            address,
            _silent,
            ping_interval=PING_EVERY,
            on_message_listener=self._receive,
            on_error_listener=lambda _error: self._is_over.set(),
            on_close_listener=lambda _code, _reason: self._is_over.set(),
        )

    def run(self, stopping: threading.Event) -> None:
        """Until Slack closes it or asks for a new one, it breaks, or `stopping` is set."""
        self._connection.connect()
        reader = threading.Thread(
            target=self._connection.run_until_completion, args=[self._state], daemon=True
        )
        reader.start()
        checked_at = time.monotonic()
        while (
            self._connection.is_active() and not stopping.is_set() and not self._is_over.wait(0.2)
        ):
            if time.monotonic() - checked_at > PING_EVERY:
                self._connection.check_state()
                checked_at = time.monotonic()
        self._state.terminated = True
        self._connection.close()
        reader.join(timeout=5)

    def _receive(self, text: str) -> None:
        try:
            envelope = json.loads(text)
        except ValueError:
            return
        if not isinstance(envelope, dict):
            return
        if envelope.get("type") == "disconnect":  # Slack renews connections every few hours
            self._is_over.set()
        elif isinstance(envelope.get("envelope_id"), str):
            self._take(envelope)

    def _take(self, envelope: Mapping[str, Any]) -> None:
        """Store first, then tell Slack: an envelope that it was not told about comes again."""
        press = press_of(envelope)
        try:
            if press is not None:
                self._on_press(press)
        except Exception:
            log.exception("A press could not be stored.")
            return
        with suppress(SlackClientNotConnectedError, OSError):
            self._connection.send(json.dumps({"envelope_id": envelope["envelope_id"]}))


def press_of(envelope: Mapping[str, Any]) -> Press | None:
    """The press of one of our buttons; None for links and everything else.

    https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """
    payload = envelope.get("payload")
    if envelope.get("type") != "interactive" or not isinstance(payload, dict):
        return None
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    if payload.get("type") != "block_actions" or not isinstance(action, dict):
        return None
    if not isinstance(action.get("value"), str):
        return None
    message = _part(payload, "message")
    return Press(
        envelope=str(envelope["envelope_id"])[:100],
        team=_text(_part(payload, "team").get("id"), 30),
        user=_text(_part(payload, "user").get("id"), 30),
        user_name=_text(
            _part(payload, "user").get("username") or _part(payload, "user").get("name"), 80
        ),
        channel=_text(_part(payload, "channel").get("id"), 30),
        thread=_text(message.get("thread_ts") or message.get("ts"), 40),
        action=_text(action.get("action_id"), 60),
        value=_text(action.get("value"), 60),
    )


def _part(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object, most: int) -> str:
    return value[:most].replace("\x00", "") if isinstance(value, str) else ""


def check(app_token: str, *, deadline: float) -> ProviderError | None:
    """What keeps the token from opening a connection; None if it could. Opens none."""
    try:
        open_address(app_token, deadline=deadline)
    except ProviderError as error:
        return error
    return None
