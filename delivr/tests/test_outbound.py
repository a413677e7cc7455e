"""The door: what it refuses, what it reaches, and how every misbehaviour of a server ends."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from delivr import outbound
from delivr.outbound import OutboundError, check_url, origin
from delivr.outbound.sockets import tls_context
from delivr.tests.trap import certificate, drip, read_request, reply, reset, silence, trap

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def allow(settings):
    def set_rules(*rules: str) -> None:
        settings.OUTBOUND_ALLOW = list(rules)

    set_rules()
    return set_rules


@pytest.fixture
def resolver(monkeypatch):
    """Names and the addresses that the system's resolver shall give for them; counts questions."""
    real, names, asked = socket.getaddrinfo, {}, []

    def getaddrinfo(host, port, *args, **kwargs):
        asked.append(host)
        if host not in names:
            return real(host, port, *args, **kwargs)
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (ip, port),
            )
            for ip in names[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return SimpleNamespace(names=names, asked=asked)


def failure(url: str, method: str = "GET", deadline: float = 2.0, **kwargs) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        outbound.session(deadline=deadline).request(method, url, **kwargs)
    return caught.value


# --- Addresses that people type -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("https://jenkins.example.com", "https://jenkins.example.com"),
        ("jenkins.dream11.com", "https://jenkins.dream11.com"),
        ("  HTTP://Jenkins.Example.COM:80/ci/  ", "http://jenkins.example.com/ci"),
        ("https://example.com:8443/jenkins", "https://example.com:8443/jenkins"),
        ("https://example.com.", "https://example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://8.8.8.8", "http://8.8.8.8"),
        ("http://[2606:4700:4700:0::1111]/", "http://[2606:4700:4700::1111]"),
    ],
)
def test_usable_address_is_normalised(allow, typed, stored):
    assert check_url(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "https://",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://user@example.com",
        "https://user:pass@example.com",
        "https://example.com@127.0.0.1",
        "https://example.com:0",
        "https://example.com:99999",
        "https://example.com:http",
        "https://exa mple.com",
        "https://example.com\\@127.0.0.1",
        "https://example.com/\r\nX: y",
        "https://example.com/\x00",
        "https://example.com?next=/",
        "https://example.com/#top",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        "https://-example.com",
        "https://exa*mple.com",
        "https://" + "a" * 64 + ".example",
        "https://example.com/" + "a" * 2000,
        "https://..",
    ],
)
def test_unusable_address_is_refused_in_words(allow, typed):
    with pytest.raises(OutboundError) as caught:
        check_url(typed)
    assert (caught.value.code, caught.value.sent) == ("bad_url", False)
    assert caught.value.message
    assert caught.value.hint


PRIVATE = [
    "0.0.0.0",  # noqa: S104 # an address to refuse, nothing binds to it
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.1.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::1]",
    "[100::1]",
    "[2001::1]",
    "[2001:2::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
]
ODD = ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001", "0"]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "metadata.google.internal",
    "METADATA.google.internal.",
]


@pytest.mark.parametrize("host", PRIVATE + ODD + METADATA)
def test_private_odd_and_metadata_hosts_are_refused_when_saved_and_when_connecting(allow, host):
    with pytest.raises(OutboundError) as caught:
        check_url(f"http://{host}/")
    assert caught.value.code == "address_refused"
    error = failure(f"http://{host}/")
    assert (error.code, error.sent) == ("address_refused", False)


@pytest.mark.parametrize("host", METADATA)
def test_no_setting_opens_metadata(allow, host):
    allow("0.0.0.0/0", "::/0", host.strip("[]").lower(), "metadata.google.internal")
    assert failure(f"http://{host}/").code == "address_refused"


@pytest.mark.parametrize(
    "host", ["172.15.0.1", "172.32.0.1", "100.128.0.1", "11.0.0.1", "[2620::1]"]
)
def test_neighbours_of_private_blocks_are_open(allow, host):
    assert check_url(f"https://{host}") == f"https://{host}"


@pytest.mark.parametrize("port", [22, 25, 6379, 5432, 8000, 9200])
def test_unusual_port_is_refused(allow, port):
    with pytest.raises(OutboundError) as caught:
        check_url(f"http://example.com:{port}")
    assert caught.value.code == "address_refused"
    assert f"example.com:{port}" in caught.value.hint


