"""Which tenant, release and effect a line of the log is about, and the log as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default={})  # noqa: B039 # never changed


@contextmanager
def log_ids(**ids: str) -> Iterator[None]:
    """Lines that are logged within carry these ids, and those from outside; empty ones are left
    out."""
    token = _ids.set(_ids.get())
    try:
        add_ids(**ids)
        yield
    finally:
        _ids.reset(token)


def add_ids(**ids: str) -> None:
    """Add ids that became known, until the `log_ids` around it ends."""
    _ids.set({**_ids.get(), **{name: value for name, value in ids.items() if value}})


def current_ids() -> Mapping[str, str]:
    """The ids that a line would carry now."""
    return _ids.get()


class AddIds(logging.Filter):
    """Sets `record.ids`. On the handler, since a logger's filter misses the loggers below it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.ids = _ids.get()
        return True


class IdsOfRequests:
    """The tenant of the request and the ids in its address, in what the view logs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        tenant = getattr(request, "tenant", None)
        with log_ids(tenant=tenant.pk if tenant else ""):
            return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Mapping[str, Any]
    ) -> None:
        words = ("release", "build", "effect")
        add_ids(**{word: str(kwargs.get(f"{word}_id", "")) for word in words})


class JsonLines(logging.Formatter):
    """One object on each line: `time` (UTC), `level`, `logger`, `message`, the ids, `error`.

    It shows what the text shows and no more: neither arguments nor other attributes of the record,
    which may hold a secret.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "ids", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_json(logger: logging.Logger) -> None:
    """Let the handlers that a server gave its logger write JSON, too."""
    for handler in logger.handlers:
        handler.setFormatter(JsonLines())
