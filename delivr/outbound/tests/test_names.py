"""Names: all addresses are checked, and the checked address is connected to."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from delivr import outbound
from delivr.outbound import OutboundError
from delivr.outbound.tests.hostile import OK, failure
from delivr.tests.trap import reply, trap


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["::1"],
        ["8.8.8.8", "::1"],
    ],
)
def test_name_with_one_private_address_is_refused_unconnected(allow, resolver, addresses):
    with trap(reply(OK)) as server:
        allow(f"ci.example:{server.port}")
        resolver.names["attacker.example"] = addresses
        allow(f"other.example:{server.port}")
        error = failure("http://attacker.example:8080/")
        assert (error.code, error.sent, server.connections) == ("address_refused", False, 0)


def test_allowed_name_that_resolves_to_metadata_is_refused(allow, resolver):
    allow("ci.example")
    resolver.names["ci.example"] = ["169.254.169.254"]
    assert failure("http://ci.example/").code == "address_refused"


def test_connection_goes_to_the_address_that_was_checked(allow, resolver):
    """A resolver that changes its answer between check and connect gains nothing: it is asked
    once."""
    with trap(reply(OK)) as server:
        allow(f"ci.example:{server.port}")
        resolver.names["ci.example"] = ["127.0.0.1"]
        response = outbound.session().get(f"http://ci.example:{server.port}/x")
        assert response.text == "hi"
        assert resolver.asked == ["ci.example"]
        assert f"Host: ci.example:{server.port}".encode() in server.requests[0]


def test_each_call_is_checked_again(allow, resolver):
    with trap(reply(OK)) as server:
        allow("127.0.0.1", f"ci.example:{server.port}")
        resolver.names["ci.example"] = ["127.0.0.1"]
        session = outbound.session()
        assert session.get(f"http://ci.example:{server.port}/").ok
        resolver.names["ci.example"] = ["169.254.169.254"]
        with pytest.raises(OutboundError, match="private"):
            session.get(f"http://ci.example:{server.port}/")
        assert server.connections == 1


def test_second_address_is_tried_when_the_first_is_closed(allow, resolver):
    with trap(reply(OK)) as server:
        allow(f"ci.example:{server.port}")
        resolver.names["ci.example"] = ["127.0.0.9", "127.0.0.1"]
        assert outbound.session().get(f"http://ci.example:{server.port}/").ok


def test_unknown_name_says_so(allow, monkeypatch):
    def nowhere(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    error = failure("http://nowhere.example/")
    assert (error.code, error.sent) == ("dns", False)
    assert "nowhere.example" in error.message


def test_resolver_that_hangs_is_cut_off_by_the_deadline(allow, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: over.wait(10) and [])
    started = time.monotonic()
    error = failure("http://slow.example/", deadline=0.3)
    over.set()
    assert (error.code, error.sent) == ("timeout", False)
    assert time.monotonic() - started < 3
