"""The middleware in front of all stand-ins: it reads the request, applies faults, holds the lock
while the request is handled, and writes the request log."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from werkzeug.wrappers import Response

from sandbox import proxies
from sandbox.faults import AFTERWARDS, Fault
from sandbox.state import SandboxState

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

PREFIXES = {
    "/github": "github",
    "/api/v3": "github",
    "/api/graphql": "github",
    "/gitlab": "gitlab",
    "/jenkins": "jenkins",
    "/slack/api": "slack",
    "/jira": "jira",
    "/atlassian": "jira",
    "/dc/jira": "jira",
    "/appstore": "app_store",
    "/play": "google_play",
    "/google": "google_oauth",
    "/playreporting": "play_reporting",
    "/sentry": "sentry",
    "/anyci": "any_ci",
    "/listener": "endpoint",
    "/teams": "teams",
}
BODY_LIMIT = 5_000_000  # bytes
UPLOADS = "/play/upload/"
UPLOAD_LIMIT, PIECE = 4_000_000_000, 1 << 20  # bytes
LONGEST_DRIP = 120.0  # seconds
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def locate(path: str) -> tuple[str, str]:
    """The provider that a path belongs to ("" for none) and the path below its prefix."""
    for prefix, provider in PREFIXES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return provider, path.removeprefix(prefix) or "/"
    return "", path


def trouble_body(provider: str, status: int, words: str = "") -> tuple[str, str]:
    """The content type and body of a provider's own failure, with its words or `words`."""
    if provider == "jenkins":
        what = words or "Oops! A problem occurred."
        page = f"<html><body><h1>HTTP {status}</h1><p>{what}</p></body></html>"
        return "text/html;charset=utf-8", page
    is_rate = status == 429 and not words
    slack = words or ("ratelimited" if status == 429 else "internal_error")
    words = words or ("Too many requests" if status == 429 else "Something went wrong")
    bodies: dict[str, Any] = {
        "github": {"message": "You have exceeded a secondary rate limit." if is_rate else words},
        "slack": {"ok": False, "error": slack},
        "jira": {"errorMessages": [words], "errors": {}},
        "sentry": {"detail": words},
        "app_store": {"errors": [_apple_trouble(status, words)]},
    }
    google = {"error": {"code": status, "message": words, "status": "UNAVAILABLE"}}
    return "application/json", json.dumps(bodies.get(provider, google))


def _apple_trouble(status: int, words: str) -> dict[str, str]:
    code = "RATE_LIMIT_EXCEEDED" if status == 429 else "UNEXPECTED_ERROR"
    return {"status": str(status), "code": code, "title": words}


class Gate:
    """WSGI middleware. `stopping` ends answers that hang on purpose."""

    def __init__(self, app: WsgiApp, state: SandboxState, stopping: threading.Event) -> None:
        self.app, self.state, self.stopping = app, state, stopping

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        _read_body(environ)
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        provider, below = locate(path)
        if not provider:
            return self._run(environ)(environ, start_response)
        method = environ["REQUEST_METHOD"]
        fault = self.state.faults.strike(provider, method, below)
        facts = {"provider": provider, "method": method, "path": below}
        try:
            answer = self._answer(environ, provider, fault, facts)
        finally:
            environ["wsgi.input"].close()  # which may be a file
        return answer(environ, start_response)

    def _answer(
        self, environ: Environ, provider: str, fault: Fault | None, facts: dict[str, Any]
    ) -> Response:
        if fault and fault.kind not in AFTERWARDS:
            self._log(facts, fault, 0)
            answer = self._instead(environ, provider, fault)
            facts["status"] = answer.status_code
            return answer
        if fault and fault.kind == "late":
            self.stopping.wait(fault.seconds)
        answer = self._run(environ)
        self._log(facts, fault, answer.status_code)
        return self._afterwards(environ, fault, answer, facts) if fault else answer

    def _run(self, environ: Environ) -> Response:
        with self.state.lock:
            self.state.settle()
            return Response.from_app(self.app, environ, buffered=True)

    def _log(self, facts: dict[str, Any], fault: Fault | None, status: int) -> None:
        """Add `facts` to the log; the same dict may get its status later."""
        facts |= {"at": self.state.clock(), "status": status, "fault": fault.kind if fault else ""}
        self.state.requests.add_entry(facts)
        self.state.touch()

    def _instead(self, environ: Environ, provider: str, fault: Fault) -> Response:
        if fault.kind in PAGES:
            return PAGES[fault.kind](environ, provider, fault)
        match fault.kind:
            case "endless":
                return Response(self._endless(), 200, content_type="application/json")
            case "drip_headers":
                self._drip_headers(environ, fault.seconds)
            case "timeout":
                self._hang(environ, fault.seconds)
        return _cut(environ)

    def _afterwards(
        self, environ: Environ, fault: Fault, answer: Response, facts: dict[str, Any]
    ) -> Response:
        if fault.kind == "late":
            return answer
        if fault.kind == "no_location":
            answer.headers.pop("Location", None)
            return answer
        if fault.kind == "drip":
            body = answer.get_data()
            answer.response = self._drip(body, fault.seconds)
            answer.headers["Content-Length"] = str(len(body))
            return answer
        facts["status"] = 0
        if fault.kind == "timeout_after":
            self._hang(environ, fault.seconds)
        return _cut(environ)

    def _endless(self) -> Iterator[bytes]:
        yield b'{"padding":"'
        while not self.stopping.is_set():
            yield b"x" * 4096

    def _drip(self, body: bytes, seconds: float) -> Iterator[bytes]:
        for position in range(len(body)):
            if self.stopping.wait(seconds):
                return
            yield body[position : position + 1]

    def _drip_headers(self, environ: Environ, seconds: float) -> None:
        connection: socket.socket | None = environ.get("werkzeug.socket")
        if connection is None:
            return
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for number in range(int(LONGEST_DRIP / max(seconds, 0.01))):
                connection.sendall(f"X-Drip-{number}: drop\r\n".encode())
                if self.stopping.wait(seconds):
                    return

    def _hang(self, environ: Environ, seconds: float) -> None:
        """Keep the client waiting until it disconnects, the time is over or the sandbox stops."""
        connection: socket.socket | None = environ.get("werkzeug.socket")
        waited, step = 0.0, 0.1
        while waited < seconds and not self.stopping.wait(step):
            waited += step
            if connection is not None and _has_left(connection):
                return


