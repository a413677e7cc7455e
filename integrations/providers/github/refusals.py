"""The meaning of GitHub's refusals: reasons with the same status differ only in their message.

https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..base import Outcome, ProviderError
from ..http import clock_skew, error_from_status

LABEL = "GitHub"
NOT_FOR_APPS = "not_for_apps"  # the code of requests that an installation token may not make
LONGEST = 1000  # characters of a message that are read, since the server may be untrusted
WORKFLOWS = r"workflows?.{0,3} (?:permission|scope)"  # missing, to push changes of workflow files
_DIGITS = re.compile(r"[0-9]{1,12}")
_SLOW_DOWN = re.compile(r"rate limit|abuse detection|wait a few minutes", re.IGNORECASE)
_OWN_HEADERS = ("x-github-request-id", "x-github-media-type")
_SAYS_NOTHING = {"", "bad credentials", "requires authentication", "not found", "forbidden"}


@dataclass(frozen=True)
class Refusal:
    """An unsuccessful response: headers by lower-case name, the body as JSON or None."""

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def text(self) -> str:
        """GitHub's unchanged reason, or ""."""
        message = self.data.get("message") if isinstance(self.data, dict) else None
        return message if isinstance(message, str) else ""

    @property
    def is_from_github(self) -> bool:
        """False for the page of a proxy or a firewall."""
        return bool(self.text) or any(name in self.headers for name in _OWN_HEADERS)

    @property
    def is_rate_limit(self) -> bool:
        """Limits are reported with 403 or 429, and not always with their headers:
        https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
        if self.status == 429:
            return True
        is_announced = (
            self.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in self.headers
        )
        return self.status == 403 and (is_announced or bool(_SLOW_DOWN.search(self.text)))


@dataclass(frozen=True)
class Reason:
    """The reason for a 403 or 451 whose message matches `pattern`."""

    code: str
    pattern: str
    hint: str
    outcome: Outcome = Outcome.CREDENTIALS


# The first match counts.
_REASONS = (
    Reason(
        "workflows_permission",
        WORKFLOWS,
        "The commits change workflow files. Give the token the Workflows permission (write), or "
        "the workflow scope, then verify the connection.",
    ),
    Reason(
        "ip_not_allowed",
        r"ip allow list|ip address",
        "Ask an administrator of the organization to add this server's address to its IP allow "
        "list.",
    ),
    Reason(
        "sso_required",
        r"\bsaml\b|single sign-on",
        "On GitHub, open Configure SSO for the token and authorize the organization.",
    ),
    Reason(
        "token_lifetime",
        r"lifetime",
        "Create a token that expires sooner, or ask an administrator of the organization to "
        "allow a longer lifetime.",
    ),
    Reason(
        "classic_token_forbidden",
        r"forbids access .*\(classic\)",
        "Enter a fine-grained token, or ask an administrator of the organization to allow "
        "classic tokens.",
    ),
    Reason(
        "fine_grained_token_forbidden",
        r"forbids access .*fine-grained",
        "Enter another kind of token, or ask an administrator of the organization to allow "
        "fine-grained tokens.",
    ),
    Reason(
        "token_forbidden",
        r"forbids access",
        "Ask an administrator of the organization which kinds of tokens it allows.",
    ),
    Reason(
        "token_not_approved",
        r"pending|approv",
        "Ask an administrator of the organization to approve the token.",
    ),
    Reason(
        "app_not_approved",
        r"oauth app access restrictions|third-part",
        "Ask an administrator of the organization to approve the app that made this token, or "
        "enter a personal access token.",
    ),
    Reason(
        "suspended",
        r"suspended",
        "Ask an administrator to lift the suspension, or enter the token of another account.",
    ),
    Reason(
        "not_verified",
        r"email address|two-factor",
        "Sign in to GitHub as the token's owner and do what it asks for there.",
    ),
    Reason(
        "blocked",
        r"access blocked|dmca|unavailable due to|terms of service",
        "GitHub has blocked this repository. Open it in a browser to see why.",
        Outcome.REFUSED,
    ),
    Reason(
        "archived",
        r"archived",
        "Choose another repository, or unarchive this one in GitHub.",
        Outcome.REFUSED,
    ),
    Reason(
        "disabled",
        r"disabled|locked|billing",
        "Choose another repository, or ask its owner to enable this one in GitHub.",
        Outcome.REFUSED,
    ),
    Reason(
        "admin_required",
        r"must have admin rights",
        "Give the account the Admin role, or enter the token of another account.",
    ),
)
_APP = re.compile(r"not accessible by integration", re.IGNORECASE)


def failure_of(refusal: Refusal, clean: Callable[[str], str]) -> ProviderError:
    """The error for a refusal; `clean` makes GitHub's text safe to display (`vendor_words`)."""
    if refusal.is_rate_limit:
        return _rate_limited(refusal.headers)
    if 400 <= refusal.status < 500 and not refusal.is_from_github:
        return _not_from_github(refusal.status)
    github_text = clean(refusal.text) if refusal.text.lower() not in _SAYS_NOTHING else ""
    if refusal.status == 401:
        return _refused_token(github_text)
    if refusal.status == 451:
        return _explained(reason_of("blocked"), refusal.status, github_text)
    if refusal.status == 403:
        return _forbidden(refusal, github_text)
    return error_from_status(LABEL, refusal.status, message=_message(refusal.status, github_text))


MOST_SKEW = 50.0  # seconds; GitHub takes what was signed within the last minutes, not later


