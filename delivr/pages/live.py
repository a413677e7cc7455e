"""Page fragments that refresh themselves while something changes, and stop when nothing will.

A page contains a fragment with `hx-get="…?seen=<fingerprint>"` and, while it changes, `hx-trigger`.
The responses: 204 if nothing changed (the page is not touched, so the focus stays), 200 with the
new fragment, or 286 with the last one: htmx stops polling then.
https://htmx.org/docs/#load_polling
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh, HttpResponseStopPolling

from delivr.tenants.decorators import View

HTTP_STOP_POLLING = HttpResponseStopPolling.status_code


def fingerprint(*shown: object) -> str:
    """A short hash of what is shown, taken from the objects' repr."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def fragment(view: View) -> View:
    """The outermost decorator of a fragment's view: a user who was signed out in the meantime gets
    a whole new page, not the sign-in form inside the old one."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "HX-Request" in request.headers and not request.user.is_authenticated:
            return HttpResponseClientRefresh()
        return view(request, *args, **kwargs)

    return guarded


def refresh(
    request: HttpRequest, template: str, context: dict[str, Any], *, seen: str, is_moving: bool
) -> HttpResponse:
    """Answer a poll with 204, 200 or 286. `seen` is the fingerprint of what the page shows now."""
    if request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    response = render(request, template, context)
    response.status_code = 200 if is_moving else HTTP_STOP_POLLING
    response["Cache-Control"] = "no-store"
    return response
