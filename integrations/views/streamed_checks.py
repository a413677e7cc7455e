"""A verification that a page shows check by check (connections.js).

A form that is sent with `X-Checks: streamed` is answered in lines of JSON: `{"html"}` for each
check as it ends, then the next step. `{"location"}`: go there. `{"again": true}`: submit the same
form normally, which shows what it has created. `{"action"}`: submit it to that address, which shows
a secret. `{"said": html}`: stay, nothing was changed. Status 204: nothing was done, submit it
normally. Without JavaScript, or if a line gets lost, the form is submitted and answered like any
other.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.failures import Conflict
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import User
from integrations.checks import shown
from integrations.forms import ConnectionForm
from integrations.models import Connection
from integrations.providers.base import Check
from integrations.providers.registry import ProviderKey
from integrations.rotating import candidate_of, take, tries_first
from integrations.throttle import provider_slot, throttle
from integrations.verification import iter_checks, verify_streamed
from integrations.views import shared
from integrations.views.once import Repeated

NO_CONTENT = 204
Then = dict[str, Any]
CheckStream = Generator[Check, None, Then]


def is_asked_for(request: TenantRequest) -> bool:
    return request.headers.get("X-Checks") == "streamed"


def save_streamed(request: TenantRequest, form: ConnectionForm) -> HttpResponseBase:
    """Store the form's values and stream the verification; a new credential of a working connection
    is verified before it is stored. 204 if the form has errors."""
    stream = _save(request, form)
    if stream is None:
        return HttpResponse(status=NO_CONTENT)
    try:
        throttle("verify", user=request.user)
    except Problem:
        return HttpResponse(status=NO_CONTENT)
    return _respond(stream, key=form.provider_key, actor=request.user)


def _save(request: TenantRequest, form: ConnectionForm) -> CheckStream | None:
    before, actor = form.connection, request.user
    if before is not None and tries_first(before, form.values()):
        candidate = form.submit(partial(candidate_of, before))
        if candidate is None:
            return None
        return _verify_candidate(candidate, actor, form.values(), request.path)
    try:
        stored = shared.store(request, form)
    except Repeated:
        return None
    if stored is None:
        return None
    if before is None:
        return _verify_stored(stored, actor, {"again": True})
    return _verify_edited(stored, actor, request.path)


def stream_checks(connection: Connection, *, actor: User, then: Then) -> StreamingHttpResponse:
    stream = _verify_stored(connection, actor, then)
    return _respond(stream, key=connection.provider_key, actor=actor)


def _verify_stored(connection: Connection, actor: User, then: Then) -> CheckStream:
    yield from verify_streamed(connection, actor=actor)
    return then


def _verify_edited(connection: Connection, actor: User, page: str) -> CheckStream:
    yield from verify_streamed(connection, actor=actor)
    connection.refresh_from_db()
    if shared.is_secret_due(connection):
        return {"action": f"{reverse('rotate_secret', args=[connection.pk])}?unseen=1"}
    return {"location": shared.page_with_result(page, connection)}


def _verify_candidate(
    candidate: Connection, actor: User, values: dict[str, Any], page: str
) -> CheckStream:
    findings = yield from iter_checks(candidate)
    if findings.bad:
        words = _("The new credential was not saved. The stored one is still in use.")
        alert = {"tone": "warning", "text": words, "live": True}
        return {"said": render_to_string("components/alert.html", alert)}
    try:
        taken = take(candidate, findings, actor=actor, values=values)
    except (Conflict, ValidationError):
        return {"again": True}
    return {"location": shared.page_with_result(page, taken)}


def _respond(stream: CheckStream, *, key: ProviderKey, actor: User) -> StreamingHttpResponse:
    lines = _lines(stream, key, actor)
    answer = StreamingHttpResponse(lines, content_type="application/x-ndjson")
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"  # nginx would buffer the lines until the end
    return answer


def _lines(stream: CheckStream, key: ProviderKey, actor: User) -> Iterator[str]:
    """No lines if no slot is free: the form is then submitted normally and shows why."""
    with suppress(Problem), provider_slot(actor):
        then = yield from _checks(stream, key)
        yield json.dumps(then) + "\n"


def _checks(stream: CheckStream, key: ProviderKey) -> Generator[str, None, Then]:
    while True:
        try:
            check = next(stream)
        except StopIteration as end:
            then: Then = end.value
            return then
        html = render_to_string("components/check.html", {"check": shown(key, asdict(check))})
        yield json.dumps({"html": html}) + "\n"
