"""What Google Play's refusals mean, in words for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable

import requests

from ..base import ProviderError
from ..http import dicts, error_from_proxy, error_from_status, parse_object, vendor_words

LABEL = "Google Play"
KEY_HINT = (
    "Create a new key in Google Cloud Console > IAM & Admin > Service Accounts > Keys, and "
    "check this server's clock."
)


def error_from(answer: requests.Response, *, secrets: Iterable[str]) -> ProviderError:
    """https://developers.google.com/android-publisher : Google's usual error object."""
    if answer.status_code in (403, 404) and parse_object(answer.content) is None:
        return error_from_proxy(LABEL, answer.status_code)
    reasons = _reasons(answer.content)
    if answer.status_code == 403 and reasons & _SPENT:
        return error_from_status(LABEL, 429, retry_after=answer.headers.get("Retry-After"))
    if answer.status_code == 403 and reasons & _SWITCHED_OFF:
        return error_from_status(
            LABEL,
            403,
            code="api_disabled",
            message="The Google Play Android Developer API is disabled in the account's project.",
            hint="Enable it in Google Cloud Console > APIs & Services, wait a few minutes, and "
            "verify again.",
        )
    google_text = vendor_words(_message(answer.content), secrets=secrets)
    if answer.status_code == 403 and (reasons & _NOT_LINKED or _PROJECT_GONE.search(google_text)):
        return error_from_status(
            LABEL,
            403,
            code="project_unusable",
            message=f"Google refuses the service account's project: {google_text}",
            hint="Create a service account in an active Google Cloud project, and invite it in "
            "Play Console > Users and permissions.",
        )
    if answer.status_code == 403:
        return error_from_status(
            LABEL,
            403,
            message="Google knows the service account, but it has no access to this app yet.",
            hint="Invite its email address in Play Console > Users and permissions. The "
            "permission may take up to two days to work.",
        )
    if answer.status_code == 404:
        return error_from_status(
            LABEL,
            404,
            code="app_not_found",
            message="Google Play has no app with this package name.",
            hint="Check the spelling. The first version of an app must be uploaded manually in "
            "the Play Console.",
        )
    if answer.status_code == 401:
        return error_from_status(LABEL, 401, message="Google refused the token.", hint=KEY_HINT)
    return error_from_status(
        LABEL,
        answer.status_code,
        retry_after=answer.headers.get("Retry-After"),
        message=f"Google says: {google_text}" if google_text and answer.status_code < 500 else "",
    )


# https://cloud.google.com/apis/design/errors and https://developers.google.com/webmaster-tools/v1/errors
_SWITCHED_OFF = {"accessNotConfigured", "SERVICE_DISABLED"}
_SPENT = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED"}
_NOT_LINKED = {"projectNotLinked"}
_PROJECT_GONE = re.compile(r"project\b.*\b(deleted|not found|suspended)", re.I)


def _reasons(body: bytes) -> set[str]:
    error = (parse_object(body) or {}).get("error")
    if not isinstance(error, dict):
        return set()
    parts = dicts(error.get("errors")) + dicts(error.get("details"))
    return {str(part.get("reason")) for part in parts}


def _message(body: bytes) -> str:
    error = (parse_object(body) or {}).get("error")
    return str(error.get("message") or "") if isinstance(error, dict) else ""
