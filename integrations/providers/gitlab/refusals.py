"""The meaning of GitLab's refusals, whose words stand in `message`, `error` or both.

https://docs.gitlab.com/api/rest/troubleshooting/
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import requests

from ..base import Outcome, ProviderError
from ..http import error_from_proxy, error_from_status, garbage

LABEL = "GitLab"
LONGEST = 1000  # characters of a message that are read, since the server may be untrusted
MOVED, NO_PROJECT = "repository_moved", "project_not_found"  # codes
_MOVED_PROJECT = re.compile(r"/api/v4/projects/\d+(?:[/?]|$)")
_DIGITS = re.compile(r"[0-9]{1,12}")
_OWN_HEADERS = ("x-gitlab-meta", "ratelimit-name")
# `404 Branch Not Found`, `403 Forbidden`: the status in words.
_SAYS_NOTHING = re.compile(r"(?:\d{3} )?(?:\w+ )?(?:forbidden|unauthorized|not found)", re.I)


@dataclass(frozen=True)
class Refusal:
    """A response, mostly an unsuccessful one: headers by lower-case name, the body as JSON or
    None."""

    status: int
    headers: Mapping[str, str]
    data: Any

    @classmethod
    def of(cls, response: requests.Response) -> Self:
        try:
            data = json.loads(response.content)
        except (ValueError, RecursionError):
            data = None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return cls(response.status_code, headers, data)

    @property
    def text(self) -> str:
        """GitLab's unchanged reason, or ""."""
        body = self.data if isinstance(self.data, dict) else {}
        found = body.get("error_description") or body.get("message") or body.get("error")
        return "; ".join(_texts(found))[:LONGEST]

    @property
    def is_from_gitlab(self) -> bool:
        """False for the page of a proxy, a firewall, or another program."""
        return any(name in self.headers for name in _OWN_HEADERS) or (
            isinstance(self.data, dict) and bool({"message", "error", "version"} & set(self.data))
        )

    @property
    def leads_to_project(self) -> bool:
        """The project has another path: reads are redirected to its number, writes refused."""
        if self.status == 405:
            return "moved" in self.text.lower()
        location = self.headers.get("location", "")
        return 300 <= self.status < 400 and bool(_MOVED_PROJECT.search(location))


def _texts(found: object) -> list[str]:
    """`{"base": ["…"]}`, `{"error": "…"}`, a list, or a text."""
    if isinstance(found, str):
        return [found]
    if isinstance(found, dict):
        return [text for value in list(found.values())[:10] for text in _texts(value)]
    return [text for one in found[:10] for text in _texts(one)] if isinstance(found, list) else []


def failure_of(refusal: Refusal, clean: Callable[[str], str]) -> ProviderError:
    """The error for a refusal; `clean` makes GitLab's text safe to display (`vendor_words`)."""
    if refusal.status == 429:
        return _rate_limited(refusal.headers)
    if refusal.leads_to_project:
        return ProviderError.refused(MOVED, "The project was renamed or moved.", MOVED_HINT)
    if refusal.status < 400 or (refusal.status < 500 and not refusal.is_from_gitlab):
        return unlike_api(refusal)
    text = refusal.text.strip()
    said = "" if _SAYS_NOTHING.fullmatch(text) else clean(text)
    if refusal.status == 401:
        return _refused_token(text, said)
    if refusal.status == 403:
        return _forbidden(refusal, said)
    message = f"GitLab refuses this and says: {said}" if said and refusal.status < 500 else ""
    code = NO_PROJECT if refusal.status == 404 and "project not found" in text.lower() else ""
    return error_from_status(LABEL, refusal.status, code=code, message=message)


MOVED_HINT = "Open it in a browser and enter its current address."


def unlike_api(answer: Refusal) -> ProviderError:
    """The error for a response that is not from GitLab's API."""
    if answer.status >= 500:
        return error_from_status(LABEL, answer.status)
    if 300 <= answer.status < 400:
        hint = "Enter the final address, which the browser shows after opening it, with https://."
        return error_from_status(LABEL, answer.status, hint=hint)
    if answer.status == 429:
        return _rate_limited(answer.headers)
    if answer.status == 404:
        return ProviderError(
            "not_gitlab",
            "There is no GitLab at this address.",
            "Enter the project's address as the browser shows it, for example "
            "https://git.example.com/group/app, with the path below which GitLab runs, if any.",
            outcome=Outcome.NOT_SENT,
        )
    return error_from_proxy(LABEL, answer.status) if answer.status >= 400 else garbage(LABEL)


def _rate_limited(headers: Mapping[str, str]) -> ProviderError:
    """https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers"""
    wait, reset = headers.get("retry-after"), headers.get("ratelimit-reset", "")
    if wait is None and _DIGITS.fullmatch(reset):
        wait = str(max(int(reset) - int(time.time()), 0))
    return error_from_status(LABEL, 429, retry_after=wait)


def _refused_token(text: str, said: str) -> ProviderError:
    code, how = "bad_credentials", "refused the access token"
    if "expired" in text.lower():
        code, how = "token_expired", "refused the access token, which has expired"
    elif "revoked" in text.lower():
        code, how = "token_revoked", "refused the access token, which was revoked"
    is_known = code != "bad_credentials" or not said
    return error_from_status(
        LABEL,
        401,
        code=code,
        message=f"GitLab {how}." if is_known else f"GitLab {how}: {said}",
        hint="Create a new one on GitLab: in the project under Settings > Access tokens, or in "
        "your profile under Personal access tokens.",
    )


def _forbidden(refusal: Refusal, said: str) -> ProviderError:
    if isinstance(refusal.data, dict) and refusal.data.get("error") == "insufficient_scope":
        return missing_scope()
    hint = "Give the token's user the Developer role in the project, or enter another token."
    if said:
        hint = "Sign in to GitLab as the token's user and do what it asks, or enter another token."
    message = f"GitLab refuses this and says: {said}" if said else ""
    return error_from_status(LABEL, 403, message=message, hint=hint)


def missing_scope() -> ProviderError:
    return ProviderError(
        "missing_scope",
        "The access token lacks the api scope, so it cannot write to the project.",
        "Create a token with the api scope: GitLab has no narrower one for branches and tags.",
        outcome=Outcome.CREDENTIALS,
    )
