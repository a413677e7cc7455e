"""The only door to other systems: every connection that delivr opens is opened here.

Tenants choose where we connect, so an address is checked at the moment of connecting: the name is
resolved once, all its addresses must be allowed, and the socket goes to one of those very addresses
while TLS still proves the name. One deadline covers resolving, connecting, TLS, headers and body
(the timeouts of `requests` start anew with every byte and never end a slow drip). Nothing is sent
twice, no redirect is followed, no environment proxy or .netrc is used.
"""

from delivr.outbound.adapter import DEADLINE, MAX_BODY, Adapter, Session, session
from delivr.outbound.urls import Code, OutboundError, check_url, origin

__all__ = [
    "DEADLINE",
    "MAX_BODY",
    "Adapter",
    "Code",
    "OutboundError",
    "Session",
    "check_url",
    "origin",
    "session",
]
