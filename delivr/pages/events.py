"""Tells open pages at once that something has changed, by server-sent events.

One process, one thread for all connections, one statement each `PAUSE` for all pages. An event says
nothing but that: the page then asks for its fragment as it does when it polls.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any

import h11
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError, close_old_connections, connection
from django.http import HttpRequest, HttpResponse

from delivr.changes import SHARED, news, snapshot
from delivr.signin.second_factor import lacks_for_tenant
from delivr.tenants.middleware import TenantMiddleware

log = logging.getLogger(__name__)

PAUSE = 0.2  # seconds between two looks at what has changed
BEAT = 15  # seconds between two comments, which keep proxies from closing a quiet connection
CHECK_AGAIN = 60  # seconds after which a reader's session and membership are looked up again
MOST = 10_000  # connections
UNREAD = 64 * 1024  # bytes; a reader who has left so many unread is gone
PATIENCE = 10  # seconds for the request

_ADDRESS = re.compile(r"^(?:/releases/(\w+))?/events(?:\?.*)?$", re.ASCII)
_HEADERS = [
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx passes each event on at once
]


def tenant_of(session_key: str) -> str | None:
    """The workspace that the session's user may read pages of, as the pages find it out."""
    close_old_connections()
    request: Any = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    request.user = get_user(request)
    TenantMiddleware(lambda _: HttpResponse())(request)
    return None if request.tenant is None or lacks_for_tenant(request) else request.tenant.pk


@dataclass(eq=False)
class Watcher:
    """One open page. `release` is empty if it shows the whole workspace."""

    session_key: str
    tenant: str
    release: str
    http: h11.Connection
    writer: asyncio.StreamWriter
    checked_at: float = field(default_factory=time.monotonic)

    def shows(self, release: str) -> bool:
        return not self.release or release in (self.release, SHARED)

    def send(self, text: bytes) -> None:
        if self.writer.transport.get_write_buffer_size() > UNREAD:
            self.close()
        elif not self.writer.is_closing():
            self.writer.write(self.http.send(h11.Data(data=text)) or b"")

    def close(self) -> None:
        self.writer.close()


class Events:
    """The server. `run` ends when its task is cancelled."""

    def __init__(self) -> None:
        self.watchers: dict[str, set[Watcher]] = {}  # by workspace
        self.seen = ""  # the snapshot up to which changes were told; empty: the database is away
        self._tail, self._check = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    async def run(self, host: str, port: int) -> None:
        server = await asyncio.start_server(self._serve, host, port, backlog=1024)
        try:
            async with server, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell_changes())
                tasks.create_task(self._beat())
                tasks.create_task(self._check_again())
        finally:
            for watcher in self.everyone():
                watcher.close()

    def everyone(self) -> list[Watcher]:
        return [watcher for some in self.watchers.values() for watcher in some]

    # --- What happens again and again -------------------------------------------------------------

    async def _tell_changes(self) -> None:
        """What nobody can be told (the database was away), everyone asks for on connecting anew."""
        while True:
            try:
                self._tell(await self._in(self._tail, self._look))
            except DatabaseError:
                log.exception("Changes cannot be read. Pages poll in the meantime.")
                self.seen = ""
                for watcher in self.everyone():
                    watcher.close()
                await asyncio.sleep(1)
            await asyncio.sleep(PAUSE)

    def _look(self) -> Iterable[tuple[str, str]]:
        if not self.seen:
            connection.close()
            self.seen = snapshot()
            return ()
        self.seen, changed = news(self.seen)
        return changed

    def _tell(self, changed: Iterable[tuple[str, str]]) -> None:
        told = {
            watcher
            for tenant, release in changed
            for watcher in self.watchers.get(tenant, ())
            if watcher.shows(release)
        }
        for watcher in told:
            watcher.send(b"data: changed\n\n")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            for watcher in self.everyone():
                watcher.send(b":\n\n")

    async def _check_again(self) -> None:
        while True:
            await asyncio.sleep(1)
            for watcher in self.everyone():
                if time.monotonic() - watcher.checked_at > CHECK_AGAIN:
                    watcher.checked_at = time.monotonic()
                    if await self._tenant_of(watcher.session_key) != watcher.tenant:
                        watcher.close()

    async def _tenant_of(self, session_key: str) -> str | None:
        """None as well while that cannot be found out."""
        try:
            found: str | None = await self._in(self._check, tenant_of, session_key)
        except DatabaseError:
            found = None
        return found

    async def _in(self, pool: ThreadPoolExecutor, call: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, call, *args)

    # --- One connection ---------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(PATIENCE):
                request = await _request(http, reader)
            await self._answer(request, http, reader, writer)
        except (h11.RemoteProtocolError, TimeoutError, ConnectionError):
            pass  # whoever it was is gone, or speaks no HTTP
        finally:
            writer.close()

    async def _answer(
        self,
        request: h11.Request,
        http: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        status, found = 404, _ADDRESS.match(request.target.decode("ascii", "replace"))
        watcher = None
        if request.target == b"/livez":
            status = 200 if self.seen else 503
        elif found and (request.method != b"GET" or not self.seen or len(self.everyone()) >= MOST):
            status = 405 if request.method != b"GET" else 503
        elif found:
            key = _session_key(request)
            tenant = await self._tenant_of(key) if key else None
            status = 200 if tenant else 204  # 204: an EventSource does not come again
            if tenant:
                watcher = Watcher(key, tenant, found[1] or "", http, writer)
        headers = _HEADERS if watcher else [("Content-Length", "0"), ("Connection", "close")]
        if status == 204:
            headers = [("Connection", "close")]
        if watcher is None:
            writer.write(http.send(h11.Response(status_code=status, headers=headers)) or b"")
            return
        # First known, then answered: on the answer the page asks, and misses nothing from then on.
        self.watchers.setdefault(watcher.tenant, set()).add(watcher)
        try:
            writer.write(http.send(h11.Response(status_code=200, headers=headers)) or b"")
            watcher.send(b"retry: 3000\n\n")
            while await reader.read(1024):
                pass
        finally:
            self.watchers[watcher.tenant].discard(watcher)


async def _request(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while not isinstance(event := http.next_event(), h11.Request):
        if event is not h11.NEED_DATA:
            raise ConnectionError
        http.receive_data(await reader.read(16 * 1024))
    return event


def _session_key(request: h11.Request) -> str:
    cookies = SimpleCookie()
    for name, value in request.headers:
        if name == b"cookie":
            try:
                cookies.load(value.decode("latin-1"))
            except CookieError:
                return ""
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else ""