@pytest.mark.parametrize(
    ("rule", "opened", "closed"),
    [
        ("10.1.2.3", ["http://10.1.2.3", "http://10.1.2.3:9000"], ["http://10.1.2.4"]),
        ("10.1.2.3:9000", ["http://10.1.2.3:9000"], ["http://10.1.2.3", "http://10.1.2.3:9001"]),
        ("10.1.0.0/16", ["http://10.1.2.3:8080"], ["http://10.2.0.1", "http://10.1.2.3:9000"]),
        ("ci.corp", ["http://ci.corp:9000"], ["http://x.ci.corp:9000", "http://ci.corp.x:9000"]),
        ("CI.corp:9000", ["http://ci.corp:9000"], ["http://ci.corp:9001"]),
        (
            "[fd12::1]:9000",
            ["http://[fd12::1]:9000"],
            ["http://[fd12::1]", "http://[fd12::2]:9000"],
        ),
        ("fd12::/64", ["http://[fd12::5]"], ["http://[fd12:1::5]"]),
        (
            "127.0.0.1",
            ["http://127.0.0.1:5000"],
            ["http://[::ffff:127.0.0.1]:5000", "http://127.1"],
        ),
    ],
)
def test_operators_rule_opens_exactly_what_it_names(allow, rule, opened, closed):
    allow(rule)
    for url in opened:
        assert check_url(url) == url
    for url in closed:
        with pytest.raises(OutboundError):
            check_url(url)


@pytest.mark.parametrize(
    "rule", ["10.0.0.1/8", "host:", "host:0", "host:70000", ":80", "10.0.0.0/99"]
)
def test_unreadable_rule_of_the_operator_is_named(allow, rule):
    allow(rule)
    with pytest.raises(ImproperlyConfigured, match="OUTBOUND_ALLOW"):
        check_url("http://example.com:9999")


def test_origins_are_equal_for_the_same_server():
    assert (
        origin("https://Example.com/a?b")
        == origin("https://example.com:443/")
        == ("https://example.com:443")
    )
    assert origin("https://example.com") != origin("http://example.com")
    assert origin("https://example.com") != origin("https://example.com:8443")


# --- Names and where they lead --------------------------------------------------------------------


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
        resolver.names["evil.example"] = addresses
        allow(f"other.example:{server.port}")
        error = failure("http://evil.example:8080/")
        assert (error.code, error.sent, server.connections) == ("address_refused", False, 0)


def test_name_that_leads_to_metadata_is_refused_though_the_operator_allows_the_name(
    allow, resolver
):
    allow("ci.example")
    resolver.names["ci.example"] = ["169.254.169.254"]
    assert failure("http://ci.example/").code == "address_refused"


def test_connection_goes_to_the_address_that_was_checked(allow, resolver):
    """A resolver that changes its mind between check and connect gains nothing: asked only once."""
    with trap(reply(OK)) as server:
        allow(f"ci.example:{server.port}")
        resolver.names["ci.example"] = ["127.0.0.1"]
        response = outbound.session().get(f"http://ci.example:{server.port}/x")
        assert response.text == "hi"
        assert resolver.asked == ["ci.example"]
        assert f"Host: ci.example:{server.port}".encode() in server.requests[0]


def test_each_call_is_checked_anew(allow, resolver):
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


# --- Servers that misbehave --------------------------------------------------------------------


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


def test_closed_port_was_surely_not_sent_to(allow):
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


