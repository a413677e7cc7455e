"""A collector of traces, as OTLP over HTTP: https://opentelemetry.io/docs/specs/otlp/"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service


class Span:
    """A span as it arrived."""

    def __init__(self, sent: Any) -> None:
        self.sent = sent
        self.name: str = sent.name
        self.trace, self.id, self.parent = sent.trace_id, sent.span_id, sent.parent_span_id
        self.links = [link.trace_id for link in sent.links]
        self.events = [event.name for event in sent.events]
        self.is_error = sent.status.code == 2
        self.attributes = {
            one.key: getattr(one.value, str(one.value.WhichOneof("value")))
            for one in sent.attributes
        }


class Collector(ThreadingHTTPServer):
    """Takes spans at `/v1/traces`; `asked` are the headers of all other requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans: list[Span] = []
        self.asked: list[dict[str, str]] = []
        self.bodies = b""


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        self.server.bodies += body
        for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += map(Span, scope.spans)
        self._answer(service.ExportTraceServiceResponse().SerializeToString())

    def do_GET(self) -> None:
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
