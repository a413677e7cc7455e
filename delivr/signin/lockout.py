"""After too many wrong passwords: who has to wait, and for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

MOST = 254  # the longest email address, in characters


def name_of(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """The email address that was typed, whether or not it has an account."""
    given = credentials or {}
    return str(given.get("email") or given.get("username") or "").strip().lower()[:MOST]


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: Mapping[str, Any] | None
) -> HttpResponse:
    """The page that says how long to wait; the same whether or not the email has an account."""
    seconds = seconds_left(request, credentials)
    context = {"minutes": math.ceil(seconds / 60)}
    page = render(request, "account/locked_out.html", context, status=429)
    page["Retry-After"] = str(seconds)
    page["Cache-Control"] = "no-store"
    return page


def seconds_left(request: HttpRequest, credentials: Mapping[str, Any] | None) -> int:
    """The seconds until the last wrong password expires."""
    handler: Any = AxesProxyHandler.get_implementation()
    attempts = [row for rows in handler.get_user_attempts(request, credentials) for row in rows]
    last = max((row.attempt_time for row in attempts), default=timezone.now())
    over = last + settings.AXES_COOLOFF_TIME
    return max(1, math.ceil((over - timezone.now()).total_seconds()))