def app_failure_of(refusal: Refusal, repository: str) -> ProviderError | None:
    """What an app is told when it asks as itself; None if the general words do."""
    if refusal.status == 401 and refusal.is_from_github:
        ahead = clock_skew(refusal.headers.get("date"))
        return _refused_key() if ahead is None or abs(ahead) < MOST_SKEW else _wrong_clock(ahead)
    if refusal.status == 404 and "integration not found" in refusal.text.lower():
        return ProviderError(
            "app_unknown",
            "GitHub has no app with this ID.",
            "Copy the App ID from the app's settings in GitHub; it may have been deleted there.",
            outcome=Outcome.CREDENTIALS,
        )
    if refusal.status == 404 and refusal.is_from_github:
        return not_installed(repository)
    if refusal.status == 403 and "suspended" in refusal.text.lower():
        return suspended()
    return None


def not_installed(repository: str, *, is_several: bool = False) -> ProviderError:
    if is_several:
        return ProviderError.refused(
            "app_installations",
            "The app is installed in several places.",
            "Enter the installation's ID: the number at the end of its address in GitHub.",
        )
    return ProviderError(
        "app_not_installed",
        f"The app is not installed for {repository or 'any repository'} (any more).",
        "Open the app's settings in GitHub, choose Install App and include this repository.",
        outcome=Outcome.CREDENTIALS,
    )


def suspended() -> ProviderError:
    return ProviderError(
        "app_suspended",
        "The app's installation is suspended.",
        "An owner of the organisation can lift the suspension in GitHub under Settings > GitHub "
        "Apps, then verify the connection.",
        outcome=Outcome.CREDENTIALS,
    )


def _refused_key() -> ProviderError:
    return ProviderError(
        "app_key_refused",
        "GitHub refused what was signed with the app's private key.",
        "The key may have been deleted, or belong to another app. Create a new one in the app's "
        "settings in GitHub, and enter it here.",
        outcome=Outcome.CREDENTIALS,
    )


def _wrong_clock(ahead: float) -> ProviderError:
    which = "ahead of" if ahead > 0 else "behind"
    return ProviderError(
        "clock_skew",
        f"This server's clock is {abs(ahead):.0f} seconds {which} GitHub's, so that GitHub does "
        "not take what the app signs.",
        "The operator has to set the clock, best by NTP. It is retried automatically.",
        outcome=Outcome.NOT_SENT,
    )


def _forbidden(refusal: Refusal, github_text: str) -> ProviderError:
    if "x-github-sso" in refusal.headers:
        return _explained(reason_of("sso_required"), 403, github_text)
    if _APP.search(refusal.text):
        return error_from_status(
            LABEL,
            403,
            code=NOT_FOR_APPS,
            message=_message(403, github_text),
            hint=_missing_permission(refusal.headers, "app"),
        )
    text = refusal.text[:LONGEST]
    for reason in _REASONS:
        if re.search(reason.pattern, text, re.IGNORECASE | re.DOTALL):
            return _explained(reason, 403, github_text)
    hint = _missing_permission(refusal.headers, "token")
    return error_from_status(LABEL, 403, message=_message(403, github_text), hint=hint)


def reason_of(code: str) -> Reason:
    return next(reason for reason in _REASONS if reason.code == code)


def _explained(reason: Reason, status: int, github_text: str) -> ProviderError:
    words = _message(status, github_text) or f"GitHub refuses this (HTTP {status})."
    return ProviderError(reason.code, words, reason.hint, outcome=reason.outcome)


def _message(status: int, github_text: str) -> str:
    """GitHub's text if it says more than the status; "" for the usual message."""
    return (
        f"GitHub refuses this and says: {github_text}"
        if github_text and 400 <= status < 500
        else ""
    )


def _not_from_github(status: int) -> ProviderError:
    """The error for a response that did not come from GitHub."""
    return ProviderError(
        "not_its_answer",
        f"Something in front of GitHub answered with HTTP {status}, not GitHub itself.",
        "There may be a proxy or a firewall in between, or this is not the address of a "
        "GitHub server.",
        outcome=Outcome.NOT_SENT,
    )


def _rate_limited(headers: Mapping[str, str]) -> ProviderError:
    reset = headers.get("x-ratelimit-reset", "")
    wait = headers.get("retry-after")
    spent = headers.get("x-ratelimit-remaining", "0") == "0"
    if wait is None and spent and _DIGITS.fullmatch(reset):
        wait = str(max(int(reset) - int(time.time()), 0))
    return error_from_status(LABEL, 429, retry_after=wait)


def _refused_token(github_text: str) -> ProviderError:
    return error_from_status(
        LABEL,
        401,
        message=f"GitHub refused the access token: {github_text}"
        if github_text
        else "GitHub refused the access token.",
        hint="It may have expired or been revoked. Create a new one in GitHub under "
        "Settings > Developer settings > Personal access tokens.",
    )


def _missing_permission(headers: Mapping[str, str], whose: str) -> str:
    """GitHub names sufficient permissions: `contents=write` or `contents=read; actions=read`."""
    named = headers.get("x-accepted-github-permissions", "")
    if not re.fullmatch(r"[a-z_]+=[a-z]+([;,] ?[a-z_]+=[a-z]+){0,9}", named):
        return (
            f"Give the {whose} the Contents, Actions and Metadata permissions for this repository."
        )
    return f"Give the {whose} this permission: {named}."
