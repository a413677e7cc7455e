"""Opens a connection before a deadline: resolve, check all addresses, connect to one of them."""

from __future__ import annotations

import functools
import queue
import socket
import ssl
import threading
import time
from typing import Any, cast

import urllib3
import urllib3.connection
from urllib3.util.ssl_ import create_urllib3_context

from delivr.outbound import addresses
from delivr.outbound.urls import Code, OutboundError, refused


class Call:
    """One call. `only_public`: what the operator allows besides public addresses does not count."""

    def __init__(self, seconds: float, where: str, *, only_public: bool = False) -> None:
        self.seconds = seconds
        self.where = where
        self.only_public = only_public
        self.until = time.monotonic() + seconds
        self.sent = False
        self.sock: socket.socket | None = None

    def left(self) -> float:
        """The remaining seconds. Raises TimeoutError if there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def close(self) -> None:
        """Close the socket even if http.client holds a half-read response."""
        if self.sock is not None and (descriptor := self.sock.detach()) >= 0:
            socket.close(descriptor)

    def error(self, code: Code, message: str, hint: str = "") -> OutboundError:
        return OutboundError(code, message, hint, sent=self.sent)


class _TimedSocket(socket.socket):
    """A socket whose operations time out at the deadline of the call."""

    call: Call | None = None

    def _set_timeout(self) -> None:
        if self.call is not None:
            self.settimeout(self.call.left())

    def recv(self, *args: Any) -> bytes:
        self._set_timeout()
        return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        self._set_timeout()
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        self._set_timeout()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self._set_timeout()
        super().sendall(*args)


class _TimedTLSSocket(_TimedSocket, ssl.SSLSocket):
    """The same over TLS; the handshake uses the time-out of the plain socket."""


@functools.lru_cache(maxsize=8)
def tls_context(*authorities: str) -> ssl.SSLContext:
    """Trusts the authorities in these files, and no others."""
    context = create_urllib3_context()
    for path in authorities:
        context.load_verify_locations(path)
    context.sslsocket_class = _TimedTLSSocket
    return context


# --- Connecting to a checked address ------------------------------------------------------------

_Found = tuple[socket.AddressFamily, tuple[Any, ...]]


def _resolve(host: str, port: int, call: Call) -> list[_Found]:
    """All addresses of a name. In its own thread, since the resolver has no time-out; of an address
    itself, which nobody has to be asked for, here."""
    answers: queue.SimpleQueue[list[Any] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    if addresses.literal(host) is None:
        threading.Thread(target=ask, daemon=True, name="outbound-dns").start()
    else:
        ask()
    try:
        answer = answers.get(timeout=call.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception) or not answer:
        raise call.error(
            "dns", f"The host name {host} was not found.", "Check the spelling of the address."
        )
    return [(family, sockaddr) for family, _, _, _, sockaddr in answer]


def _checked(found: list[_Found], host: str, port: int, call: Call) -> list[_Found]:
    """The same list. Raises OutboundError if any of its addresses may not be connected to."""
    for _, sockaddr in found:
        address = addresses.literal(str(sockaddr[0]).partition("%")[0])
        if address is None or not addresses.may_reach(address, host=host, port=port):
            raise refused(host)
        if call.only_public and not addresses.is_public(address):
            raise refused(host)
    return found


def _open(host: str, port: int, call: Call) -> _TimedSocket:
    """A socket to one of the checked addresses of `host`, tried in the resolver's order."""
    found = _checked(_resolve(host, port, call), host, port, call)
    for position, (family, sockaddr) in enumerate(found):
        sock = _TimedSocket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(call.left() / (len(found) - position))
            sock.connect(sockaddr)
            sock.settimeout(call.left())
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.call = call
            call.sock = sock
            return sock
    if isinstance(failure, TimeoutError):
        raise TimeoutError
    raise call.error(
        "connect",
        f"{call.where} does not accept connections.",
        "Check the address and port, and that no firewall blocks this server.",
    )


class _CheckedConnection:
    """Mixin for urllib3's connections: opens its socket by `_open`, and notes that it was used."""

    host: str
    port: int
    sock: Any

    def __init__(self, *args: Any, call: Call, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.call = call

    def _new_conn(self) -> socket.socket:
        return _open(self.host, self.port, self.call)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined] # of urllib3
        self.call.sent = True
        super().send(data)  # type: ignore[misc] # of urllib3


class _HTTPConnection(_CheckedConnection, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_CheckedConnection, urllib3.connection.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.call.sock = sock = cast(_TimedTLSSocket, self.sock)
        sock.call = self.call


class HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection
