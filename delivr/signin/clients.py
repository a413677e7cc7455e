"""The address of a client, according to the trusted proxies (TRUSTED_PROXIES)."""

from __future__ import annotations

from allauth.core.internal.ratelimit import get_ip
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The client's IP address; for IPv6 its /64, since one customer controls all of it."""
    address: str = get_ip(request)
    return address
