"""A mail server on loopback that misbehaves as tests tell it to."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import Any


class MailServer:
    """`behaviour`: what to do with the next mails, one word each: "refuse", "later", "busy" …"""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.behaviour: list[str] = []
        self.port = 0


class _Handler(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        state: MailServer = self.server.state
        how = state.behaviour.pop(0) if state.behaviour else ""
        if how == "busy":
            self._say("421 too busy")
            return
        self._say("220 ready")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"RCPT" and how in ("refuse", "later"):
                self._say("550 no such box" if how == "refuse" else "451 come again")
            elif verb == b"DATA":
                self._say("354 go on")
                mail = self._mail()
                if how == "hang_up":
                    return
                state.taken.append(mail)
                if how == "hang_up_after":
                    return
                self._say("250 taken")
            else:
                self._say("250 ok")

    def _mail(self) -> str:
        lines = []
        while (line := self.rfile.readline().rstrip(b"\r\n")) != b".":
            lines.append(line.decode())
        return "\n".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    state = MailServer()
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.state = state
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
