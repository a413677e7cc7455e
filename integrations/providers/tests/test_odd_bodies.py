"""Every call of every provider, answered with odd bodies under every status.

Whatever comes, and whatever a client library makes of it: nothing but ProviderError gets out, a
refusal stays a refusal, and an answer that says nothing is taken for neither success nor absence.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import HTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from django.test import override_settings

from integrations.providers.base import Check, Level, Outcome, ProviderError
from integrations.providers.tests.odd_calls import Asked, asked
from integrations.providers.tests.wire import Reply, Seen, Wire

pytestmark = pytest.mark.slow

REFUSALS = (400, 401, 403, 404, 409, 410, 422)
STATUSES = (200, 201, 204, 301, 302, *REFUSALS, 429, 500, 502, 503)
SURELY_NOT_SENT = {Outcome.NOT_SENT, Outcome.REFUSED, Outcome.CREDENTIALS, Outcome.RATE_LIMITED}
NAMES = (
    *("error", "errors", "errorMessages", "message", "messages", "ok", "channel", "channels", "ts"),
    *("data", "issues", "issueTypes", "fields", "values", "permissions", "key"),
    *("items", "builds", "jobs", "number", "actions", "property", "_class", "access_token"),
)
NULLS = dict.fromkeys(NAMES)
DEEP = 20_000  # more than any parser follows
NO_OBJECTS = {
    "null": b"null",
    "list": b"[]",
    "list of null": b"[null]",
    "text": b'"text"',
    "infinite": b"1e999",
}
UNREADABLE = {
    "empty": b"",
    "truncated": b'{"errors": [{"message": "Not fo',
    "number too long": b'{"number": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"message": "\xff\xfe", "error": "\xff"}',
    "deep": b'{"errors": ' + b"[" * DEEP + b"]" * DEEP + b"}",
}
READABLE: dict[str, Any] = {
    "page": b"<!DOCTYPE html><title>502 Bad Gateway</title><h1>nginx</h1>",
    "object": b"{}",
    "nulls": NULLS | {"ok": True},
    "lists of null": {name: [None] for name in NAMES} | {"ok": True},
    "objects of null": {name: {"message": None, "errors": None, "a": [None]} for name in NAMES},
    "surrogates": b'{"message": "\\ud800", "error": "\\udfff", "errorMessages": ["\\ud800"]}',
}
BODIES = NO_OBJECTS | UNREADABLE | READABLE
ALL = asked()
TYPES = {"page": "text/html; charset=utf-8", "object": "text/plain", "text": "image/png"}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire(HTTPServer) as server, pytest.MonkeyPatch.context() as patch:
        # Google's key is loaded at each call, which takes 0.2 s.
        load = functools.cache(serialization.load_pem_private_key)
        patch.setattr(serialization, "load_pem_private_key", load)
        with override_settings(
            GITHUB_API_URL=f"{server.url}/api/v3",
            SLACK_API_URL=f"{server.url}/api/",
            APP_STORE_CONNECT_URL=f"{server.url}/",
            GOOGLE_PLAY_URL=f"{server.url}/play",
            GOOGLE_TOKEN_URL=f"{server.url}/token",
        ):
            yield server


@pytest.fixture
def no_collection() -> Iterator[None]:
    """A deeply nested body takes a client library to the recursion limit. A garbage collection
    there would finalize what earlier tests left, and each finalizer would fail."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.on_sqlite
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("one", ALL, ids=str)
def test_an_odd_answer_means_neither_success_nor_absence(wire, one):
    complaints = []
    for status, body in pairs(one):
        case = Case(one, status, body)
        complaints += [f"{status} {body}: {words}" for words in case.complaints(wire)]
    assert complaints == []


def pairs(one: Asked) -> Iterator[tuple[int, str]]:
    """Statuses and bodies to answer a call with: all of them for calls that create something and
    for providers with few calls. For the others, equivalent bodies take turns, so that each is sent
    with every status in one of the provider's calls."""
    row = ALL.index(one)
    for turn, status in enumerate(STATUSES, start=row):
        if one.kind == "send" or "store" in one.name:
            names = list(BODIES)
        else:
            names = [list(NO_OBJECTS)[turn % 5], list(UNREADABLE)[turn % 5], *READABLE]
        yield from ((status, name) for name in names)


@dataclass(frozen=True)
class Case:
    one: Asked
    status: int
    body: str

    @property
    def says_nothing(self) -> bool:
        """About what was asked. Redirects are answers of their own."""
        return self.status < 300 or self.status == 429 or self.status >= 500

    def complaints(self, wire: Wire) -> Iterator[str]:
        found = self._run(wire)
        kind = self.one.kind
        if kind == "before" and any(seen.method == "POST" for seen in wire.seen):
            yield "sent in spite of it"
        if isinstance(found, ProviderError):
            yield from _wrong_words(found)
            yield from self._wrong_outcome(found)
        elif kind == "verify":
            yield from self._wrong_checks(found)
        elif kind == "send" and self.status >= 300 and self.status != 303:
            yield f"taken for sent: {found}"
        elif self.says_nothing and self._is_absent(found):
            yield f"taken for an absence: {found!r}"

    def _is_absent(self, found: Any) -> bool:
        if self.one.kind == "branch":  # an empty list of branches is no odd one
            return not found.exists and self.body != "list"
        return self.one.kind == "find" and not found

    def _run(self, wire: Wire) -> Any:
        """What the call answers: its result or its ProviderError."""
        wire.seen.clear()
        wire.routes = self.one.routes()
        usual, odd = wire.routes.get(self.one.path), self._reply()

        def answer(seen: Seen) -> Reply:
            if self.one.tree in seen.query.get("tree", ""):
                return odd
            return usual(seen) if callable(usual) else usual

        wire.routes[self.one.path] = answer
        try:
            return self.one.call(wire)
        except ProviderError as error:
            return error

    def _reply(self) -> Reply:
        """As the system itself would send it; an HTML page as a proxy would."""
        headers = {"Content-Type": TYPES.get(self.body, "application/json")}
        if 300 <= self.status < 400:
            headers["Location"] = "/elsewhere"
        if self.body != "page":
            headers |= self.one.headers
        return Reply(BODIES[self.body], self.status, headers)

    def _wrong_outcome(self, error: ProviderError) -> Iterator[str]:
        is_sure = error.outcome in SURELY_NOT_SENT
        if self.one.kind == "before" and not is_sure:
            yield f"in doubt though nothing was sent: {error.code}"
        # Whoever cannot read the job knows nothing of its builds.
        if self.status in REFUSALS and not is_sure and error.code != "job_unreadable":
            yield f"a refusal in doubt: {error.code}"
        if self.status == 429 and error.outcome is not Outcome.RATE_LIMITED:
            yield f"no limit: {error.code} {error.outcome}"
        if self.one.kind == "send" and is_sure and (self.status < 300 or self.status >= 500):
            yield f"it may have happened: {error.code} {error.outcome}"

    def _wrong_checks(self, checks: Iterable[Check]) -> Iterator[str]:
        for check in checks:
            if check.ok:
                continue
            yield from _wrong_words(check)
            if self.says_nothing and check.level is Level.ERROR and not check.is_temporary:
                yield f"taken for lasting: {check.code}"


def _wrong_words(failure: ProviderError | Check) -> Iterator[str]:
    if failure.code == "unexpected":
        yield failure.message
    words = f"{failure.message} {failure.hint}"
    if not failure.message.strip() or not words.isprintable():
        yield f"no words: {words!r}"
    if "None" in words or "null" in words:
        yield f"no words for people: {words!r}"
