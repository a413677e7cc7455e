"""Where a request comes from, as the proxies that we trust tell it (TRUSTED_PROXIES)."""

from __future__ import annotations

from allauth.core.internal.ratelimit import get_ip
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The client's address; of IPv6 its /64, which one customer commands as a whole."""
    address: str = get_ip(request)
    return address
