"""Page fragments that refresh themselves while something changes, and stop when nothing will.

A page contains a fragment with `hx-get="…?seen=<fingerprint>"` and, while it changes, `hx-trigger`.
The responses: 204 if nothing changed (the page is not touched, so the focus stays), 200 with the
new fragment, or 286 with the last one: htmx stops polling then.
https://htmx.org/docs/#load_polling

On PostgreSQL a response comes with a *promise* (the header `HEADER`): that the page shows what the
rows said in a snapshot. static/js/app.js sends it with the next poll, and as long as no row has
changed since, that is answered with 204 by one statement (`Promised`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh, HttpResponseStopPolling

from delivr.changes import is_quiet, snapshot
from delivr.tenants.decorators import View

HTTP_STOP_POLLING = HttpResponseStopPolling.status_code
HEADER = "Live-Promise"
# How long a promise holds. A page also changes with time alone: the progress of a build, an effect
# that nobody picks up. And who lacks a second factor by now is found by the whole check only.
WHILE_MOVING, AT_REST = timedelta(seconds=15), timedelta(minutes=1)


def fingerprint(*shown: object) -> str:
    """A short hash of what is shown, taken from the objects' repr."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def fragment(view: View) -> View:
    """The outermost decorator of a fragment's view: a user who was signed out in the meantime gets
    a whole new page, not the sign-in form inside the old one."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "HX-Request" in request.headers:
            if not request.user.is_authenticated:
                return HttpResponseClientRefresh()
            request.live_snapshot = snapshot()  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    return guarded


def refresh(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    seen: str,
    is_moving: bool,
    release: str = "",
) -> HttpResponse:
    """Answer a poll with 204, 200 or 286. `seen` is the fingerprint of what the page shows now,
    `release` the id of the release that it is about, if it is about one."""
    if request.GET.get("seen") == seen:
        response = HttpResponse(status=204)
    else:
        response = render(request, template, context)
        response.status_code = 200 if is_moving else HTTP_STOP_POLLING
    response["Cache-Control"] = "no-store"
    _promise(request, response, release, seen, WHILE_MOVING if is_moving else AT_REST)
    return response


# --- Promises -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Promise:
    """Signed, with the session's key in the salt: it is worth nothing to anybody else."""

    address: str  # of the next poll, with what the page shows then
    tenant: str
    release: str  # empty: any change of the workspace ends the promise
    snapshot: str
    seconds: int


def _promise(
    request: HttpRequest, response: HttpResponse, release: str, seen: str, lasts: timedelta
) -> None:
    taken: str = getattr(request, "live_snapshot", "")
    if not taken:
        return
    tenant: str = request.tenant.pk  # type: ignore[attr-defined]
    made = Promise(_address(request, seen), tenant, release, taken, int(lasts.total_seconds()))
    response[HEADER] = signing.dumps(astuple(made), salt=_salt(request))


class Promised:
    """A middleware: answers a poll whose promise still holds, before anything else is looked up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        promise = _kept(request)
        if promise is None or not _holds(request, promise):
            return self.get_response(request)
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})


def _kept(request: HttpRequest) -> Promise | None:
    """The request's promise, if it is one of ours, for this session and address, and not over."""
    if request.method != "GET" or HEADER not in request.headers:
        return None
    text, salt = request.headers[HEADER], _salt(request)
    try:
        promise = Promise(*signing.loads(text, salt=salt, max_age=AT_REST))
        signing.loads(text, salt=salt, max_age=promise.seconds)
    except signing.BadSignature:
        return None
    return promise if promise.address == _address(request) else None


def _holds(request: HttpRequest, promise: Promise) -> bool:
    return is_quiet(
        tenant=promise.tenant,
        release=promise.release,
        seen=promise.snapshot,
        session=request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
    )


def _address(request: HttpRequest, seen: str | None = None) -> str:
    query = request.GET.copy()
    if seen is not None:
        query["seen"] = seen
    return f"{request.path}?{sorted(query.lists())}"


def _salt(request: HttpRequest) -> str:
    return f"delivr.live.{request.COOKIES.get(settings.SESSION_COOKIE_NAME, '')}"
