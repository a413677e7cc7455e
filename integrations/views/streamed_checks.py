"""A verification that a page follows check by check (connections.js).

A form that asks for it (`X-Checks: aloud`) is answered in lines of JSON: `{"html"}` for each check
as it ends, then what follows. `{"location"}`: go there. `{"again": true}`: send the same form once
more in the plain way, which shows what it made before. `{"said": html}`: stay, nothing was changed.
204: nothing was done, send it in the plain way. Without JavaScript, or where a line gets lost, a
form is sent and answered as any other.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.failures import Conflict
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import User
from integrations.forms import ConnectionForm
from integrations.models import Connection
from integrations.providers.base import Check
from integrations.rotating import candidate_of, take, tries_first
from integrations.throttle import a_place, throttle
from integrations.verification import looking_at, verify_streamed
from integrations.views import shared
from integrations.views.once import Repeated

PLAINLY = 204
Then = dict[str, Any]
Following = Generator[Check, None, Then]


def is_asked_for(request: TenantRequest) -> bool:
    return request.headers.get("X-Checks") == "streamed"


def save_streamed(request: TenantRequest, form: ConnectionForm) -> HttpResponseBase:
    """Store what the form says and verify it aloud; a new credential of a connection that works is
    verified aloud before it is stored. Not where the form shows what is wrong."""
    following = _save(request, form)
    if following is None:
        return HttpResponse(status=PLAINLY)
    try:
        throttle("verify", user=request.user)
    except Problem:
        return HttpResponse(status=PLAINLY)
    return _tell(following, actor=request.user)


def _save(request: TenantRequest, form: ConnectionForm) -> Following | None:
    before, actor = form.connection, request.user
    if before is not None and tries_first(before, form.values()):
        candidate = form.submit(partial(candidate_of, before))
        if candidate is None:
            return None
        return _trying(candidate, actor, form.values(), request.path)
    try:
        stored = shared.store(request, form)
    except Repeated:
        return None
    if stored is None:
        return None
    then = {"location": shared.told_page(request.path, stored)} if before else {"again": True}
    return _verifying(stored, actor, then)


def stream_checks(connection: Connection, *, actor: User, then: Then) -> StreamingHttpResponse:
    return _tell(_verifying(connection, actor, then), actor=actor)


def _verifying(connection: Connection, actor: User, then: Then) -> Following:
    yield from verify_streamed(connection, actor=actor)
    return then


def _trying(candidate: Connection, actor: User, values: dict[str, Any], page: str) -> Following:
    findings = yield from looking_at(candidate)
    if findings.bad:
        words = _("The stored one is still in force: the new one was not taken.")
        alert = {"tone": "warning", "text": words, "live": True}
        return {"said": render_to_string("components/alert.html", alert)}
    try:
        taken = take(candidate, findings, actor=actor, values=values)
    except (Conflict, ValidationError):
        return {"again": True}
    return {"location": shared.told_page(page, taken)}


def _tell(following: Following, *, actor: User) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_lines(following, actor), content_type="application/x-ndjson")
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"  # nginx would keep the lines until the end
    return answer


def _lines(following: Following, actor: User) -> Iterator[str]:
    """None at all where there is no place: sent in the plain way it is told why."""
    with suppress(Problem), a_place(actor):
        then = yield from _checks(following)
        yield json.dumps(then) + "\n"


def _checks(following: Following) -> Generator[str, None, Then]:
    while True:
        try:
            check = next(following)
        except StopIteration as end:
            then: Then = end.value
            return then
        html = render_to_string("components/check.html", {"check": check})
        yield json.dumps({"html": html}) + "\n"
