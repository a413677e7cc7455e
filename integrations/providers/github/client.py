"""GitHub's REST API through PyGithub, with every connection made by `delivr.outbound`.

https://docs.github.com/en/rest/about-the-rest-api
"""

from __future__ import annotations

import logging
import math
import re
import time
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
from delivr.moments import within_reason

from ..base import Outcome, ProviderError
from ..http import Budget, check_header_value, error_from_status, garbage, guarded, vendor_words

LABEL = "GitHub"
_EXPIRATION = "github-authentication-token-expiration"
_DIGITS = re.compile(r"[0-9]{1,12}")

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

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of a classic token; None for other kinds, of which GitHub tells none."""
        named = self.headers.get("x-oauth-scopes")
        if named is None:
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
        _host.set(urlsplit(self._api_url).hostname or "")
        with self._github() as client:
            try:
                headers, data = client.requester.requestJsonAndCheck(
                    "GET", path, parameters=parameters
                )
            except github.GithubException as error:
                failure = self._failure(error)
            except ValueError:  # JSON that breaks off
                failure = garbage(LABEL)
            else:
                return Answer(data, headers)
        raise failure

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

    def _failure(self, error: github.GithubException) -> ProviderError:
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if _is_rate_limit(error, headers):
            return _rate_limited(headers)
        if error.status == 401:
            return _refused_token()
        if error.status == 403 and "x-github-sso" in headers:
            return _wants_sign_on()
        if error.status == 403:
            return error_from_status(LABEL, 403, hint=_missing_permission(headers))
        return error_from_status(LABEL, error.status)


def _is_rate_limit(error: github.GithubException, headers: Mapping[str, str]) -> bool:
    """Primary and secondary limits come as 403 or 429:
    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
    if error.status == 429 or isinstance(error, github.RateLimitExceededException):
        return True
    spent = headers.get("x-ratelimit-remaining") == "0"
    return error.status == 403 and (spent or "retry-after" in headers)


def _rate_limited(headers: Mapping[str, str]) -> ProviderError:
    reset = headers.get("x-ratelimit-reset", "")
    wait = headers.get("retry-after")
    if wait is None and _DIGITS.fullmatch(reset):
        wait = str(max(int(reset) - int(time.time()), 0))
    return error_from_status(LABEL, 429, retry_after=wait)


def _refused_token() -> ProviderError:
    return error_from_status(
        LABEL,
        401,
        message="GitHub refused the access token.",
        hint="It may have expired or been revoked. Create a new one in GitHub under "
        "Settings > Developer settings > Personal access tokens.",
    )


def _wants_sign_on() -> ProviderError:
    return ProviderError(
        "sso_required",
        "The organisation wants this token to be authorised for single sign-on.",
        "In GitHub, open the token's Configure SSO and authorise the organisation.",
        outcome=Outcome.CREDENTIALS,
    )


def _missing_permission(headers: Mapping[str, str]) -> str:
    """GitHub names what would have sufficed: `contents=write` or `contents=read; actions=read`."""
    named = headers.get("x-accepted-github-permissions", "")
    if not re.fullmatch(r"[a-z_]+=[a-z]+([;,] ?[a-z_]+=[a-z]+){0,9}", named):
        return "Give the token the Contents, Actions and Metadata permissions for this repository."
    return f"Give the token this permission: {named}."


def _expiration(text: str) -> datetime | None:
    """`2026-12-01 08:00:00 UTC`, or with an offset in place of UTC."""
    text = text.strip().replace(" UTC", " +0000")
    try:
        found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if within_reason(found) else None
