"""Slack's Socket Mode: WebSockets that delivr opens, through which presses of buttons are reported.

As Slack does it: an address is valid for one connection, a press goes to one of the open
connections, and an app without a connection gets none: the person sees a warning.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from simple_websocket import ConnectionClosed, Server
from werkzeug.wrappers import Response

PATH = "/slack/socket"
ACK_TIMEOUT = 3.0  # seconds: https://docs.slack.dev/interactivity/handling-user-interaction


class Sockets:
    """The open connections of one app."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: set[str] = set()
        self._open: list[Server] = []
        self._acknowledged: dict[str, threading.Event] = {}

    def ticket(self) -> str:
        """What makes an address valid once."""
        made = secrets.token_urlsafe(12)
        with self._lock:
            self._tickets.add(made)
        return made

    @property
    def count(self) -> int:
        with self._lock:
            return len(self._open)

    def send(self, payload: dict[str, Any], *, envelope: str = "") -> bool:
        """Report a press to the newest connection; True if it was acknowledged in time."""
        envelope = envelope or secrets.token_hex(16)
        acknowledged = threading.Event()
        with self._lock:
            socket = self._open[-1] if self._open else None
            self._acknowledged[envelope] = acknowledged
        if socket is None:
            return False
        report = {
            "envelope_id": envelope,
            "type": "interactive",
            "accepts_response_payload": True,
            "payload": payload,
        }
        with suppress(ConnectionClosed):
            socket.send(json.dumps(report))
        return acknowledged.wait(ACK_TIMEOUT)

    def renew(self) -> None:
        """Ask every connection to be replaced, as Slack does every few hours."""
        self._tell({"type": "disconnect", "reason": "refresh_requested"})

    def close(self) -> None:
        with self._lock:
            found = list(self._open)
        for socket in found:
            with suppress(ConnectionClosed):
                socket.close()

    def _tell(self, words: dict[str, Any]) -> None:
        with self._lock:
            found = list(self._open)
        for socket in found:
            with suppress(ConnectionClosed):
                socket.send(json.dumps(words))

    def serve(self, environ: dict[str, Any]) -> Response:
        """Hold one connection until it is closed."""
        ticket = environ.get("QUERY_STRING", "").removeprefix("ticket=").partition("&")[0]
        with self._lock:
            is_known = ticket in self._tickets
            self._tickets.discard(ticket)
        if not is_known:
            return Response(status=403)
        socket = Server.accept(environ)
        with self._lock:
            self._open.append(socket)
        try:
            socket.send(json.dumps({"type": "hello", "num_connections": self.count}))
            while True:
                self._receive(socket.receive())
        except ConnectionClosed:
            pass
        finally:
            with self._lock:
                self._open.remove(socket)
        return Response()

    def _receive(self, text: Any) -> None:
        try:
            answer = json.loads(text)
        except (TypeError, ValueError):
            return
        with self._lock:
            known = self._acknowledged.get(str(answer.get("envelope_id")))
        if known is not None:
            known.set()


class SocketGate:
    """Before everything else: a WebSocket stays open, so it must not hold the sandbox's lock."""

    def __init__(self, app: Callable[..., Iterable[bytes]], sockets: Sockets) -> None:
        self.app, self.sockets = app, sockets

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return self.sockets.serve(environ)(environ, start_response)
        return self.app(environ, start_response)
