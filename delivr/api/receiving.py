"""What all addresses share at which other systems report by webhook: the checks of a request before
its body is parsed, and the limits. None of it is particular to what is reported."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from gunicorn.http.errors import ParseException

from delivr.api.problems import Problem, throttled
from delivr.security.ratelimit import hit
from delivr.signin.clients import address_of

MAX_BYTES = 256 * 1024
MINUTE = 60


def check_head(request: HttpRequest, *, longest: int) -> None:
    """Raises Problem 405, 413 or 415."""
    if request.method != "POST":
        raise Problem(
            405, "method_not_allowed", _("Send a POST request."), headers={"Allow": "POST"}
        )
    if request.content_type not in ("application/json", ""):
        raise Problem(415, "unsupported_media_type", _("Send application/json."))
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > longest):
        raise too_large()


def read_body(request: HttpRequest, *, longest: int) -> bytes:
    """Raises Problem 400 or 413."""
    try:
        body: bytes = _stream(request).read(longest + 1)
    except (OSError, ParseException) as error:  # malformed chunks, or a closed connection
        raise Problem(400, "unreadable", _("The body is incomplete.")) from error
    if len(body) > longest:
        raise too_large()
    return body


def _stream(request: HttpRequest) -> Any:
    """Django does not read chunked bodies, but the WSGI stream can be read if the server ends it.

    https://gunicorn.org/reference/settings/ and https://peps.python.org/pep-3333/
    """
    is_chunked = "chunked" in request.headers.get("transfer-encoding", "").lower()
    if is_chunked and request.META.get("wsgi.input_terminated"):
        return request.META["wsgi.input"]
    return request


def too_large() -> Problem:
    return Problem(413, "too_large", _("At most 256 KiB."))


def refusal(request: HttpRequest, words: str, *, limit: int) -> Problem:
    """The response to an unauthenticated sender, the same whether or not what it names exists: 401,
    and 429 after `limit` of them in a minute from one address. Counted apart from what authentic
    senders send, so that it never blocks one of them behind the same proxy."""
    if seconds := hit(f"webhook refused:{address_of(request)}", limit=limit, window=MINUTE):
        return slow_down(seconds)
    return Problem(401, "not_authenticated", words)


def slow_down(seconds: int) -> Problem:
    words = _("Too many requests at once. Try again in %(seconds)d seconds.") % {"seconds": seconds}
    return throttled(words, seconds)
