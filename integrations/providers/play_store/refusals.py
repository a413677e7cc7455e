"""What Google Play's refusals mean, in words for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable

import requests

from ..base import Outcome, ProviderError
from ..http import dicts, error_from_proxy, error_from_status, parse_object, vendor_words

LABEL = "Google Play"
KEY_HINT = (
    "Create a new key in Google Cloud Console > IAM & Admin > Service Accounts > Keys, and "
    "check this server's clock."
)


class Refused(ProviderError):
    """A refusal for several reasons at once: `parts` has an error for each of them."""

    parts: tuple[ProviderError, ...] = ()


def parts_of(error: ProviderError) -> tuple[ProviderError, ...]:
    return (error.parts if isinstance(error, Refused) else ()) or (error,)


def error_from(
    answer: requests.Response, *, secrets: Iterable[str], in_edit: bool = False
) -> ProviderError:
    """https://developers.google.com/android-publisher : Google's usual error object.

    What an edit is refused for is seldom the connection's fault (`in_edit`).
    """
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
    if in_edit and (meant := _meant(answer, google_text, secrets=secrets)):
        return meant
    if answer.status_code == 403:
        return error_from_status(
            LABEL,
            403,
            message="Google knows the service account, but it has no access to this app yet.",
            hint="Invite its email address in Play Console > Users and permissions. The "
            "permission may take up to two days to work.",
        )
    if answer.status_code == 404:
        return _not_found(google_text)
    if answer.status_code == 401:
        return error_from_status(LABEL, 401, message="Google refused the token.", hint=KEY_HINT)
    return error_from_status(
        LABEL,
        answer.status_code,
        retry_after=answer.headers.get("Retry-After"),
        message=f"Google says: {google_text}" if google_text and answer.status_code < 500 else "",
    )


def _not_found(google_text: str) -> ProviderError:
    if google_text.startswith("Track not found"):
        return ProviderError.refused(
            "track_not_found",
            f"Google says: {google_text}",
            "Choose another track, or create this one in Play Console > Testing.",
        )
    if google_text.startswith("Method not found"):
        return ProviderError.refused(
            "releases_unknown",
            "Google Play lists no releases for this service account, so delivr cannot see how they "
            "stand.",
            "See Play Console. The rest of the release is not affected.",
        )
    return error_from_status(
        LABEL,
        404,
        code="app_not_found",
        message="Google Play has no app with this package name.",
        hint="Check the spelling. The first version of an app must be uploaded manually in the "
        "Play Console.",
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


# --- Edits ----------------------------------------------------------------------------------------

EDIT_GONE = "edit_gone"
# What Google's text contains (it has no stable codes for most of it), our code, what it means, and
# what to do. https://developers.google.com/android-publisher/edits
_MEANINGS = tuple(
    (re.compile(pattern, re.IGNORECASE), code, words, hint)
    for pattern, code, words, hint in (
        (
            r"\bedit (has|was|is)( been)? (deleted|expired|invalidated)|\bedit not found"
            r"|\bedit is no longer valid",
            EDIT_GONE,
            "Another program or a change in Play Console ended the edit.",
            "Try again.",
        ),
        (
            r"changes (are |is )?(already |currently )?(in|under) review|in.?review",
            "in_review",
            "Other changes of the app are in review, and delivr cancels nobody's review.",
            "Wait for its end, or cancel it in Play Console > Publishing overview.",
        ),
        (
            r"cannot be sent for review automatically",
            "not_sent_automatically",
            "Google sends no changes for review automatically now: an earlier change was rejected, "
            "or waits to be sent.",
            "In Play Console > Publishing overview, mend what was rejected, and send the changes "
            "for review or discard them. Then try again.",
        ),
        (
            r"draft app",
            "draft_app",
            "The app was never published, so Google takes only drafts of it by its API.",
            "In Play Console, complete the tasks of the dashboard and publish the first release.",
        ),
        (
            r"version code\b.*\balready been used",
            "version_code_used",
            "This version code was uploaded before.",
            "Build again with a higher one.",
        ),
        (
            r"(version codes?|bundles?|apks?)\b.*\b(not found|not exist|unknown|not uploaded)\b"
            r"|\b(no|unknown|invalid) (bundle|apk|version code)",
            "version_code_unknown",
            "Google Play does not have this version code.",
            "Upload its bundle to a track of this app, such as internal testing.",
        ),
        (
            r"targeting no countries",
            "no_countries",
            "The track has no countries.",
            "In Play Console, open the track and add countries under Countries / regions.",
        ),
        (
            r"first release on a track cannot be staged",
            "first_release",
            "The first release on a track cannot be rolled out in stages.",
            "Submit it to all users of the track, without shares.",
        ),
        (
            r"let us know whether|declaration|advertising id",
            "declaration",
            "A declaration about the app is missing.",
            "In Play Console, complete it under Policy > App content.",
        ),
        (
            r"issues? with your account",
            "developer_account",
            "Google does not let this developer account publish.",
            "In Play Console, see the notices on the home page: its owner has to resolve them.",
        ),
        (
            r"existing users to upgrade|\bshadow",
            "no_upgrade",
            "Users of this track could not upgrade to this build.",
            "Submit a build with a higher version code that supports the same devices.",
        ),
        (
            r"\b(decreased|lowered|can ?not be staged)\b",
            "share_lowered",
            "The share of users cannot become smaller.",
            "Choose a larger one, or halt the release.",
        ),
        (
            r"\bhalt",
            "cannot_halt",
            "Google does not let this release be halted.",
            "A release that all users have can be halted only if the track has an earlier release "
            "without a policy violation. Otherwise release a newer build.",
        ),
        (
            r"wrong package name|not signed|not a valid zip",
            "artifact",
            "Google does not accept the build's file.",
            "Correct the build and upload it again.",
        ),
    )
)


def _meant(
    answer: requests.Response, google_text: str, *, secrets: Iterable[str]
) -> ProviderError | None:
    """What the refusal of an edit means; None if it is nothing special to edits."""
    if answer.status_code not in (400, 403, 404, 409):
        return None
    texts = [vendor_words(text, secrets=secrets) for text in _messages(answer.content)]
    parts = [found for text in dict.fromkeys(texts) if (found := _meaning(text))]
    if len(parts) > 1:
        words = " ".join(part.message for part in parts)
        several = Refused(parts[0].code, words, parts[0].hint, outcome=parts[0].outcome)
        several.parts = tuple(parts)
        return several
    if parts:
        return parts[0]
    if {reason.replace("_", "").lower() for reason in _reasons(answer.content)} & _IN_REVIEW:
        return _meaning("changes in review")
    if answer.status_code == 409:
        return ProviderError(
            "conflict",
            "Somebody else is changing the app in Google Play at the same time.",
            "delivr tries again automatically.",
            outcome=Outcome.NOT_YET,
        )
    if answer.status_code == 403:
        return ProviderError.refused(
            "missing_right",
            f"The service account may not change releases of this app. Google says: {google_text}",
            "In Play Console > Users and permissions give it the right to release to this track: "
            "to production, or to testing tracks.",
        )
    return None


_IN_REVIEW = {"changesalreadyinreview"}


def _meaning(text: str) -> ProviderError | None:
    for pattern, code, words, hint in _MEANINGS:
        if pattern.search(text):
            return ProviderError.refused(code, f"{words} Google says: {text}", hint)
    return None


def _messages(body: bytes) -> list[str]:
    """Its summary, and each of its errors if there are several."""
    error = (parse_object(body) or {}).get("error")
    found = dicts(error.get("errors")) if isinstance(error, dict) else []
    texts = [str(part["message"]) for part in found if part.get("message")]
    return texts if len(texts) > 1 else [_message(body)]
