"""Jira's refusals, with Jira's own reason if there is one, and a hint.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from ..base import Outcome, ProviderError
from ..http import error_from_status, parse_object, retry_after_seconds, vendor_words
from .addresses import Cloud

LABEL = "Jira"
DATA_CENTER_NAME = "Jira Data Center"
_RENEW = (
    "Create a new one at id.atlassian.com > Security > API tokens (they expire after a year at "
    "most) and enter it with the email address of the same account."
)
_RENEW_PERSONAL = (
    "Create a new one in Jira under Profile > Personal Access Tokens, and enter it here."
)
_SCOPES = "A token with scopes needs read:jira-work, read:jira-user and write:jira-work."
_PERMISSION = f"Give the account the permission in the project. {_SCOPES}"

# By Jira's message: a code, the outcome and a hint. The first match counts.
_REASONS: tuple[tuple[str, str, Outcome, str], ...] = (
    (
        r"\bip address|allow(ed)?[ -]?list|allowlist",
        "ip_not_allowed",
        Outcome.CREDENTIALS,
        "Add delivr's IP addresses to the allowlist: admin.atlassian.com > Security > IP "
        "allowlists.",
    ),
    (
        r"\b(suspended|deactivated)\b|temporarily unavailable|under maintenance",
        "site_unavailable",
        Outcome.NOT_SENT,
        "Check at admin.atlassian.com whether the site is suspended or deactivated. delivr "
        "retries automatically.",
    ),
    (
        r"scope does not match|\bscopes?\b",
        "missing_scope",
        Outcome.CREDENTIALS,
        f"{_SCOPES} Create another token at id.atlassian.com > Security > API tokens.",
    ),
    (r"\bexpired\b", "token_expired", Outcome.CREDENTIALS, _RENEW),
    (
        r"app access|access rule|data security policy|blocked by",
        "access_rule",
        Outcome.CREDENTIALS,
        "An administrator of the organization has to give apps access to the project: "
        "admin.atlassian.com > Security > Data security policies.",
    ),
    (
        r"(product|application|site|jira) access|not licen[sc]ed|access to (jira|this site|the "
        r"(site|product|application))",
        "no_product_access",
        Outcome.CREDENTIALS,
        "Give the account access to Jira at admin.atlassian.com > Directory > Users.",
    ),
)


def bad_credentials(words: str = "", *, is_personal: bool = False) -> ProviderError:
    """`is_personal`: the token is one of Jira Data Center's, which needs no email address."""
    reason = f" ({words})" if words else ""
    refused = "personal access token" if is_personal else "API token for this email address"
    return ProviderError(
        "bad_credentials",
        f"Jira refused the {refused}{reason}.",
        _RENEW_PERSONAL if is_personal else _RENEW,
        outcome=Outcome.CREDENTIALS,
    )


def sign_in_failed(response: requests.Response) -> bool:
    """Jira accepts some requests despite a bad token; this header reports it."""
    reason: str = response.headers.get("X-Seraph-LoginReason", "")
    return "AUTHENTICATED_FAILED" in reason or "AUTHENTICATION_DENIED" in reason


def error_from_response(
    response: requests.Response, secrets: Iterable[str], *, is_personal: bool = False
) -> ProviderError:
    """The error for an unsuccessful response, or for one that says that the sign-in failed."""
    if _wants_captcha(response):
        return _captcha()
    if response.ok:
        return bad_credentials(is_personal=is_personal)
    status, retry_after = response.status_code, response.headers.get("Retry-After")
    if not is_from_jira(response) and status != 429:
        return _not_from_jira(status, retry_after)
    words = _words(response.content, secrets)
    if status not in (408, 429) and (known := _known_reason(status, words, retry_after)):
        return known
    if status == 401:
        return bad_credentials(words, is_personal=is_personal)
    if status == 403:
        return _forbidden(words)
    if words and 400 <= status < 500 and status not in (408, 429):
        return _refusal(status, words)
    return error_from_status(LABEL, status, retry_after=retry_after)


def _wants_captcha(response: requests.Response) -> bool:
    """https://confluence.atlassian.com/adminjiraserver/configuring-public-signup : three failed
    sign-ins, and none is taken without a CAPTCHA."""
    headers = response.headers
    return response.status_code in (401, 403) and (
        "CAPTCHA" in headers.get("X-Authentication-Denied-Reason", "")
        or "AUTHENTICATION_DENIED" in headers.get("X-Seraph-LoginReason", "")
    )


