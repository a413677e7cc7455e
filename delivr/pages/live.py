"""Fragments of pages that refresh themselves while something moves, and stop at rest.

A page shows a fragment with `hx-get="…?seen=<fingerprint>"` and `hx-trigger` while it moves. The
answers: 204 where nothing changed (the page is not touched, so nobody loses focus), the new
fragment with 200 where something did, and with 286 where all has come to rest: htmx stops then.
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
    """A short word that changes with what is shown; the objects tell all of it by their repr."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def fragment(view: View) -> View:
    """For a fragment's view, outermost: who was signed out meanwhile gets a whole new page, not
    the sign-in form inside the old one."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "HX-Request" in request.headers and not request.user.is_authenticated:
            return HttpResponseClientRefresh()
        return view(request, *args, **kwargs)

    return guarded


def refresh(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    seen: str,
    is_moving: bool,
) -> HttpResponse:
    """Answer a poll: 204, 200 or 286. `seen` is the fingerprint of what is there now."""
    if request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    response = render(request, template, context)
    response.status_code = 200 if is_moving else HTTP_STOP_POLLING
    response["Cache-Control"] = "no-store"
    return response
