"""A server on the loopback that answers as told and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Reply:
    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""  # "reset": the answer is lost; "hang": it never comes

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Script = Reply | list[Reply] | Callable[[Seen], Reply]
LOGIN_PAGE = Reply(b"<html><form>Sign in</form></html>", headers={"Content-Type": "text/html"})


class Wire:
    """`routes`: path -> a reply, several in turn (the last one stays), or a function.

    An HTTPServer as `server` answers one at a time: faster, where nothing hangs.
    """

    def __init__(self, server: type[HTTPServer] = ThreadingHTTPServer) -> None:
        self.routes: dict[str, Script] = {}
        self.seen: list[Seen] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, path: str, method: str = "POST") -> int:
        return sum(seen.path == path and seen.method == method for seen in self.seen)

    def last(self, path: str) -> Seen:
        return [seen for seen in self.seen if seen.path == path][-1]

    def reply(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            script = self.routes.get(seen.path, Reply({"unexpected": seen.path}, status=404))
            if callable(script):
                return script(seen)
            if isinstance(script, list):
                return script.pop(0) if len(script) > 1 else script[0]
            return script

    def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:  # `self` is the handler
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = dict(parse_qsl(parts.query))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = wire.reply(Seen(self.command, parts.path, query, headers, body))
                if reply.fault == "hang":
                    wire.over.wait(30)
                if reply.fault:
                    return self.reset()
                self.send_response_only(reply.status)
                usual = {"Content-Type": "application/json", "Date": self.date_time_string()}
                for name, value in {**usual, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.content)
                return None

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def reset(self) -> None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as server:
        yield server


def payloads(test_file: str) -> Callable[[str], Any]:
    """A reader of the `payloads` folder beside a test file."""
    folder = Path(test_file).parent / "payloads"
    return lambda name: json.loads((folder / f"{name}.json").read_text())


def everything_in(error: BaseException) -> str:
    """All that a log or a crash report may show of an exception and of what it came from."""
    shown, waiting, done = [], [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in done:
            continue
        done.add(id(one))
        shown += [str(one), repr(one), repr(vars(one)), repr(one.args)]
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "\n".join(shown)
