"""Opens all connections to other systems: nothing else in delivr does.

Tenants choose where we connect, so addresses are checked when connecting: the name is resolved
once, all its addresses must be allowed, and the socket connects to one of exactly these, while TLS
still verifies the name. One deadline covers resolving, connecting, TLS, headers and body (the
time-outs of `requests` restart with every byte, so a slow response never ends). Nothing is sent
twice, no redirect is followed, no environment proxy or .netrc is used.
"""

from delivr.outbound.adapter import DEADLINE, MAX_BODY, Adapter, Session, connect, session
from delivr.outbound.downloads import Download, open_download
from delivr.outbound.urls import Code, OutboundError, check_url, is_allowed_by_operator, origin

__all__ = [
    "DEADLINE",
    "MAX_BODY",
    "Adapter",
    "Code",
    "Download",
    "OutboundError",
    "Session",
    "check_url",
    "connect",
    "is_allowed_by_operator",
    "open_download",
    "origin",
    "session",
]
