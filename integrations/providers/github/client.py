"""GitHub's REST API through PyGithub, with every connection made by `delivr.outbound`.

https://docs.github.com/en/rest/about-the-rest-api
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import github
from github.Requester import (
    HTTPRequestsConnectionClass,
    HTTPSRequestsConnectionClass,
    Requester,
    RequestsResponse,
)

from delivr import outbound
from delivr.date_bounds import within_reason

from ..http import Budget, check_header_value, garbage, guarded, vendor_words
from .refusals import LABEL, Refusal, failure_of

_EXPIRATION = "github-authentication-token-expiration"
# https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
_WITHOUT_SCOPES = ("github_pat_", "ghs_", "ghu_")  # fine-grained, and those of GitHub Apps

# At DEBUG it writes whole answers into the log.
logging.getLogger("github").setLevel(logging.WARNING)


_host: ContextVar[str] = ContextVar("github_host")  # the one that the call under way may reach


def _harden(connection: HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass) -> None:
    """Replace PyGithub's session. Only the client's own host is reached, with whatever URL PyGithub
    comes: it guards against other hosts with an `assert` alone, which `python -O` drops."""
    connection.session.close()
    connection.session = outbound.session(host=_host.get())
    connection.session.auth = Requester.noopAuth


def _answer(response: RequestsResponse) -> RequestsResponse:
    """PyGithub sleeps and asks again, without end, where a GET is answered with 202."""
    if response.status == 202:
        raise garbage(LABEL)
    return response


class _HTTP(HTTPRequestsConnectionClass):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _harden(self)

    def getresponse(self) -> RequestsResponse:
        return _answer(super().getresponse())


class _HTTPS(HTTPSRequestsConnectionClass):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _harden(self)

    def getresponse(self) -> RequestsResponse:
        return _answer(super().getresponse())


Requester.injectConnectionClasses(_HTTP, _HTTPS)  # for the whole process


@dataclass(frozen=True)
class Answer:
    data: Any
    headers: Mapping[str, str]  # lower-case names
    has_scopes: bool = True  # the token is of a kind that has any

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of a classic token; None for other kinds, of which GitHub tells none."""
        named = self.headers.get("x-oauth-scopes")
        if named is None or not self.has_scopes:
            return None
        return frozenset(scope.strip() for scope in named.split(",") if scope.strip())

    @property
    def token_expires(self) -> datetime | None:
        return _expiration(self.headers.get(_EXPIRATION, ""))


class GitHubClient:
    """`deadline` in seconds for all calls together. Every method raises ProviderError only."""

    def __init__(self, token: str, *, api_url: str, deadline: float) -> None:
        check_header_value(token, label=LABEL, what="access token")
        self._api_url = api_url
        self._token = token
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, **parameters: Any) -> Answer:
        """GET below the API's address; the answer is a JSON object or list, by its type."""
        return guarded(LABEL, lambda: self._get(path, parameters))

    def _get(self, path: str, parameters: dict[str, Any]) -> Answer:
        """PyGithub's own reading of an answer stumbles over words that are none: read it here."""
        _host.set(urlsplit(self._api_url).hostname or "")
        with self._github() as client:
            status, headers, text = client.requester.requestJson("GET", path, parameters=parameters)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        if status >= 400:
            raise failure_of(Refusal(status, headers, data), self.words)
        if not isinstance(data, dict | list):
            raise garbage(LABEL)
        return Answer(data, headers, not self._token.startswith(_WITHOUT_SCOPES))

    def _github(self) -> github.Github:
        """A client for one call: PyGithub takes one time-out, in whole seconds, at its making."""
        return github.Github(
            auth=github.Auth.Token(self._token),
            base_url=self._api_url,
            timeout=math.ceil(self._budget.left()),
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            user_agent="delivr",
        )

    def words(self, text: object) -> str:
        """GitHub's words, fit to be shown."""
        return vendor_words(text, secrets=(self._token,))


def _expiration(text: str) -> datetime | None:
    """`2026-12-01 08:00:00 UTC`, or with an offset in place of UTC."""
    text = text.strip().replace(" UTC", " +0000")
    try:
        found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if within_reason(found) else None
