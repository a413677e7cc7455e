"""Which addresses may be connected to: own tables, since `ipaddress` counts several as global.

Only rules, no network; the package applies them to every connection. The blocks are those of
https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry, and the clouds' metadata services.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

USUAL_PORTS = frozenset({80, 443, 8080, 8443})

REFUSED_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # everything outside is refused
REFUSED_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments, Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
# Metadata services hand out the machine's own credentials, so no setting allows them.
NEVER = tuple(
    ipaddress.ip_network(block)
    for block in (
        "169.254.169.0/24",  # AWS, Azure, Google, OpenStack, DigitalOcean
        "169.254.170.0/24",  # AWS ECS and EKS
        "169.254.0.23/32",  # Tencent
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure, a public address
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # AWS over IPv6
        "fd20:ce::/32",  # Google over IPv6
        "fe80::a9fe:a9fe/128",  # OpenStack over IPv6
    )
)
NEVER_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"}
)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")


@dataclass(frozen=True)
class Rule:
    """One entry of OUTBOUND_ALLOW: a name or a network, for one port or (None) for any."""

    name: str | None
    network: Network | None
    port: int | None

    @property
    def is_block(self) -> bool:
        """A block allows its addresses, but no unusual port."""
        return self.network is not None and self.network.num_addresses > 1

    def names(self, host: str) -> bool:
        if self.network is None:
            return self.name == host
        address = literal(host)
        return address is not None and self.covers(address)

    def covers(self, address: Address) -> bool:
        return self.network is not None and address in self.network


def literal(host: str) -> Address | None:
    """The address that `host` is in the usual form (IPv6 with or without brackets), or None."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_odd_spelling(host: str) -> bool:
    """True for `2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`: resolvers read these as addresses."""
    if literal(host) is not None:
        return False
    try:
        socket.inet_aton(host)
    except (OSError, UnicodeError):
        return False
    return True


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo), or None."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def is_public(address: Address) -> bool:
    """True for an address of the open internet without a special use."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    return address in GLOBAL_V6 and not any(address in network for network in REFUSED_V6)


def is_metadata(address: Address) -> bool:
    inner = embedded(address)
    return any(address in network for network in NEVER) or (
        inner is not None and any(inner in network for network in NEVER)
    )


def may_reach(address: Address, *, host: str, port: int) -> bool:
    """May a connection to `host`:`port` use this address (one that `host` resolved to)?"""
    if is_metadata(address):
        return False
    if is_public(address):
        return True
    return any(
        rule.port in (None, port) and (rule.names(host) or rule.covers(address))
        for rule in _rules()
    )


def may_use_port(host: str, port: int) -> bool:
    """80, 443, 8080, 8443, and what the operator allowed for exactly this host."""
    return port in USUAL_PORTS or is_named(host, port)


def is_named(host: str, port: int) -> bool:
    """Did the operator allow exactly this host, for this port?"""
    return any(
        rule.names(host) and rule.port in (None, port) and not rule.is_block for rule in _rules()
    )


def _rules() -> tuple[Rule, ...]:
    return parse_rules(tuple(settings.OUTBOUND_ALLOW))


@functools.lru_cache(maxsize=32)
def parse_rules(entries: Iterable[str]) -> tuple[Rule, ...]:
    """OUTBOUND_ALLOW (`host`, `host:port`, `[v6]:port`, CIDR) as rules.

    Raises ImproperlyConfigured for an entry that is none of these.
    """
    return tuple(_rule(entry.strip().lower()) for entry in entries if entry.strip())


def _rule(entry: str) -> Rule:
    if "/" in entry:
        return Rule(None, _network(entry), None)
    if literal(entry) is not None:
        return Rule(None, _network(entry.strip("[]")), None)
    host, colon, port = entry.rpartition(":")
    if not colon:
        return Rule(entry.rstrip("."), None, None)
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ImproperlyConfigured(f"OUTBOUND_ALLOW: {entry!r} is not a host, host:port or CIDR.")
    if literal(host) is not None:
        return Rule(None, _network(host.strip("[]")), int(port))
    return Rule(host.rstrip("."), None, int(port))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"OUTBOUND_ALLOW: {error}.") from None
