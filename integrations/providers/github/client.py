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

# At DEBUG level it logs whole answers.
logging.getLogger("github").setLevel(logging.WARNING)


_host: ContextVar[str] = ContextVar("github_host")  # the only host that the current call may reach


class _Hardened:
    """Mixin: PyGithub's session is replaced with one that only connects to the client's own host.
    PyGithub itself rejects other hosts only by an `assert`, which `python -O` removes."""

    session: Any
    verb: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session.close()
        self.session = outbound.session(host=_host.get())
        self.session.auth = Requester.noopAuth

    def getresponse(self) -> RequestsResponse:
        """Avoid that PyGithub sleeps and retries forever when a GET is answered with 202."""
        response: RequestsResponse = super().getresponse()  # type: ignore[misc] # of PyGithub
        if response.status == 202 and self.verb == "GET":
            raise garbage(LABEL)
        return response


class _HTTP(_Hardened, HTTPRequestsConnectionClass):
    pass


class _HTTPS(_Hardened, HTTPSRequestsConnectionClass):
    pass


Requester.injectConnectionClasses(_HTTP, _HTTPS)  # for the whole process


@dataclass(frozen=True)
class Answer:
    data: Any
    headers: Mapping[str, str]  # lower-case names
    has_scopes: bool = True  # the token's kind has scopes

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of a classic token; None for other kinds, for which GitHub sends none."""
        named = self.headers.get("x-oauth-scopes")
        if named is None or not self.has_scopes:
            return None
        return frozenset(scope.strip() for scope in named.split(",") if scope.strip())

    @property
    def token_expires(self) -> datetime | None:
        return _expiration(self.headers.get(_EXPIRATION, ""))


class GitHubClient:
    """`deadline` in seconds for all calls together. Methods only raise ProviderError."""

    def __init__(self, token: str, *, api_url: str, deadline: float) -> None:
        check_header_value(token, label=LABEL, what="access token")
        self._api_url = api_url
        self._token = token
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, **parameters: Any) -> Answer:
        """GET a path of the API; the answer is a JSON object or list."""
        return guarded(LABEL, lambda: self._send("GET", path, parameters=parameters))

    def post(self, path: str, **body: Any) -> Answer:
        return guarded(LABEL, lambda: self._send("POST", path, body=body))

    def patch(self, path: str, **body: Any) -> Answer:
        return guarded(LABEL, lambda: self._send("PATCH", path, body=body))

    def graphql(self, query: str, **variables: Any) -> Answer:
        """Ask the GraphQL API; the answer may have `data` and `errors` together.

        https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
        """
        body = {"query": query, "variables": variables}
        return guarded(LABEL, lambda: self._send("POST", None, body=body))

    def _send(self, method: str, path: str | None, **request: Any) -> Answer:
        answer = self.exchange(method, path, **request)
        if answer.status >= 400:
            raise failure_of(answer, self.words)
        if not isinstance(answer.data, dict | list):
            raise garbage(LABEL)
        return Answer(answer.data, answer.headers, not self._token.startswith(_WITHOUT_SCOPES))

    def exchange(self, method: str, path: str | None, **request: Any) -> Refusal:
        """One request (of the GraphQL API if there is no path) and its answer, whatever its status
        is. Parse it here, since PyGithub fails on error messages that are not text."""
        _host.set(urlsplit(self._api_url).hostname or "")
        with self._github() as client:
            requester = client.requester
            status, headers, text = requester.requestJson(
                method,
                requester.graphql_url if path is None else path,
                parameters=request.get("parameters"),
                headers=request.get("headers"),
                input=request.get("body"),
            )
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        return Refusal(status, headers, data)

    def _github(self) -> github.Github:
        """A client for one call: PyGithub takes its time-out, in whole seconds, when created."""
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
        """GitHub's text, made safe to display."""
        return vendor_words(text, secrets=(self._token,))


def _expiration(text: str) -> datetime | None:
    """`2026-12-01 08:00:00 UTC`, or with an offset in place of UTC."""
    text = text.strip().replace(" UTC", " +0000")
    try:
        found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if within_reason(found) else None
