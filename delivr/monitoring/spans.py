"""The spans of `traces`, by OpenTelemetry's SDK. Imported only where traces are on.

A span has ids and words of ours: no address but a provider's host, no header, no body, no text of
an error, which may name what a person wrote.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROTOCOL = "http/protobuf"
_propagator = TraceContextTextMapPropagator()


@functools.cache
def provider() -> TracerProvider:
    """Where this process sends its spans, in batches, by a thread of its own."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if os.environ.get(name, PROTOCOL) != PROTOCOL:
            raise ImproperlyConfigured(f"{name} can only be {PROTOCOL}.")
    os.environ.setdefault("OTEL_SERVICE_NAME", "delivr")
    made = TracerProvider(resource=Resource.create({"service.version": settings.VERSION}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made


@contextlib.contextmanager
def span(
    name: str,
    *,
    ids: Mapping[str, str],
    parent: str = "",
    is_linked: bool = False,
    since: datetime | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    standard: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> Iterator[trace.Span]:
    """The current span until the end of the block. `parent`: a traceparent, instead of the span
    that is current now, to which `is_linked` links it. `standard`: attributes of the semantic
    conventions; all others are ours."""
    current = trace.get_current_span().get_span_context()
    made = _tracer().start_span(
        name,
        context=_propagator.extract({"traceparent": parent}, Context()) if parent else None,
        kind=kind,
        attributes={**(standard or {}), **_ours({**ids, **attributes})},
        links=[Link(current)] if is_linked and current.is_valid else [],
        start_time=int(since.timestamp() * 1e9) if since else None,
    )
    with trace.use_span(made, True, record_exception=False, set_status_on_exception=False):
        try:
            yield made
        except Exception as error:
            failed(getattr(error, "code", "") or type(error).__name__)
            raise


@contextlib.contextmanager
def call(
    method: str, host: str, port: int, headers: MutableMapping[str, str], *, ids: Mapping[str, str]
) -> Iterator[None]:
    """https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span"""
    standard = {"http.request.method": method, "server.address": host, "server.port": port}
    with span(method, ids=ids, kind=SpanKind.CLIENT, standard=standard):
        if {host, f"{host}:{port}"} & set(settings.TRACEPARENT_TO):
            headers["traceparent"] = traceparent()
        yield


def traceparent() -> str:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def note(**attributes: Any) -> None:
    trace.get_current_span().set_attributes(_ours(attributes))


def event(name: str, **attributes: Any) -> None:
    trace.get_current_span().add_event(name, _ours(attributes))


def failed(code: str) -> None:
    current = trace.get_current_span()
    current.set_status(StatusCode.ERROR)
    current.set_attribute("error.type", str(code))


def served(method: str, route: str) -> None:
    current = trace.get_current_span()
    current.update_name(f"{method} /{route}")
    current.set_attribute("http.route", f"/{route}")


def answered(status: int, *, error_from: int = 400) -> None:
    """The status of the current span's response, an error from `error_from` on."""
    trace.get_current_span().set_attribute("http.response.status_code", status)
    if status >= error_from:
        failed(str(status))


def _tracer() -> trace.Tracer:
    return provider().get_tracer("delivr", settings.VERSION)


def _ours(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """With the names that the JSON log has, in a space of our own."""
    return {
        f"delivr.{name}": value if isinstance(value, int) else str(value)
        for name, value in attributes.items()
    }
