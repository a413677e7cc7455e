"""The meaning of HTTP responses, with the same messages for all providers.

The body and headers of a response are not copied into errors, since a server may echo the
credentials that it was sent.
"""

from __future__ import annotations

import base64
import functools
import json
import logging
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote, quote_plus

from delivr.outbound import OutboundError

from .base import Outcome, Provider, ProviderError

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

LONGEST_WAIT = 24 * 3600.0
"""Seconds. A server that asks for a longer pause is not believed."""

DEADLINE = 20.0
"""Seconds that one task of a provider may take over all of its calls."""

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=Provider)


def retry_after_seconds(value: str | None, *, now: datetime | None = None) -> float | None:
    """The seconds of a `Retry-After` header, which is a number or an HTTP date (RFC 9110, 10.2.3).

    None without a header or if it is invalid.
    """
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def clock_skew(date: str | None) -> float | None:
    """Seconds by which our clock is ahead of the server's, by the `Date` of its response, or
    None."""
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (datetime.now(UTC) - moment).total_seconds()


def error_from_outbound(error: OutboundError, label: str) -> ProviderError:
    """The error for a failed connection. Raise the result outside of the `except` block."""
    return ProviderError(
        error.code, f"{label}: {error.message}", error.hint, outcome=_outcome_of_connection(error)
    )


def _outcome_of_connection(error: OutboundError) -> Outcome:
    if error.code == "redirect":
        return Outcome.REFUSED  # it was answered, and would be answered the same again
    if error.code == "address_refused" or not error.sent:
        return Outcome.NOT_SENT
    return Outcome.UNCERTAIN


_STATUSES: dict[int, tuple[str, Outcome, str, str]] = {
    400: ("refused", Outcome.REFUSED, "refused the request", "Check what was entered here."),
    401: (
        "bad_credentials",
        Outcome.CREDENTIALS,
        "refused the credentials",
        "Create new ones there and enter them here.",
    ),
    403: (
        "forbidden",
        Outcome.CREDENTIALS,
        "accepted the credentials but does not allow this",
        "Give this account the permission, or enter the credentials of another account.",
    ),
    404: (
        "not_found",
        Outcome.REFUSED,
        "cannot find this, or this account has no access to it",
        "Check the name and the permissions of the account.",
    ),
    408: ("timeout", Outcome.UNCERTAIN, "timed out waiting for the request", "Try again later."),
    409: ("conflict", Outcome.REFUSED, "refused: this conflicts with existing data", ""),
    429: (
        "rate_limited",
        Outcome.RATE_LIMITED,
        "is rate limiting: too many requests",
        "Wait: delivr retries automatically.",
    ),
}


def error_from_status(
    label: str,
    status: int,
    *,
    retry_after: str | None = None,
    code: str = "",
    message: str = "",
    hint: str = "",
) -> ProviderError:
    """The error for an unsuccessful HTTP status.

    `retry_after` is the unchanged header. `code`, `message` and `hint` replace the general ones if
    the provider has better ones.
    """
    usual_code, outcome, words, usual_hint = _words_for(status)
    return ProviderError(
        code or usual_code,
        message or f"{label} {words} (HTTP {status}).",
        hint or usual_hint,
        outcome=outcome,
        retry_after=retry_after_seconds(retry_after),
    )


def _words_for(status: int) -> tuple[str, Outcome, str, str]:
    if status in _STATUSES:
        return _STATUSES[status]
    if 300 <= status < 400:
        return "redirect", Outcome.REFUSED, "redirected the request", "Enter the final address."
    if 400 <= status < 500:
        return _STATUSES[400]
    if status >= 500:
        return "server_error", Outcome.UNCERTAIN, "reported an internal error", "Try again later."
    return "garbage", Outcome.UNCERTAIN, "returned an unexpected response", ""


def garbage(label: str) -> ProviderError:
    """The error for a successful status with an unexpected body, such as a login page."""
    return ProviderError(
        "garbage",
        f"{label} returned something other than an API response.",
        "There may be a login page or a proxy in between. Check the address.",
        outcome=Outcome.UNCERTAIN,
    )


def error_from_proxy(label: str, status: int) -> ProviderError:
    """The error for a refusal in another format than the provider's: it did not get the request."""
    return ProviderError(
        "not_the_system",
        f"Something between delivr and {label} responded instead (HTTP {status}).",
        "It may be a proxy, a firewall or a maintenance page. delivr retries automatically.",
        outcome=Outcome.NOT_SENT,
    )


