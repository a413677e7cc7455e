"""Servers that misbehave, and how a call to each must end, for this package and its clients."""

from __future__ import annotations

import gzip

import pytest

from delivr import outbound
from delivr.outbound import OutboundError
from delivr.tests.trap import drip, reply, reset, silence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b"\0" * 50_000_000)
MISBEHAVIOURS = {
    "says nothing": (silence, "timeout"),
    "drips headers": (drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", every=0.05), "timeout"),
    "drips one header": (drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"), "timeout"),
    "drips a body": (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"b"), "timeout"),
    "drips chunks": (drip(CHUNKED, b"1\r\nb\r\n"), "timeout"),
    "continues for ever": (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
    "resets": (reset, "reset"),
    "closes": (reply(b""), "reset"),
    "breaks off in the headers": (reply(b"HTTP/1.1 200 OK\r\nX-"), None),
    "breaks off in the body": (reply(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi"), "reset"),
    "breaks off in a chunk": (reply(CHUNKED + b"ff\r\nhi"), "reset"),
    "speaks SSH": (reply(b"SSH-2.0-OpenSSH_9.2\r\n"), "garbage"),
    "sends noise": (reply(bytes(range(256)) * 8), "garbage"),
    "sends a bad status": (reply(b"HTTP/1.1 abc OK\r\n\r\n"), "garbage"),
    "sends a bad chunk": (reply(CHUNKED + b"zz\r\nhi\r\n"), "garbage"),
    "sends bad gzip": (
        reply(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"),
        "garbage",
    ),
    "sends a bad length": (reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nhi"), "garbage"),
    "sends an endless line": (reply(b"HTTP/1.1 200 " + b"a" * 100_000), "garbage"),
    "sends endless headers": (reply(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500), "garbage"),
    "switches protocols": (reply(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "garbage"),
    "sends too much": (
        reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"b" * 2_000_000),
        "too_large",
    ),
    "never stops sending": (drip(b"HTTP/1.1 200 OK\r\n\r\n", b"b" * 99_999, every=0), "too_large"),
    "sends a bomb": (
        reply(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
            + BOMB
        ),
        "too_large",
    ),
}


def failure(url: str, method: str = "GET", deadline: float = 2.0, **kwargs) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        outbound.session(deadline=deadline).request(method, url, **kwargs)
    return caught.value
