"""Jira's refusals, in our words.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import requests

from ..base import Outcome, ProviderError
from ..http import error_from_status, garbage, parse_object, vendor_words

LABEL = "Jira"


def bad_credentials() -> ProviderError:
    return ProviderError(
        "bad_credentials",
        "Jira refused the API token for this e-mail address.",
        "Create a new one at id.atlassian.com > Security > API tokens (they end after a year at"
        " most) and enter it with the e-mail address of the same account.",
        outcome=Outcome.CREDENTIALS,
    )


def sign_in_failed(response: requests.Response) -> bool:
    """Jira answers some addresses to anybody, bad token or not; this header tells."""
    reason: str = response.headers.get("X-Seraph-LoginReason", "")
    return "AUTHENTICATED_FAILED" in reason


def error_from_response(
    response: requests.Response | None, secrets: Iterable[str]
) -> ProviderError:
    """What an answer that is no success means, with Jira's own words where they help."""
    if response is None:
        return garbage(LABEL)
    if response.status_code == 401 or sign_in_failed(response):
        return bad_credentials()
    if response.status_code == 403:
        return _forbidden(response)
    retry_after = response.headers.get("Retry-After")
    if response.status_code in (400, 422) and (words := _words(response.content, secrets)):
        return error_from_status(
            LABEL,
            response.status_code,
            message=f"Jira refused the request: {words}",
            hint="Change the settings of the project, or ask its administrator.",
        )
    return error_from_status(LABEL, response.status_code, retry_after=retry_after)


def _forbidden(response: requests.Response) -> ProviderError:
    if "CAPTCHA" in response.headers.get("X-Authentication-Denied-Reason", ""):
        return error_from_status(
            LABEL,
            403,
            code="captcha",
            message="Jira wants this account to solve a CAPTCHA after too many failed sign-ins.",
            hint="Sign in to Jira in a browser with this account, then verify again.",
        )
    return error_from_status(
        LABEL,
        403,
        message="Jira knows the account, but the account or its token may not do this.",
        hint="Give the account the permission in the project. A token with scopes also needs"
        " read:jira-work, read:jira-user and write:jira-work.",
    )


def _words(body: bytes, secrets: Iterable[str]) -> str:
    """Both parts of Jira's error: the library drops the messages where there are field errors."""
    document = parse_object(body) or {}
    return vendor_words(" ".join(_sentences(document)), secrets=secrets)


def _sentences(document: dict[str, Any]) -> list[str]:
    general, fields = document.get("errorMessages"), document.get("errors")
    sentences = [str(item) for item in general] if isinstance(general, list) else []
    if isinstance(fields, dict):
        sentences += [f"{field}: {words}" for field, words in fields.items()]
    return sentences
