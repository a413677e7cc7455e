"""Certificates: which authorities are trusted for which names."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import certifi
import pytest
from django.conf import settings as django_settings

from delivr import outbound
from delivr.outbound.sockets import tls_context
from delivr.outbound.tests.hostile import OK, failure
from delivr.tests.trap import certificate, drip, reply, trap


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    """A server context for `ci.example` and the path of the certificate that it is signed with."""
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


def test_certificate_is_verified_for_the_name_not_the_address(authority, tls_url):
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


def test_a_connection_alone_checks_the_certificate_and_sends_nothing(authority, tls_url, private):
    with trap(reply(OK), tls=private) as server:
        outbound.connect(tls_url(server))
    with trap(reply(OK), tls=authority[0]) as other, pytest.raises(outbound.OutboundError) as error:
        outbound.connect(tls_url(other))
    assert (error.value.code, error.value.sent) == ("tls", False)
    assert b"".join([*server.requests, *other.requests]) == b""


@pytest.fixture
def private(tmp_path, settings) -> ssl.SSLContext:
    """A server whose certificate was signed by the operator's own authority."""
    authority = certificate(tmp_path, name="Our own authority")
    cert, key = certificate(tmp_path, name="ci.example", issuer=authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    settings.OUTBOUND_CA_BUNDLE = str(authority[0])
    return context


def test_operators_authority_is_trusted(private, tls_url, settings):
    with trap(reply(OK), tls=private) as server:
        assert outbound.session().get(tls_url(server)).text == "hi"
        settings.OUTBOUND_CA_BUNDLE = ""
        assert failure(tls_url(server)).code == "tls"


def test_operators_authority_is_trusted_for_no_other_name(private, tls_url):
    with trap(reply(OK), tls=private) as server:
        error = failure(tls_url(server).replace("ci.example", "other.example"))
        assert (error.code, error.sent) == ("tls", False)


def test_public_authorities_are_trusted_beside_the_operators(private, settings):
    both = tls_context(certifi.where(), settings.OUTBOUND_CA_BUNDLE).get_ca_certs()
    assert len(both) == len(tls_context(certifi.where()).get_ca_certs()) + 1 > 100


def test_missing_bundle_stops_the_start(tmp_path):
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
    assert f"the file {missing} does not exist" in started.stderr


def test_certificate_of_another_name_is_refused(authority, tls_url):
    context, vouching = authority
    with trap(reply(OK), tls=context) as server:
        url = tls_url(server).replace("ci.example", "other.example")
        error = failure(url, verify=vouching)
        assert (error.code, error.sent) == ("tls", False)


def test_plain_http_server_behind_https_has_its_own_error(allow):
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
def test_slow_response_over_tls_is_cut_off(authority, tls_url, start):
    context, vouching = authority
    with trap(drip(start, b"b"), tls=context) as server:
        started = time.monotonic()
        error = failure(tls_url(server), deadline=0.4, verify=vouching)
        assert (error.code, error.sent) == ("timeout", True)
        assert time.monotonic() - started < 3
