"""What App Store Connect says of a submission, in delivr's words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..json_values import moment, whole
from ..stores import ReleaseType, StoreState, SubmissionPlan, SubmissionState
from .app import App, of_version
from .pages import review_page, version_page
from .resources import Resource
from .steps import attached
from .words import APPROVED, CANCELING, LIVE, LONGEST_PAUSE, ONCE_LIVE, SHARES, UNRESOLVED


class Meaning(NamedTuple):
    state: SubmissionState
    message: str = ""
    hint: str = ""


_RESOLUTION = (
    "Open the Resolution Center to read why: Apple tells it nowhere else. Mend it, then submit "
    "again."
)
# https://developer.apple.com/documentation/appstoreconnectapi/appversionstate
_MEANINGS = {
    "PREPARE_FOR_SUBMISSION": Meaning(SubmissionState.DRAFT),
    "READY_FOR_REVIEW": Meaning(SubmissionState.DRAFT),
    "WAITING_FOR_REVIEW": Meaning(SubmissionState.WAITING_FOR_REVIEW),
    "WAITING_FOR_EXPORT_COMPLIANCE": Meaning(
        SubmissionState.WAITING_FOR_REVIEW, "Apple is checking the documents on encryption."
    ),
    "IN_REVIEW": Meaning(SubmissionState.IN_REVIEW),
    "ACCEPTED": Meaning(
        SubmissionState.IN_REVIEW,
        "Apple accepted this version, but not yet the other items that were submitted with it.",
    ),
    "PENDING_DEVELOPER_RELEASE": Meaning(SubmissionState.APPROVED),
    "PENDING_APPLE_RELEASE": Meaning(
        SubmissionState.APPROVED, "Apple publishes it with the next release of the system."
    ),
    "PROCESSING_FOR_DISTRIBUTION": Meaning(
        SubmissionState.APPROVED, "Apple is publishing it, which takes up to 24 hours."
    ),
    "REJECTED": Meaning(SubmissionState.REJECTED, "Apple rejected this version.", _RESOLUTION),
    "METADATA_REJECTED": Meaning(
        SubmissionState.REJECTED,
        "Apple rejected texts or pictures of this version; the build can stay.",
        _RESOLUTION,
    ),
    "INVALID_BINARY": Meaning(
        SubmissionState.REJECTED,
        "Apple refused the build.",
        "Upload another build, then submit it. Apple's email says what is wrong with this one.",
    ),
    "DEVELOPER_REJECTED": Meaning(SubmissionState.WITHDRAWN),
    "REPLACED_WITH_NEW_VERSION": Meaning(SubmissionState.REPLACED),
}
_PHASES = {
    "INACTIVE": SubmissionState.ROLLING_OUT,  # until Apple begins, hours after publishing
    "ACTIVE": SubmissionState.ROLLING_OUT,
    "PAUSED": SubmissionState.PAUSED,
}


def read_state(app: App, plan: SubmissionPlan) -> StoreState:
    """Two requests: the version with its build and phased release, and the submissions."""
    version = app.version(plan)
    if version is None:
        return StoreState(
            state=SubmissionState.NEEDS_PERSON,
            word="",
            message=f"Version {plan.version} is not in App Store Connect.",
            hint="It was renamed or deleted there, or not created yet.",
            url=version_page(app.id),
        )
    submission = of_version(app.submissions(), version)
    word = version.text("appVersionState")
    known: dict[str, Any] = {
        "word": word,
        "build": attached(version),
        "url": version_page(app.id, is_live=word in ONCE_LIVE),
        "references": _references(version, submission),
        **_actor(submission, word, app.client.key_id),
    }
    if word == APPROVED and version.text("releaseType") == ReleaseType.SCHEDULED:
        known["next_step_at"] = moment(version.get("earliestReleaseDate"))
    if word == LIVE:
        return StoreState(**{**known, **_distribution(version)})
    meaning = _meaning(word, submission)
    if meaning.state is SubmissionState.REJECTED and submission:
        known["url"] = review_page(app.id, submission.id)
    if submission and submission.text("state") == CANCELING:
        known["word"] = CANCELING
    return StoreState(**known, **meaning._asdict())


def _meaning(word: str, submission: Resource | None) -> Meaning:
    state = submission.text("state") if submission else ""
    if state == CANCELING and word not in ("DEVELOPER_REJECTED", "REJECTED"):
        meaning = _MEANINGS.get(word, Meaning(SubmissionState.DRAFT))
        return Meaning(meaning.state, "Apple is withdrawing it, which takes some minutes.")
    if state == UNRESOLVED and word in ("ACCEPTED", "READY_FOR_REVIEW", "WAITING_FOR_REVIEW"):
        return Meaning(
            SubmissionState.REJECTED,
            "Apple rejected another item that was submitted with this version.",
            _RESOLUTION,
        )
    if word in _MEANINGS:
        return _MEANINGS[word]
    return Meaning(
        SubmissionState.NEEDS_PERSON,
        f"App Store Connect reports a state that is unknown to delivr: {word or 'none'}.",
        "Look at the version in App Store Connect.",
    )


def _references(version: Resource, submission: Resource | None) -> dict[str, str]:
    phased = version.one("appStoreVersionPhasedRelease")
    found = {"version_id": version, "submission_id": submission, "phased_id": phased}
    return {name: one.id for name, one in found.items() if one}


def _actor(submission: Resource | None, word: str, key_id: str) -> dict[str, Any]:
    """Who submitted or withdrew it last: a person, or an API key. Whoever that was, the states
    after it are the work of Apple and of time.
    https://developer.apple.com/documentation/appstoreconnectapi/actor"""
    acted = (
        [submission.one(n) for n in ("lastUpdatedByActor", "submittedByActor")]
        if submission
        else []
    )
    actor = next((a for a in acted if a and a.text("actorType") in ("USER", "API_KEY")), None)
    if actor is None:
        return {}
    key = actor.text("apiKeyId")
    name = f"{actor.text('userFirstName')} {actor.text('userLastName')}".strip()
    by = f"API key {key}" if key else name or actor.text("userEmail")
    is_theirs = word in ("WAITING_FOR_REVIEW", "DEVELOPER_REJECTED") and key != key_id
    return {"by": by, "is_ours": not is_theirs}


def _distribution(version: Resource) -> dict[str, Any]:
    """A version that is in the store: to all, or to a part of those with automatic updates."""
    phased = version.one("appStoreVersionPhasedRelease")
    state = phased.text("phasedReleaseState") if phased else ""
    if phased is None or state not in _PHASES:
        return {"state": SubmissionState.LIVE, "percent": 100.0}
    day = min(whole(phased.get("currentDayNumber")) or 0, len(SHARES))
    found: dict[str, Any] = {
        "state": _PHASES[state],
        "word": f"{version.text('appVersionState')}, {state}",
        "day": day or None,
        "percent": SHARES[day - 1] if day else None,
    }
    paused = whole(phased.get("totalPauseDuration")) or 0
    if state == "PAUSED":
        found["message"] = (
            f"Paused for {paused} of {LONGEST_PAUSE} days in total; after that Apple continues."
        )
    elif 0 < day < len(SHARES):
        found["next_step_at"] = _next_day(phased, day + paused)
    return found


def _next_day(phased: Resource, days: int) -> datetime | None:
    started = moment(phased.get("startDate"))
    return started + timedelta(days=days) if started else None
