"""Headers that Django's own middleware does not set."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Passkeys alone are used; everything else that a page could ask the browser for is off.
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
    """`Permissions-Policy` on everything; no copy of what somebody in particular is shown."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if is_for_somebody(request):
            response.headers["Cache-Control"] = "no-store"
        return response


def is_for_somebody(request: HttpRequest) -> bool:
    """Asked with a token or within a session (also one that only just began or ended)."""
    session = getattr(request, "session", None)
    used = session is not None and (session.accessed and not session.is_empty())
    return "Authorization" in request.headers or used
