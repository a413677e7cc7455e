"""The time zone in which a person reads and enters times. Programs get UTC."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from delivr.tenants.models import User

COOKIE = "time_zone"  # written by static/js/app.js
AREAS = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)


@cache
def names() -> tuple[str, ...]:
    """The zones that a person can choose, sorted: those named after places, and UTC."""
    known = (name for name in zoneinfo.available_timezones() if name.startswith(AREAS))
    return ("UTC", *sorted(known))


def find(text: str) -> str:
    """The name of the zone that `text` means (`europe/berlin`, `Berlin`, `New York`), or "" if it
    means none or several."""
    wanted = text.strip().replace(" ", "_").lower()
    found = [name for name in names() if name.lower() == wanted]
    found = found or [name for name in names() if name.lower().endswith(f"/{wanted}")]
    return found[0] if wanted and len(found) == 1 else ""


def zone_of(user: User) -> ZoneInfo:
    """The zone that the user chose, else that of the installation."""
    return ZoneInfo(user.time_zone if user.time_zone in names() else settings.TIME_ZONE)


def browser_zone(request: HttpRequest) -> str:
    """The browser's zone, as our script reported it; "" if it did not."""
    name = unquote(request.COOKIES.get(COOKIE, ""))
    return name if name in names() else ""


def zone_for(request: HttpRequest) -> ZoneInfo:
    """The user's choice, else the browser's zone, else that of the installation."""
    user = request.user
    if isinstance(user, User) and user.time_zone in names():
        return zone_of(user)
    return ZoneInfo(browser_zone(request) or settings.TIME_ZONE)


class TimeZones:
    """Shows times in the reader's zone, and reads entered times in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/api/"):
            return self.get_response(request)
        with timezone.override(zone_for(request)):
            return self.get_response(request)
