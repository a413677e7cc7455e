"""Records when and from where a session was last used."""

from __future__ import annotations

import time
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse

RESOLUTION = 60  # seconds; allauth's own middleware writes at each request
KEY = "seen"


class SessionTracking:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_known = request.user.is_authenticated and request.session.session_key
        if is_known and time.time() - request.session.get(KEY, 0) > RESOLUTION:
            note(request)
        return self.get_response(request)


def note(request: HttpRequest) -> None:
    """Write it to the table, and the time to the session, so that the next requests need no
    query."""
    request.session[KEY] = int(time.time())
    UserSession.objects.create_from_request(request)
