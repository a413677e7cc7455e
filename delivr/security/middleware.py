"""Limits the size of requests; sets headers that Django's own middleware does not set."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# Only passkeys are used; all other browser features are switched off.
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "encrypted-media",
        "fullscreen",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "picture-in-picture",
        "usb",
        "xr-spatial-tracking",
    )
)


class Headers:
    """`Permissions-Policy` on all responses; no caching of responses to a particular user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if is_private(request):
            response.headers["Cache-Control"] = "no-store"
        return response


def is_private(request: HttpRequest) -> bool:
    """The request came with a token or a session (including one that just began or ended)."""
    session = getattr(request, "session", None)
    used = session is not None and (session.accessed and not session.is_empty())
    return "Authorization" in request.headers or used


class BodyLimit:
    """413 for forms larger than DATA_UPLOAD_MAX_MEMORY_SIZE, which Django does not apply to files.

    Checked before anything is read: otherwise anyone could have whole files written to the disk. A
    body without a length is read as empty. The API and the webhooks have limits of their own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not request.path.startswith("/api/") and not (length.isdigit() and int(length) <= most):
            return render(request, "400.html", status=413)
        return self.get_response(request)