def _captcha() -> ProviderError:
    return error_from_status(
        LABEL,
        403,
        code="captcha",
        message="Jira requires this account to solve a CAPTCHA after too many failed sign-ins.",
        hint="Sign in to Jira in a browser with this account, then verify again.",
    )


def is_from_jira(response: requests.Response) -> bool:
    """True for a response from Jira or Atlassian's gateway, which is JSON or has their headers. The
    page of a proxy or a firewall has neither."""
    ours = ("x-arequestid", "x-aaccountid", "x-asessionid", "x-seraph-loginreason", "atl-traceid")
    if any(name in response.headers for name in ours) or _realm(response):
        return True
    is_page = response.content.lstrip()[:1] == b"<"
    return not is_page and "html" not in response.headers.get("Content-Type", "")


def _not_from_jira(status: int, retry_after: str | None) -> ProviderError:
    """The error if the request did not reach Jira, or (5xx) may have reached it."""
    return ProviderError(
        "not_jira",
        f"The server at this address is not Jira (HTTP {status}).",
        "Check the address (like https://example.atlassian.net), and whether a proxy or "
        "firewall is in between. delivr retries automatically.",
        outcome=Outcome.UNCERTAIN if status >= 500 else Outcome.NOT_SENT,
        retry_after=retry_after_seconds(retry_after),
    )


def _known_reason(status: int, words: str, retry_after: str | None) -> ProviderError | None:
    if status == 400:
        return None  # complaints about fields
    for pattern, code, outcome, hint in _REASONS:
        if re.search(pattern, words, re.IGNORECASE):
            if status >= 500:  # it is unknown whether the request took effect
                outcome = Outcome.UNCERTAIN
            return ProviderError(
                code,
                f"Jira says: {words}",
                hint,
                outcome=outcome,
                retry_after=retry_after_seconds(retry_after),
            )
    return None


def _forbidden(words: str) -> ProviderError:
    common = (
        "Jira knows the account, but the account or its token does not have permission for this."
    )
    message = f"Jira does not allow this: {words}" if words else common
    return error_from_status(LABEL, 403, message=message, hint=_PERMISSION)


def _refusal(status: int, words: str) -> ProviderError:
    if status == 404:
        message, hint = f"Jira could not find it: {words}", ""
    else:
        message = f"Jira refused the request: {words}"
        hint = "Change the project's settings, or ask its administrator."
    return error_from_status(LABEL, status, message=message, hint=hint)


def _words(body: bytes, secrets: Iterable[str]) -> str:
    """All of Jira's messages in the response, or ""."""
    return vendor_words(" ".join(_sentences(parse_object(body) or {})), secrets=secrets)


def _sentences(document: dict[str, Any]) -> Iterator[str]:
    """`errorMessages` and `errors` are from Jira, `message` and `errorMessage` from its gateway."""
    for name in ("errorMessages", "errorMessage", "message"):
        found = document.get(name)
        for item in found if isinstance(found, list) else [found]:
            if isinstance(item, str) and item.strip():
                yield item
    fields = document.get("errors")
    if isinstance(fields, dict):
        for field, words in fields.items():
            if isinstance(words, str) and words.strip():
                yield f"{field}: {words}"


# --- Jira Data Center ----------------------------------------------------------------------------


def wrong_deployment(name: str, version: object = "") -> ProviderError:
    """The connection is for the other deployment: it names an account's email address, or none."""
    number = vendor_words(version, secrets=(), limit=20)
    if name == DATA_CENTER_NAME:
        hint = (
            "Leave the account's email address empty, and enter a personal access token of Jira "
            "Data Center (Profile > Personal Access Tokens)."
        )
    else:
        hint = "Enter the account's email address and an API token of Jira Cloud."
    return ProviderError.refused("wrong_deployment", f"This is {f'{name} {number}'.strip()}.", hint)


def is_data_center(response: requests.Response) -> bool:
    """Recognized by the response to a request that only Jira Cloud has: Data Center names itself in
    `WWW-Authenticate` and sets a session cookie."""
    if "x-asessionid" in response.headers:
        return True
    return bool(_realm(response)) and not Cloud().hosts(_realm(response))


def _realm(response: requests.Response) -> str:
    """The URL of the Jira that requires a sign-in, or ""."""
    found = re.search(r'OAuth realm="([^"]+)"', response.headers.get("WWW-Authenticate", ""))
    address = unquote(found[1]) if found else ""
    try:
        return address if urlsplit(address).hostname else ""
    except ValueError:
        return ""
