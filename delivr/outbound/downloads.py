"""Large responses, read in parts: the same rules, with separate limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self, cast

import requests
import urllib3

from delivr.outbound.adapter import DEADLINE, Adapter, Session, pool_for
from delivr.outbound.failures import explain
from delivr.outbound.sockets import Call
from delivr.outbound.urls import OutboundError, Target

MAX_SECONDS = 300.0  # for a whole download; its headers come within DEADLINE
LEAST_RATE = 64 * 1024  # bytes a second, whether the server or the reader is slow
STALL = 15.0  # seconds that it may lag behind this rate
MAX_BYTES = 2 * 1024**3  # above what a store takes
PART = 64 * 1024  # bytes


class Download:
    """A response whose body is read by iterating over it. Always call `close()`.

    Iterating raises OutboundError when the time is up, the body is too large, too slow or breaks
    off.
    """

    def __init__(
        self, raw: urllib3.BaseHTTPResponse, pool: urllib3.HTTPConnectionPool, call: Call
    ) -> None:
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self._raw, self._pool, self._call = raw, pool, call
        self._read = 0
        now = time.monotonic()
        self._end = now + MAX_SECONDS
        call.seconds, call.until = MAX_SECONDS, min(self._end, now + STALL)
        # As it comes: a compressed file stays one, and its length is what the header says.
        self._parts = raw.stream(PART, decode_content=False)

    @property
    def length(self) -> int | None:
        """The body's size in bytes, if the header gives it and the whole body is sent."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            part = next(self._parts)
        except StopIteration:
            raise
        except Exception as error:  # whatever a library lets through; see `explain`
            failure = explain(error, self._call)
        else:
            self._read += len(part)
            late = self._call.until + len(part) / LEAST_RATE
            self._call.until = min(self._end, time.monotonic() + STALL, late)
            if self._read <= MAX_BYTES:
                return part
            failure = _too_large(self._call)
        raise failure

    def close(self) -> None:
        """Close the connection; more than once does no harm."""
        self._raw.close()
        self._pool.close()
        self._call.close()


class _Opening(Adapter):
    """Leaves the body unread, as `response.raw`."""

    opened: Download | None = None

    def _send(
        self, request: requests.PreparedRequest, target: Target, call: Call, verify: bool | str
    ) -> requests.Response:
        pool = pool_for(target, call, verify)
        try:
            raw = self._urlopen(pool, request)
            response = self.build_response(request, cast(Any, raw))
            self._check_status(response, call)
            download = Download(raw, pool, call)
            if (download.length or 0) > MAX_BYTES:
                raise _too_large(call)
        except BaseException:
            pool.close()
            call.close()
            raise
        self.opened = download
        response._content = b""
        response._content_consumed = True  # type: ignore[attr-defined]
        return response


def open_download(url: str, *, auth: Any = None, only_public: bool = False) -> Download:
    """GET `url`, with `auth` as for requests; `only_public` as for `Adapter`. The response may have
    any status except a redirect. Raises OutboundError."""
    adapter = _Opening(deadline=DEADLINE, only_public=only_public)
    with Session(adapter) as session:
        session.get(url, auth=auth, headers={"Accept-Encoding": "identity"})
    assert adapter.opened is not None  # noqa: S101 # else `get` has raised
    return adapter.opened


def _too_large(call: Call) -> OutboundError:
    gigabytes = MAX_BYTES // 1024**3
    return call.error(
        "too_large",
        f"The file at {call.where} is larger than {gigabytes} GB.",
        "Download it from there.",
    )
