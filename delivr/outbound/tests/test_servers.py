"""How calls to misbehaving servers end, and what is never sent."""

from __future__ import annotations

import gzip
import socket
import threading
import time

import pytest

from delivr import outbound
from delivr.outbound import OutboundError
from delivr.outbound.tests.hostile import MISBEHAVIOURS, OK, failure
from delivr.tests.trap import read_request, reply, silence, trap

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_misbehaving_server_ends_in_one_error_in_time(allow, behaviour, method):
    script, code = MISBEHAVIOURS[behaviour]
    allow("127.0.0.1")
    with trap(script) as server:
        started = time.monotonic()
        deadline = 0.4 if code == "timeout" else 5.0
        if code is None:  # http.client takes the end of a header line for the end of the headers
            outbound.session(deadline=deadline).request(method, server.url)
            return
        error = failure(
            server.url, method, deadline=deadline, data=b"x" if method == "POST" else None
        )
        assert (error.code, error.sent) == (code, True)
        assert error.message
        assert error.hint
        assert time.monotonic() - started < 4
        assert server.connections == 1  # nothing is ever sent twice


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_reported_and_not_followed(allow, status):
    allow("127.0.0.1")
    with trap(reply(OK)) as target:
        line = f"HTTP/1.1 {status} Moved\r\nLocation: {target.url}/\r\nContent-Length: 0\r\n\r\n"
        with trap(reply(line.encode())) as server:
            error = failure(server.url, headers={"Authorization": "Bearer canary"})
            assert (error.code, error.sent, target.connections) == ("redirect", True, 0)
            assert "final URL" in error.hint
            response = outbound.session(keep_redirects=True).get(server.url, allow_redirects=True)
            assert (response.status_code, target.connections) == (status, 0)


def test_closed_port_means_not_sent(allow):
    allow("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/", "POST", data=b"x")
    assert (error.code, error.sent) == ("connect", False)


def test_shorter_timeout_of_a_request_counts(allow):
    allow("127.0.0.1")
    with trap(silence) as server:
        started = time.monotonic()
        assert failure(server.url, deadline=20, timeout=0.2).code == "timeout"
        assert time.monotonic() - started < 3


def test_slow_reader_of_a_large_body_is_cut_off(allow):
    listener = socket.create_server(("127.0.0.1", 0))
    allow("127.0.0.1")
    try:
        error = failure(
            f"http://127.0.0.1:{listener.getsockname()[1]}/", "POST", 0.4, data=b"x" * 20_000_000
        )
    finally:
        listener.close()
    assert (error.code, error.sent) == ("timeout", True)


def test_complete_response_within_the_limits_arrives(allow):
    allow("127.0.0.1")
    body = b"b" * outbound.MAX_BODY
    packed = gzip.compress(body)
    head = b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with trap(reply(head % len(packed) + packed)) as server:
        response = outbound.session().post(server.url + "/a?b=c", json={"k": 1})
        assert (response.status_code, response.content) == (201, body)
        assert server.requests[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
        assert server.requests[0].endswith(b'{"k": 1}')


def test_environment_is_ignored(allow, monkeypatch, tmp_path):
    allow("127.0.0.1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    netrc.chmod(0o600)
    with trap(reply(OK)) as proxy, trap(reply(OK)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        assert outbound.session().get(server.url).ok
        assert outbound.session().get(server.url, proxies={"http": proxy.url}).ok
        assert proxy.connections == 0
        assert b"Authorization" not in server.requests[0]


def test_cookies_are_not_kept(allow):
    allow("127.0.0.1")
    with trap(reply(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))) as server:
        session = outbound.session()
        session.get(server.url)
        session.get(server.url)
        assert b"Cookie" not in server.requests[1]


def test_pinned_adapter_refuses_any_other_host(allow):
    allow("127.0.0.1", "localhost")
    with trap(reply(OK)) as server:
        session = outbound.session(host="127.0.0.1")
        assert session.get(server.url).ok
        with pytest.raises(OutboundError) as caught:
            session.get(f"http://localhost:{server.port}/")
        assert (caught.value.code, server.connections) == ("address_refused", 1)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "//127.0.0.1/", "127.0.0.1", "http://", "http:"]
)
def test_invalid_url_of_a_request_is_one_error(allow, url):
    error = failure(url)
    assert (error.code, error.sent) == ("bad_url", False)


def test_error_carries_no_secret(allow):
    allow("127.0.0.1")
    with trap(reply(b"canary-body")) as server:
        error = failure(server.url + "/canary-path", headers={"Authorization": "canary-header"})
        assert error.__cause__ is None
        assert error.__context__ is None
        assert "canary" not in f"{error!r} {error.message} {error.hint}"


def test_one_session_serves_threads_with_a_deadline_each(allow):
    allow("127.0.0.1")

    def echo(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(OK)

    with trap(echo) as server, trap(silence) as dead:
        session, outcomes = outbound.session(deadline=1.0), []

        def call(url: str) -> None:
            try:
                outcomes.append(session.get(url).text)
            except OutboundError as error:
                outcomes.append(error.code)

        threads = [threading.Thread(target=call, args=(url,)) for url in [server.url, dead.url] * 8]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(outcomes) == ["hi"] * 8 + ["timeout"] * 8


def test_trap_reads_a_complete_request():
    """The other tests rely on this."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        threading.Thread(target=ours.sendall, args=(b"hi",)).start()
        assert read_request(theirs).endswith(b"\r\n\r\nhi")
