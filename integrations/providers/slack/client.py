"""Slack's Web API through slack_sdk, with the connection made by `delivr.outbound`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.request import Request

from django.conf import settings
from requests.structures import CaseInsensitiveDict
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from delivr import outbound

from ..base import ProviderError
from ..http import (
    Budget,
    check_header_value,
    error_from_proxy,
    error_from_status,
    garbage,
    guarded,
    parse_object,
    vendor_words,
)
from .errors import LABEL, error_from_answer
from .paging import PAGE_LIMIT, next_cursor

# The SDK logs bodies of answers, also at ERROR level.
_silent = logging.getLogger("delivr.slack_sdk")
_silent.addHandler(logging.NullHandler())
_silent.setLevel(logging.CRITICAL + 1)
_silent.propagate = False


class _Transport(WebClient):
    """The SDK with our transport: urllib would follow redirects to other hosts with the token."""

    def __init__(self, *, token: str, budget: Budget) -> None:
        super().__init__(
            token=token, base_url=settings.SLACK_API_URL, retry_handlers=[], logger=_silent
        )
        self.proxy = None  # the SDK takes one from the environment
        self._budget = budget

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        with outbound.session(deadline=self._budget.left()) as session:
            answer = session.request(
                req.get_method(),
                url,
                data=req.data,
                headers=dict(req.header_items()),
                allow_redirects=False,
            )
        if answer.status_code in (403, 404) and parse_object(answer.content) is None:
            raise error_from_proxy(LABEL, answer.status_code)
        if answer.status_code != 200:
            raise error_from_status(
                LABEL, answer.status_code, retry_after=answer.headers.get("Retry-After")
            )
        if parse_object(answer.content) is None:
            raise garbage(LABEL)
        return {"status": 200, "headers": answer.headers, "body": answer.content.decode()}


_WITH_MESSAGE = ("chat.postMessage", "chat.update")


@dataclass(frozen=True)
class Answer:
    data: dict[str, Any]
    scopes: frozenset[str] | None = None  # None: Slack did not say
    clock_lead: timedelta = timedelta()  # how far Slack's clock is ahead of ours


class SlackClient:
    """Calls methods of the Web API. Its methods only raise `ProviderError`."""

    def __init__(self, token: str, *, deadline: float, what: str = "bot token") -> None:
        check_header_value(token, label=LABEL, what=what)
        self._token = token
        self._web = _Transport(token=token, budget=Budget(LABEL, deadline))

    def call(self, method: str, **arguments: Any) -> Answer:
        """POST `method` without arguments that are None. The body is JSON if a message is sent."""
        given = {name: value for name, value in arguments.items() if value is not None}
        return guarded(LABEL, lambda: self._call(method, given))

    def _call(self, method: str, arguments: dict[str, Any]) -> Answer:
        try:
            if method in _WITH_MESSAGE:
                response = self._web.api_call(method, json=arguments)
            else:  # methods that read do not accept JSON
                response = self._web.api_call(method, params=arguments)
        except SlackApiError as error:
            failure = _failure(error)
        else:
            headers = CaseInsensitiveDict(response.headers)
            return Answer(dict(response.data), _scopes(headers), _clock_lead(headers))  # type: ignore[arg-type]
        raise failure

    def words(self, text: object) -> str:
        """Slack's text (such as a channel's name), made safe to display."""
        return vendor_words(text, secrets=(self._token,), limit=90)

    def pages(self, method: str, **arguments: Any) -> Iterator[Answer]:
        """The pages of a list, `PAGE_LIMIT` at most; some may be short or empty."""
        cursor: str | None = None
        for _ in range(PAGE_LIMIT):
            answer = self.call(method, cursor=cursor, **arguments)
            yield answer
            cursor = next_cursor(answer.data)
            if cursor is None:
                return


def _failure(error: SlackApiError) -> ProviderError:
    """The error: a refusal has `"ok": false`; after any other response, the message may have been
    posted."""
    data = error.response.data
    if not isinstance(data, dict) or data.get("ok") is not False:
        return garbage(LABEL)
    return error_from_answer(data, error.response.headers.get("Retry-After"))


def _scopes(headers: Mapping[str, str]) -> frozenset[str] | None:
    """The token's scopes, which are only in a header of each response."""
    named = headers.get("x-oauth-scopes")
    if named is None:
        return None
    return frozenset(scope.strip() for scope in named.split(",") if scope.strip())


def _clock_lead(headers: Mapping[str, str]) -> timedelta:
    try:
        theirs = parsedate_to_datetime(headers.get("Date", ""))
        return theirs - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return timedelta()
