"""The thin path of webhooks: what succeeds is answered here, beside Django's handler and ORM.

It costs one statement and little of the processor (docs/performance.md). Only a plain, authentic
report of a pipeline that is known (`known.py`) is stored and answered; everything else (refusals,
limits, repeated deliveries, odd headers, a failing database) is passed to Django unchanged, whose
view decides (docs/adr/0020-thin-path-of-webhooks.md).
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from django.http.request import HttpHeaders
from gunicorn.http.errors import ParseException

from builds.webhooks import known, storing
from builds.webhooks.authentication import authenticate_at_any_time, may_be_read
from builds.webhooks.known import Known
from builds.webhooks.views import LARGE, NOBODY, answer
from delivr.effects.coalescing import enqueue_soon
from delivr.monitoring import traces
from integrations.providers.registry import WEBHOOKS

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_ADDRESS = re.compile(rf"/api/v1/webhooks/({'|'.join(WEBHOOKS)})/([A-Za-z0-9_]{{1,60}})")
_JSON = ("application/json", "application/json; charset=utf-8")
# What Django's headers of a 202, or whether it answers so at all, depend on.
_SHAPE = ("HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO")
MOST_SHAPES = 100
_STRANGER = Known(
    pipeline_id="",
    tenant_id="",
    secrets=[NOBODY],
    is_polled=True,
    ciphertext=b"",
    revision=0,
    until=0,
)


class ThinPath:
    """A WSGI application around Django's.

    The headers of its answers are those that Django's own 202 had, so Django answers the first of
    each shape.
    """

    def __init__(self, django: Application) -> None:
        self.django = django
        self.headers: dict[tuple[Any, ...], list[tuple[str, str]]] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        address = _ADDRESS.fullmatch(environ["PATH_INFO"])
        if address is None or not _is_plain(environ):
            return self.django(environ, start_response)
        shape = (*(environ.get(name) for name in _SHAPE), "HTTP_AUTHORIZATION" in environ)
        headers = self.headers.get(shape)
        if headers is None:
            return self.django(environ, self._learn(shape, start_response))
        delivery_id = _take(environ, *address.groups())
        if delivery_id is None:
            return self.django(environ, start_response)
        enqueue_soon("delivery", delivery_id)
        content = json.dumps(answer(delivery_id)).encode()
        start_response("202 Accepted", [*headers, ("Content-Length", str(len(content)))])
        return [content]

    def _learn(self, shape: tuple[Any, ...], start_response: StartResponse) -> StartResponse:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            names = {name.lower() for name, _value in headers}
            if status.startswith("202 ") and "set-cookie" not in names:
                if len(self.headers) >= MOST_SHAPES:
                    self.headers.clear()
                kept = [(n, value) for n, value in headers if n.lower() != "content-length"]
                self.headers[shape] = kept
            return start_response(status, headers, *rest)

        return start


def _is_plain(environ: Environ) -> bool:
    """A POST of JSON of a usual size, without what Django would have to interpret."""
    length = environ.get("CONTENT_LENGTH") or ""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") in _JSON
        and length.isascii()
        and length.isdigit()
        and len(length) < 6
        and int(length) <= LARGE  # larger ones count for the workspace, too
        and not environ.get("HTTP_COOKIE")
        and "HTTP_TRANSFER_ENCODING" not in environ
    )


def _take(environ: Environ, sender: str, pipeline_id: str) -> str | None:
    """Authenticate and store; the delivery's id, or None if Django has to decide.

    The same is done for an unknown pipeline, up to the proof, so that it takes equally long.
    """
    pipeline = known.find(pipeline_id) or _STRANGER
    headers = HttpHeaders(environ)
    if not may_be_read(sender, headers, pipeline.secrets):
        return None
    try:
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    except (OSError, ParseException):  # Django's view meets the same
        return None
    environ["wsgi.input"] = io.BytesIO(body)
    proof = authenticate_at_any_time(
        sender, headers, body, pipeline.secrets, is_polled=pipeline.is_polled
    )
    if proof is None or pipeline is _STRANGER:
        return None
    traces.served("POST", f"api/v1/webhooks/{sender}/<pipeline_id>", tenant=pipeline.tenant_id)
    try:
        return storing.store(pipeline, sender, proof, body)
    except psycopg.Error as error:
        log.warning("A delivery was left to Django: %s.", type(error).__name__)
        return None
