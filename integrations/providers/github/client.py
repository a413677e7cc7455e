"""GitHub's REST API through PyGithub, with every connection made by `delivr.outbound`.

https://docs.github.com/en/rest/about-the-rest-api
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import github
from github.Requester import (
    HTTPRequestsConnectionClass,
    HTTPSRequestsConnectionClass,
    Requester,
    RequestsResponse,
)

from delivr import outbound
from delivr.date_bounds import within_reason

from ..base import ProviderError
from ..http import Budget, check_header_value, garbage, guarded, objects, vendor_words
from .refusals import LABEL, Refusal, app_failure_of, failure_of, not_installed
from .sessions import App, Session

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

    def __init__(self, credential: str | Session, *, api_url: str, deadline: float) -> None:
        if isinstance(credential, str):
            check_header_value(credential, label=LABEL, what="access token")
        self._api_url = api_url
        self._credential = credential
        self._budget = Budget(LABEL, deadline)

    @property
    def _token(self) -> str:
        """Of an app, it may have to be asked for first."""
        found = self._credential
        return found if isinstance(found, str) else found.token(self.as_app)

    @property
    def login(self) -> str:
        """Of an app, the name that its acts have; "" for other credentials."""
        if isinstance(self._credential, str):
            return ""
        self._credential.token(self.as_app)
        return self._credential.login

    @property
    def _credential_mark(self) -> str:
        """The same for the same credential, without telling it."""
        found = self._credential
        if isinstance(found, str):
            return hashlib.sha256(found.encode()).hexdigest()
        return found.app.mark

    def as_app(self) -> AppClient:
        """A client for what only the app itself may ask, within the same time."""
        assert isinstance(self._credential, Session)  # noqa: S101 # asked of apps alone
        return AppClient(self._credential.app, api_url=self._api_url, budget=self._budget)

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
            raise self.failure(answer)
        if not isinstance(answer.data, dict | list):
            raise garbage(LABEL)
        return Answer(answer.data, answer.headers, not self._token.startswith(_WITHOUT_SCOPES))

    def failure(self, answer: Refusal) -> ProviderError:
        return failure_of(answer, self.words)

    def exchange(self, method: str, path: str | None, **request: Any) -> Refusal:
        """One request (of the GraphQL API if there is no path) and its answer, whatever its status
        is. A kept token that is refused before its time is replaced once: 401 means that nothing
        was done."""
        answer = self._exchange(method, path, **request)
        found = self._credential
        if answer.status == 401 and isinstance(found, Session) and found.is_to_be_tried_again():
            return self._exchange(method, path, **request)
        return answer

    def _exchange(self, method: str, path: str | None, **request: Any) -> Refusal:
        """Parse it here, since PyGithub fails on error messages that are not text."""
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
        return github.Github(auth=self._auth(), **self._settings())

    def _settings(self) -> dict[str, Any]:
        return {
            "base_url": self._api_url,
            "timeout": math.ceil(self._budget.left()),
            "retry": None,
            "seconds_between_requests": None,
            "seconds_between_writes": None,
            "user_agent": "delivr",
        }

    def _auth(self) -> github.Auth.Auth:
        return github.Auth.Token(self._token)

    def words(self, text: object) -> str:
        """GitHub's text, made safe to display."""
        found = self._credential
        return vendor_words(text, secrets=(found if isinstance(found, str) else found.known,))


class AppClient(GitHubClient):
    """Signs in as a GitHub App itself, by a token that its private key has signed.

    https://docs.github.com/en/rest/apps/apps
    """

    def __init__(self, app: App, *, api_url: str, budget: Budget) -> None:
        self._app = app
        super().__init__(_signed(app), api_url=api_url, deadline=budget.left())

    def _auth(self) -> github.Auth.Auth:
        return github.Auth.AppAuthToken(self._token)

    def failure(self, answer: Refusal) -> ProviderError:
        return app_failure_of(answer, self._app.repository) or super().failure(answer)

    def itself(self) -> dict[str, Any]:
        """Raises ProviderError, as the other methods do."""
        return self._object("/app")

    def installation(self) -> dict[str, Any]:
        """Where the app is installed, with what it may do there."""
        if self._app.installation:
            return self._object(f"/app/installations/{self._app.installation}")
        if self._app.repository:
            return self._object(f"/repos/{self._app.repository}/installation")
        found = objects(self.get("/app/installations", per_page=2).data, LABEL)
        if len(found) != 1:
            raise not_installed("", is_several=bool(found))
        return found[0]

    def _object(self, path: str) -> dict[str, Any]:
        data = self.get(path).data
        if not isinstance(data, dict) or not isinstance(data.get("id"), int):
            raise garbage(LABEL)
        return data


def _signed(app: App) -> str:
    """Valid from a minute ago, in case this clock is ahead, and for five minutes."""
    return github.Auth.AppAuth(app.id, app.private_key).create_jwt()


def converted(code: str, *, api_url: str, deadline: float) -> Any:
    """What GitHub hands out once for the code of a manifest. Raises ProviderError.

    https://docs.github.com/en/rest/apps/apps#create-a-github-app-from-a-manifest
    """
    return (
        _Unsigned("code", api_url=api_url, deadline=deadline)
        .post(f"/app-manifests/{quote(code, safe='')}/conversions")
        .data
    )


class _Unsigned(GitHubClient):
    def _github(self) -> github.Github:
        return github.Github(**self._settings())


def _expiration(text: str) -> datetime | None:
    """`2026-12-01 08:00:00 UTC`, or with an offset in place of UTC."""
    text = text.strip().replace(" UTC", " +0000")
    try:
        found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if within_reason(found) else None
