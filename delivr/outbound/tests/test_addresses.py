"""Addresses: which are accepted, which are refused, what an operator can allow."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from delivr.outbound import OutboundError, check_url, origin
from delivr.outbound.tests.hostile import failure


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
def test_no_setting_allows_metadata(allow, host):
    allow("0.0.0.0/0", "::/0", host.strip("[]").lower(), "metadata.google.internal")
    assert failure(f"http://{host}/").code == "address_refused"


@pytest.mark.parametrize(
    "host", ["172.15.0.1", "172.32.0.1", "100.128.0.1", "11.0.0.1", "[2620::1]"]
)
def test_addresses_next_to_private_blocks_are_allowed(allow, host):
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
def test_operators_rule_allows_exactly_what_it_names(allow, rule, opened, closed):
    allow(rule)
    for url in opened:
        assert check_url(url) == url
    for url in closed:
        with pytest.raises(OutboundError):
            check_url(url)


@pytest.mark.parametrize(
    "rule", ["10.0.0.1/8", "host:", "host:0", "host:70000", ":80", "10.0.0.0/99"]
)
def test_invalid_rule_of_the_operator_is_reported(allow, rule):
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
