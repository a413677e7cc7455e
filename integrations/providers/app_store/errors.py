"""What App Store Connect's refusals mean.

https://developer.apple.com/documentation/appstoreconnectapi/interpreting-and-handling-errors
Codes are hierarchical, separated by dots, and matched by prefix; `detail` may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import requests

from ..base import Check, Outcome, ProviderError
from ..http import (
    clock_skew,
    dicts,
    error_from_proxy,
    error_from_status,
    parse_object,
    vendor_words,
)
from ..json_values import line
from ..stores import ANOTHER_IN_REVIEW, StepRefused

LABEL = "App Store Connect"
CLOCK_SKEW = 30  # seconds: a token from the future is refused too
UNCHANGED = "unchanged"  # the code of a change to the value that is there already
SOON = 15.0  # seconds until what was made a moment ago is usually there
NO_REQUESTS_LEFT = 600.0  # seconds: the limit is that of a rolling hour

# Texts, because Apple has no code for these: https://github.com/fastlane/fastlane and others wait
# for them, too.
_NOT_READY = re.compile(
    r"not ready to be submitted yet|uploads? still in progress|is not in a valid processing state"
    r"|(reviewSubmissions|appStoreVersions)\b.* (cannot|can't) be found",
    re.IGNORECASE,
)
_UNCHANGED = re.compile(r"already has this value|value is already set", re.IGNORECASE)
TOLD_BY_APPLE = "told_by_apple"  # the code of a notification of testers that Apple sends itself
_TOLD_BY_APPLE = re.compile(r"auto-?notify already enabled|told automatically", re.IGNORECASE)
_ANOTHER_IN_REVIEW = re.compile(r"another build\b.* is in (beta )?review", re.IGNORECASE)

# Stable words for what a submission lacks, by the prefix of Apple's code.
_CODES = {
    "STATE_ERROR.SCREENSHOT_REQUIRED": "screenshots_missing",
    "ENTITY_ERROR.ATTRIBUTE.REQUIRED": "value_missing",
    "ENTITY_ERROR.RELATIONSHIP.REQUIRED": "part_missing",
    "ENTITY_ERROR": "value_refused",
    "STATE_ERROR": "not_submittable",
}


def error_of(
    answer: requests.Response, *, secrets: Iterable[str], is_change: bool
) -> ProviderError:
    """The error for an unsuccessful response; `is_change`: to a request that changes something."""
    document = parse_object(answer.content)
    if answer.status_code in (403, 404) and document is None:
        return error_from_proxy(LABEL, answer.status_code)
    if answer.status_code == 401:
        return _refused_key(answer.headers.get("Date"))
    errors = dicts((document or {}).get("errors"))
    if answer.status_code == 403:
        return _forbidden(errors, is_change=is_change)
    if answer.status_code == 429:
        return _too_many(answer.headers)
    problems = [p for p in _problems(errors, secrets) if p.message]
    if answer.status_code in (409, 422):
        return _conflict(answer.status_code, problems)
    words = problems[0].message if problems and answer.status_code < 500 else ""
    return error_from_status(
        LABEL,
        answer.status_code,
        retry_after=answer.headers.get("Retry-After"),
        message=f"Apple says: {words}" if words else "",
    )


def _problems(errors: list[dict[str, Any]], secrets: Iterable[str]) -> Iterator[Check]:
    """Each reason of a refusal, the associated ones instead of the error that only sums them up."""
    for error in errors:
        meta = error.get("meta")
        associated = meta.get("associatedErrors") if isinstance(meta, dict) else None
        lists = associated.values() if isinstance(associated, dict) else []
        details = [detail for found in lists for detail in dicts(found)]
        for reason in details or [error]:
            text = reason.get("detail") or reason.get("title")
            words = vendor_words(text, secrets=secrets, limit=300)
            yield Check.failed("submit", _code_of(line(reason.get("code"))), words)


def _code_of(apple_code: str) -> str:
    found = (ours for prefix, ours in _CODES.items() if apple_code.startswith(prefix))
    return next(found, "refused")


def _conflict(status: int, problems: list[Check]) -> ProviderError:
    text = " ".join(dict.fromkeys(problem.message for problem in problems))
    message = f"Apple says: {text}" if text else ""
    if text and all(_NOT_READY.search(problem.message) for problem in problems):
        return not_yet("not_ready", message)
    if _UNCHANGED.search(text):
        return error_from_status(LABEL, status, code=UNCHANGED, message=message)
    if _TOLD_BY_APPLE.search(text):
        return error_from_status(LABEL, status, code=TOLD_BY_APPLE, message=message)
    if _ANOTHER_IN_REVIEW.search(text):
        return another_in_beta_review()
    return StepRefused(
        problems[0].code if len(problems) == 1 else "conflict",
        message or f"{LABEL} refused this in the app's current state (HTTP {status}).",
        "Mend it in App Store Connect, then try again.",
        checks=problems,
    )


def not_yet(code: str, message: str, hint: str = "", *, seconds: float = SOON) -> ProviderError:
    """The error while Apple is not ready; ask again in `seconds`."""
    return ProviderError(code, message, hint, outcome=Outcome.NOT_YET, retry_after=seconds)


def another_in_beta_review() -> ProviderError:
    return not_yet(
        ANOTHER_IN_REVIEW,
        "Another build of this version is in beta review, and Apple reviews one at a time.",
        "It continues once that review has ended. To be faster, expire the other build.",
        seconds=600,
    )


def _forbidden(errors: list[dict[str, Any]], *, is_change: bool) -> ProviderError:
    code = line(errors[0].get("code")) if errors else ""
    if code.startswith("FORBIDDEN.REQUIRED_AGREEMENTS"):
        return error_from_status(
            LABEL,
            403,
            code="agreement_missing",
            message="Apple requires an agreement to be accepted first.",
            hint="The Account Holder can accept it in App Store Connect > Business.",
        )
    roles = "App Manager" if is_change else "App Manager or Developer"
    return error_from_status(
        LABEL,
        403,
        message="Apple accepted the API key, but its role does not allow this.",
        hint=f"Give the key the role {roles}, with access to this app.",
    )


def _too_many(headers: Mapping[str, str]) -> ProviderError:
    """https://developer.apple.com/documentation/appstoreconnectapi/identifying-rate-limits"""
    error = error_from_status(LABEL, 429, retry_after=headers.get("Retry-After"))
    if error.retry_after is None and "user-hour-rem:0;" in f"{headers.get('X-Rate-Limit', '')};":
        error.retry_after = NO_REQUESTS_LEFT
    return error


def _refused_key(date: str | None) -> ProviderError:
    """Apple gives no reason. A wrong clock is detected by the time of the answer."""
    skew = clock_skew(date)
    if skew is not None and abs(skew) > CLOCK_SKEW:
        return error_from_status(
            LABEL,
            401,
            code="clock_skew",
            message=f"Apple refused the API key: this server's clock is {abs(skew):.0f} s "
            f"{'ahead' if skew > 0 else 'behind'}.",
            hint=(
                "Signed tokens contain the time. Ask the operator of this server to set its "
                "clock, for example by NTP."
            ),
        )
    return error_from_status(
        LABEL,
        401,
        message="Apple refused the API key.",
        hint="Check that the issuer ID, key ID and .p8 file belong together, and that the key "
        "was not revoked (App Store Connect > Users and Access > Integrations). It must be "
        "a team key: individual keys have no issuer ID.",
    )
