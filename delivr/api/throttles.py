"""How often the API may be called: per token or user, and per address without either."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from delivr.security.ratelimit import hit
from delivr.signin.clients import address_of
from delivr.tenants.models import ApiToken

WINDOW = 60  # seconds


class PerCaller(BaseThrottle):
    """A separate count for each token, each signed-in user, and each address without either."""

    seconds: int | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        self.seconds = hit(f"api:{caller(request)}", limit=settings.API_PER_MINUTE, window=WINDOW)
        return self.seconds is None

    def wait(self) -> float | None:
        return self.seconds


def caller(request: Request) -> str:
    if isinstance(request.auth, ApiToken):
        return f"token:{request.auth.pk}"
    if request.user and request.user.is_authenticated:
        return f"user:{request.user.pk}"
    return f"address:{address_of(request._request)}"


def count_failure(request: Request) -> int | None:
    """Count a wrong token from this address; the seconds to wait after too many, else None."""
    key = f"api:failure:{address_of(request._request)}"
    return hit(key, limit=settings.API_FAILURES_PER_MINUTE, window=WINDOW)