def json_object(response: requests.Response, label: str) -> dict[str, Any]:
    """The JSON object of a successful response. Raises `garbage` for anything else."""
    document = parse_object(response.content)
    if document is None:
        raise garbage(label)
    return document


def parse_object(body: bytes | str) -> dict[str, Any] | None:
    """The JSON object in `body`, or None for anything else; never raises."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def objects(value: object, label: str) -> list[dict[str, Any]]:
    """The objects of a list in a response. Raises `garbage` if it is not a list, or contains only
    other values, because an unreadable list does not prove that there are none."""
    found = dicts(value)
    if value != [] and not found:
        raise garbage(label)
    return found


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none if it is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def guarded(label: str, function: Callable[[], T]) -> T:
    """Call `function` and raise only `ProviderError`, without a cause or context.

    Client libraries raise `AssertionError`, `TypeError`, those of `http.client` and others besides
    their own exceptions, and some contain the request with its token. So the error is raised after
    the handlers, where Python attaches no context.
    """
    try:
        return function()
    except ProviderError as error:
        failure = error
    except OutboundError as error:
        failure = error_from_outbound(error, label)
    except Exception as error:
        failure = _unexpected_error(error, label)
    failure.__cause__ = failure.__context__ = None
    raise failure.with_traceback(None)


def before_effect(label: str, function: Callable[[], T]) -> T:
    """`guarded` for reads before the one request that changes something.

    Failures are never uncertain, because that request was not sent yet.
    """
    try:
        return guarded(label, function)
    except ProviderError as error:
        failure = error
    if failure.outcome is Outcome.UNCERTAIN:
        failure.outcome = Outcome.NOT_SENT
    raise failure


def only_provider_errors(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """`guarded` as a decorator for a provider's public methods."""

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return guarded(self.label, lambda: method(self, *args, **kwargs))

    return call


class Budget:
    """The time limit for all calls of one task together.

    An effect's lease is longer than one call may take, but several slow responses in a row must not
    exceed it either.
    """

    def __init__(self, label: str, seconds: float = DEADLINE) -> None:
        self._label = label
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left for the next call. Raises `ProviderError` (NOT_SENT) if there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0.1:
            raise ProviderError(
                "timeout",
                f"{self._label} is responding too slowly.",
                "Try again later.",
                outcome=Outcome.NOT_SENT,
            )
        return seconds


def _unexpected_error(error: Exception, label: str) -> ProviderError:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_qualname}:{place.tb_lineno}" if place else "?"
    logger.error("%s: unexpected %s at %s", label, type(error).__name__, where)
    return ProviderError(
        "unexpected",
        f"The call to {label} failed in an unexpected way ({type(error).__name__}).",
        "Try again later. If this persists, contact the operator of this server.",
        outcome=Outcome.UNCERTAIN,
    )


def check_header_value(value: str, *, label: str, what: str) -> None:
    """Refuse a secret that is invalid in a header, before a library raises an error with its text.

    Raises `ProviderError` (CREDENTIALS). The usual cause is a pasted line break or typographic
    quote.
    """
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ProviderError(
            "malformed_secret",
            f"The {label} {what} is empty or contains invalid characters.",
            "Copy it again, without spaces or line breaks around it.",
            outcome=Outcome.CREDENTIALS,
        )


def vendor_words(text: object, *, secrets: Iterable[str], limit: int = 200) -> str:
    """A provider's text made safe to display: one line, cut at `limit` characters.

    Empty if the text contains one of the `secrets`, unchanged, quoted, as JSON or in base64.
    """
    line = " ".join(str(text).split()) if isinstance(text, str) else ""
    line = "".join(c for c in line if c.isprintable())
    if any(form in line for secret in secrets for form in spellings(secret)):
        return ""
    return line if len(line) <= limit else line[: limit - 1] + "…"


def spellings(secret: str) -> set[str]:
    """The forms in which a server may echo `secret`."""
    lines = {" ".join(line.split()) for line in secret.splitlines() if len(line) > 8}
    plain = {secret, json.dumps(secret)[1:-1], *lines}
    return {f for f in plain | _url_spellings(secret) | _base64_spellings(secret) if f}


def _url_spellings(secret: str) -> set[str]:
    """In a path, a query or a form, with hexadecimal digits in either case."""
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return quoted | {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}


def _base64_spellings(secret: str) -> set[str]:
    """`secret` within a longer base64 text starts at one of three offsets; its edges are cut."""
    raw = secret.encode()
    found = set()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        start, end = (0, 2, 3)[offset], len(encoded) - 4
        if end - start >= 8:
            found.add(encoded[start:end])
    return found