def test_whole_answer_within_the_limits_arrives(allow):
    allow("127.0.0.1")
    body = b"b" * outbound.MAX_BODY
    packed = gzip.compress(body)
    head = b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with trap(reply(head % len(packed) + packed)) as server:
        response = outbound.session().post(server.url + "/a?b=c", json={"k": 1})
        assert (response.status_code, response.content) == (201, body)
        assert server.requests[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
        assert server.requests[0].endswith(b'{"k": 1}')


# --- What never leaves, what is never used --------------------------------------------------------


def test_environment_changes_nothing(allow, monkeypatch, tmp_path):
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
def test_unreadable_url_of_a_request_is_one_error(allow, url):
    error = failure(url)
    assert (error.code, error.sent) == ("bad_url", False)


def test_error_carries_no_secret(allow):
    allow("127.0.0.1")
    with trap(reply(b"canary-body")) as server:
        error = failure(server.url + "/canary-path", headers={"Authorization": "canary-header"})
        assert error.__cause__ is None
        assert error.__context__ is None
        assert "canary" not in f"{error!r} {error.message} {error.hint}"


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    """A server context for `ci.example` and the path of the certificate that vouches for it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    cert, key = certificate(folder, name="ci.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


@pytest.fixture
def tls_url(allow, resolver):
    def url(server) -> str:
        allow(f"ci.example:{server.port}", f"other.example:{server.port}")
        resolver.names["ci.example"] = resolver.names["other.example"] = ["127.0.0.1"]
        return f"https://ci.example:{server.port}/"

    return url


def test_certificate_is_proved_for_the_name_though_the_address_is_dialled(authority, tls_url):
    context, vouching = authority
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with trap(reply(OK), tls=context) as server:
        assert outbound.session().get(tls_url(server), verify=vouching).text == "hi"
    assert names == ["ci.example"]


@pytest.mark.parametrize("verify", [True, False])
def test_untrusted_certificate_is_refused_before_anything_is_sent(authority, tls_url, verify):
    with trap(reply(OK), tls=authority[0]) as server:
        error = failure(tls_url(server), "POST", data=b"canary", verify=verify)
        assert (error.code, error.sent) == ("tls", False)
        assert "self-signed" in error.message
    assert server.requests == []


@pytest.fixture
def private(tmp_path, settings) -> ssl.SSLContext:
    """A server whose certificate an authority of the operator's own has signed."""
    authority = certificate(tmp_path, name="Our own authority")
    cert, key = certificate(tmp_path, name="ci.example", issuer=authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    settings.OUTBOUND_CA_BUNDLE = str(authority[0])
    return context


def test_operators_authority_vouches(private, tls_url, settings):
    with trap(reply(OK), tls=private) as server:
        assert outbound.session().get(tls_url(server)).text == "hi"
        settings.OUTBOUND_CA_BUNDLE = ""
        assert failure(tls_url(server)).code == "tls"


def test_operators_authority_vouches_for_no_other_name(private, tls_url):
    with trap(reply(OK), tls=private) as server:
        error = failure(tls_url(server).replace("ci.example", "other.example"))
        assert (error.code, error.sent) == ("tls", False)


def test_public_authorities_are_trusted_beside_the_operators(private, settings):
    both = tls_context(certifi.where(), settings.OUTBOUND_CA_BUNDLE).get_ca_certs()
    assert len(both) == len(tls_context(certifi.where()).get_ca_certs()) + 1 > 100


def test_bundle_that_is_not_there_stops_the_start(tmp_path):
    missing = str(tmp_path / "authority.pem")
    started = subprocess.run(
        [sys.executable, "-c", "import delivr.settings_test"],
        env={**os.environ, "OUTBOUND_CA_BUNDLE": missing},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    assert f"there is no file {missing}" in started.stderr


def test_certificate_of_another_name_is_refused(authority, tls_url):
    context, vouching = authority
    with trap(reply(OK), tls=context) as server:
        url = tls_url(server).replace("ci.example", "other.example")
        error = failure(url, verify=vouching)
        assert (error.code, error.sent) == ("tls", False)


def test_plain_http_server_behind_https_is_told_apart(allow):
    allow("127.0.0.1")
    with trap(reply(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        error = failure(f"https://127.0.0.1:{server.port}/")
        assert (error.code, error.sent) == ("tls", False)
        assert "http://" in error.hint


def test_silent_handshake_is_cut_off(allow):
    allow("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        error = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/", deadline=0.4)
    assert (error.code, error.sent) == ("timeout", False)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_drip_over_tls_is_cut_off(authority, tls_url, start):
    context, vouching = authority
    with trap(drip(start, b"b"), tls=context) as server:
        started = time.monotonic()
        error = failure(tls_url(server), deadline=0.4, verify=vouching)
        assert (error.code, error.sent) == ("timeout", True)
        assert time.monotonic() - started < 3


# --- Many at once ---------------------------------------------------------------------------------


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


def test_trap_reads_a_whole_request():
    """The ground that these tests stand on."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        threading.Thread(target=ours.sendall, args=(b"hi",)).start()
        assert read_request(theirs).endswith(b"\r\n\r\nhi")
