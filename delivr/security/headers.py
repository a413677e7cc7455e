"""Response headers that Django's own middleware does not set."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

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
