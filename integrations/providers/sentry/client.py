"""Sentry's web API, by sessions of `delivr.outbound`: https://docs.sentry.io/api/"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from delivr import outbound

from ..base import ProviderError
from ..http import (
    Budget,
    check_header_value,
    error_from_proxy,
    error_from_status,
    garbage,
    guarded,
    objects,
    parse_object,
    vendor_words,
)

LABEL = "Sentry"
_NEXT = re.compile(r'rel="next";\s*results="true";\s*cursor="([^"]{1,100})"')


class SentryClient:
    """One organization. `deadline` in seconds for all calls together. Methods only raise
    ProviderError."""

    def __init__(self, token: str, *, server: str, organization: str, deadline: float) -> None:
        check_header_value(token, label=LABEL, what="token")
        self._token = token
        self._base = f"{server}/api/0/organizations/{organization}"
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """GET an object below the organization's address."""
        data = self._read(path, query)[0]
        if not isinstance(data, dict):
            raise garbage(LABEL)
        return data

    def listed(self, path: str, *, most: int, **query: Any) -> Iterator[dict[str, Any]]:
        """The entries of a list, from at most this many pages.

        https://docs.sentry.io/api/pagination/
        """
        for _page in range(most):
            data, link = self._read(path, query)
            yield from objects(data, LABEL)
            following = _NEXT.search(link)
            if following is None:
                return
            query["cursor"] = following[1]

    def _read(self, path: str, query: Mapping[str, Any]) -> tuple[Any, str]:
        return guarded(LABEL, lambda: self._send(path, query))

    def _send(self, path: str, query: Mapping[str, Any]) -> tuple[Any, str]:
        with outbound.session(deadline=self._budget.left()) as session:
            answer = session.get(
                f"{self._base}{path}",
                params=query,
                headers={"Authorization": f"Bearer {self._token}"},
            )
        if answer.status_code != 200:
            raise self._error(answer)
        try:
            return answer.json(), answer.headers.get("Link", "")
        except (ValueError, RecursionError):
            pass
        raise garbage(LABEL)

    def _error(self, answer: requests.Response) -> ProviderError:
        """Sentry's API refuses with a JSON object: {"detail": "…"}."""
        told = parse_object(answer.content)
        if told is None and 400 <= answer.status_code < 500 and answer.status_code != 429:
            return error_from_proxy(LABEL, answer.status_code)
        detail = self.words((told or {}).get("detail"))
        error = error_from_status(LABEL, answer.status_code, retry_after=_pause(answer))
        return error if not detail else _with(error, detail)

    def words(self, text: object) -> str:
        """Sentry's text, made safe to display."""
        return vendor_words(text, secrets=(self._token,))


def _with(error: ProviderError, detail: str) -> ProviderError:
    return ProviderError(
        error.code,
        f"{error.message} It says: “{detail}”",
        error.hint,
        outcome=error.outcome,
        retry_after=error.retry_after,
    )


def _pause(answer: requests.Response) -> str | None:
    """The `Retry-After` header, or else the seconds until the limit is lifted:
    https://docs.sentry.io/api/ratelimits/"""
    reset = answer.headers.get("X-Sentry-Rate-Limit-Reset", "")
    if "Retry-After" in answer.headers or answer.status_code != 429 or not reset.isdecimal():
        return answer.headers.get("Retry-After")
    return str(max(int(reset[:12]) - int(time.time()), 1))
