"""Spans of the requests that the web server answers. Used only where traces are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from opentelemetry.trace import SpanKind

from delivr.monitoring import traces
from delivr.monitoring.logs import current_ids
from delivr.monitoring.spans import answered, span

UNTRACED = ("/static/", "/livez", "/readyz", "/metrics")  # probes and files
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Served:
    """A WSGI application around another. Each request begins a trace: a stranger's `traceparent`
    neither joins ours nor decides whether it is kept."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(UNTRACED):
            return self.application(environ, start_response)

        def start(status: str, *rest: Any) -> Any:
            answered(int(status[:3]), error_from=500)
            return start_response(status, *rest)

        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "_OTHER"
        standard = {"http.request.method": method, "url.scheme": environ["wsgi.url_scheme"]}
        with span(method, ids={}, kind=SpanKind.SERVER, standard=standard):
            return self.application(environ, start)


class RouteOfRequests:
    """Names the request's span by its route, which holds no value, and gives it the log's ids."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Mapping[str, Any]
    ) -> None:
        match = request.resolver_match
        traces.served(str(request.method), match.route if match else "", **current_ids())