def _read_body(environ: Environ) -> None:
    """Read the body first: a slow client must not hold the lock, and closing a connection with
    unread bytes would reset it even where no reset is intended."""
    length = str(environ.get("CONTENT_LENGTH") or 0)
    known = int(length) if length.isdecimal() else 0
    if environ["PATH_INFO"].startswith(UPLOADS):
        _keep_on_disk(environ, known)
        return
    size = BODY_LIMIT if environ.get("wsgi.input_terminated") else min(known, BODY_LIMIT)
    body = environ["wsgi.input"].read(size) if size else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))


def _keep_on_disk(environ: Environ, known: int) -> None:
    """The same for a body that may be too large for the memory."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the request
    left = UPLOAD_LIMIT if environ.get("wsgi.input_terminated") else min(known, UPLOAD_LIMIT)
    while left and (piece := environ["wsgi.input"].read(min(PIECE, left))):
        file.write(piece)
        left -= len(piece)
    environ["CONTENT_LENGTH"] = str(file.tell())
    file.seek(0)
    environ["wsgi.input"] = file


def _has_left(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _cut(environ: Environ) -> NoReturn:
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    raise ConnectionResetError("cut on purpose")


def is_cut(connection: socket.socket) -> bool:
    """True if closing the connection is to send a reset instead of an orderly end."""
    value = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE))
    return value == RESET_ON_CLOSE


def _status(_environ: Environ, provider: str, fault: Fault) -> Response:
    content_type, body = trouble_body(provider, fault.status)
    answer = Response(body, fault.status, content_type=content_type)
    if provider == "jenkins":
        answer.headers["X-Jenkins"] = proxies.VERSION
    if fault.status in (429, 503):
        answer.headers["Retry-After"] = str(fault.retry_after)
    return answer


def _sign_in(environ: Environ, _provider: str, _fault: Fault) -> Response:
    path = environ["PATH_INFO"]
    _, below = locate(path)
    return proxies.sign_in(path.removesuffix(below), below)


def _echo(environ: Environ, provider: str, fault: Fault) -> Response:
    """Echo the Authorization header, and for Basic also the decoded credentials."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    scheme, _space, text = header.partition(" ")
    with contextlib.suppress(ValueError):
        if scheme.lower() == "basic":
            header = f"{header} {base64.b64decode(text).decode()}"
    content_type, body = trouble_body(provider, fault.status, f"Bad Authorization: {header}")
    return Response(body, fault.status, content_type=content_type)


def _oversized(size: int) -> Response:
    head, tail, piece = b'{"padding":"', b'"}', b"x" * 65536

    def pieces() -> Iterator[bytes]:
        yield head
        left = size - len(head) - len(tail)
        while left > 0:
            yield piece[:left]
            left -= len(piece)
        yield tail

    answer = Response(pieces(), 200, content_type="application/json")
    answer.headers["Content-Length"] = str(max(size, len(head) + len(tail)))
    return answer


# Faults that respond immediately; the other kinds are slow or never end.
PAGES: dict[str, Callable[[Environ, str, Fault], Response]] = {
    "status": _status,
    "proxy": lambda _environ, _provider, fault: proxies.page_of(fault.proxy, fault.status),
    "sign_in": _sign_in,
    "starting": lambda *_: proxies.starting(),
    "echo": _echo,
    "html_200": lambda *_: Response(proxies.LOGIN_PAGE, 200, content_type=proxies.HTML),
    "redirect": lambda _environ, _provider, fault: Response(
        "", 302, {"Location": fault.location}, content_type="text/html"
    ),
    "garbage": lambda *_: Response(b'{"oh": \xff\xfe', 200, content_type="application/json"),
    "oversized": lambda _environ, _provider, fault: _oversized(fault.size),
}
