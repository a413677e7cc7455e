"""Traces, from a click to the provider and back (docs/adr/0022-traces.md).

Off, which is the default, nothing of OpenTelemetry is imported, no request passes anything more,
and each function here returns at once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings

from delivr.monitoring.logs import current_ids

_NOTHING: AbstractContextManager[None] = contextlib.nullcontext()
_HAVE_THEIR_OWN = ("effect", "delivery")  # jobs whose span belongs to an earlier trace


def _spans() -> Any:
    from delivr.monitoring import spans  # imports OpenTelemetry

    return spans


def span(name: str, **options: Any) -> AbstractContextManager[None]:
    """A span with the ids that the log has, and further attributes; the options are those of
    `spans.span`."""
    if not settings.TRACES:
        return _NOTHING
    found: AbstractContextManager[None] = _spans().span(name, ids=current_ids(), **options)
    return found


def job(name: str) -> AbstractContextManager[None]:
    return _NOTHING if name in _HAVE_THEIR_OWN else span(f"job {name}")


def call(
    method: str | None, host: str, port: int, headers: MutableMapping[str, str]
) -> AbstractContextManager[None]:
    """A span of a request to another system: its method and host, and nothing else of it. The
    headers get the `traceparent` if the operator names the host."""
    if not settings.TRACES:
        return _NOTHING
    found: AbstractContextManager[None] = _spans().call(
        method or "GET", host, port, headers, ids=current_ids()
    )
    return found


def here() -> str:
    """The current span as a `traceparent`; "" if there is none.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    return str(_spans().traceparent()) if settings.TRACES else ""


def note(**attributes: Any) -> None:
    """Add attributes to the current span."""
    if settings.TRACES:
        _spans().note(**attributes)


def event(name: str, **attributes: Any) -> None:
    """Add an event to the current span."""
    if settings.TRACES:
        _spans().event(name, **attributes)


def failed(code: str) -> None:
    """The current span ends in a failure that we handle."""
    if settings.TRACES:
        _spans().failed(code)


def served(method: str, route: str, **attributes: Any) -> None:
    """The current span is of a request for this route, which holds no value."""
    if settings.TRACES:
        _spans().served(method, route)
        _spans().note(**attributes)


def answered(status: int) -> None:
    """The current call was answered."""
    if settings.TRACES:
        _spans().answered(status)


class AddTrace(logging.Filter):
    """Adds the trace and the span to the ids of a line of the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        _version, *ids = here().split("-")
        record.ids = {**record.ids, **dict(zip(("trace_id", "span_id"), ids, strict=False))}  # type: ignore[attr-defined]
        return True
