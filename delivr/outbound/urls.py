"""Checks of the URLs that people enter, as far as possible without resolving names."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from delivr.outbound import addresses

MAX_URL = 2000
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\<>\"{}|^`]")

Code = Literal[
    "address_refused",
    "bad_url",
    "dns",
    "connect",
    "tls",
    "timeout",
    "reset",
    "too_large",
    "redirect",
    "garbage",
]


class OutboundError(Exception):
    """No usable response. `message` tells people what happened, `hint` what to do.

    `sent` is False if certainly no byte of the request reached the server.
    """

    def __init__(self, code: Code, message: str, hint: str = "", *, sent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.sent = sent


@dataclass(frozen=True)
class Target:
    scheme: str
    host: str  # lower case, IPv6 without brackets
    port: int
    path: str

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(url: str) -> str:
    """The base URL that a person entered, normalised without resolving its name: for saving it.

    A missing scheme becomes https. Raises OutboundError "bad_url" or "address_refused".
    """
    text = url.strip()
    if len(text) > MAX_URL:
        raise bad_url("The address is too long.")
    target = split(text if "://" in text else f"https://{text}")
    if "?" in text or "#" in text:
        raise OutboundError(
            "bad_url", "The address has a query.", "Leave out everything from ? or # on."
        )
    check_target(target)
    return f"{target.scheme}://{target.netloc}{target.path.rstrip('/')}"


def origin(url: str) -> str:
    """`scheme://host:port`, normalised: two URLs with one origin reach the same server.

    Raises OutboundError "bad_url".
    """
    target = split(url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{target.scheme}://{host}:{target.port}"


def split(url: str) -> Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad_url("The address cannot be read.") from None
    scheme = parts.scheme.lower()
    if _UNSAFE.search(url):
        raise bad_url("The address contains invalid characters.")
    if scheme not in _PORTS:
        raise bad_url("The address does not begin with http:// or https://.")
    if "@" in parts.netloc:
        raise OutboundError(
            "bad_url",
            "The address contains a user name.",
            "Enter the user and token in their fields.",
        )
    host = host_name(parts.hostname or "")
    if port == 0:
        raise bad_url("Port 0 is not valid.")
    return Target(scheme, host, port or _PORTS[scheme], parts.path)


def host_name(host: str) -> str:
    """The host in lower case and punycode. Raises OutboundError unless it is a host name."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise bad_url("The host name cannot be read.") from None
    host = host.lower().removesuffix(".")
    if ":" in host:
        if "%" in host or addresses.literal(host) is None:
            raise bad_url("The IPv6 address cannot be read.")
        return str(ipaddress.IPv6Address(host))
    if not _NAME.fullmatch(host):
        raise bad_url("The host name cannot be read.")
    return host


def bad_url(message: str) -> OutboundError:
    return OutboundError("bad_url", message, "Enter it like https://server.example.com.")


def check_target(target: Target) -> None:
    """Refuse odd spellings, metadata names, ports and private addresses, without resolving."""
    if addresses.is_odd_spelling(target.host):
        raise OutboundError(
            "address_refused",
            f"{target.host} is an unusual way to write an address.",
            "Enter the host name, or an address like 192.0.2.1.",
        )
    address = addresses.literal(target.host)
    if target.host in addresses.NEVER_NAMES:
        raise refused(target.host)
    if address is not None and not addresses.may_reach(address, host=target.host, port=target.port):
        raise refused(target.host)
    if not addresses.may_use_port(target.host, target.port):
        raise OutboundError(
            "address_refused",
            f"delivr may not connect to port {target.port}.",
            "Use port 80, 443, 8080 or 8443, or ask the operator of this installation "
            f"to add {target.netloc} to OUTBOUND_ALLOW.",
        )


def refused(host: str) -> OutboundError:
    return OutboundError(
        "address_refused",
        f"{host} is a private or reserved address.",
        "Use an address that is reachable from the internet, or ask the operator of this "
        "installation to add it to OUTBOUND_ALLOW.",
    )
