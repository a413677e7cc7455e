"""A verification that a page follows check by check (connections.js).

A form that asks for it (`X-Checks: aloud`) is answered in lines of JSON: `{"html"}` for each check
as it ends, then where to go: `{"location"}`, or `{"again": true}` to send the same form once more
in the plain way, which shows what it made before. 204: nothing was done, send it in the plain way.
Without JavaScript, or where a line gets lost, a form is sent and answered as any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from delivr.problems import Problem
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import User
from integrations.forms import ConnectionForm
from integrations.models import Connection
from integrations.throttle import a_place, throttle
from integrations.verification import verify_aloud
from integrations.views import shared
from integrations.views.once import Repeated

PLAINLY = 204


def is_asked_for(request: TenantRequest) -> bool:
    return request.headers.get("X-Checks") == "aloud"


def save_aloud(request: TenantRequest, form: ConnectionForm) -> HttpResponseBase:
    """Store what the form says, then verify it aloud.

    Not where a new credential is tried before it is stored, or the form shows what is wrong.
    """
    if form.connection is not None and form.connection.is_valid:
        return HttpResponse(status=PLAINLY)
    try:
        stored = shared.store(request, form)
    except Repeated:
        stored = None
    if stored is None:
        return HttpResponse(status=PLAINLY)
    then = {"location": request.path} if form.connection else {"again": True}
    try:
        throttle("verify", user=request.user)
    except Problem:
        return HttpResponse(status=PLAINLY)
    return tell_checks(stored, actor=request.user, then=then)


def tell_checks(
    connection: Connection, *, actor: User, then: dict[str, Any]
) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(
        _lines(connection, actor, then), content_type="application/x-ndjson"
    )
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"  # nginx would keep the lines until the end
    return answer


def _lines(connection: Connection, actor: User, then: dict[str, Any]) -> Iterator[str]:
    """None at all where there is no place: sent in the plain way it is told why."""
    with suppress(Problem), a_place(actor):
        for check in verify_aloud(connection, actor=actor):
            html = render_to_string("components/check.html", {"check": check})
            yield json.dumps({"html": html}) + "\n"
        yield json.dumps(then) + "\n"
