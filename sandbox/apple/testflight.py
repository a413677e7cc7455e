"""TestFlight: groups, and the beta review of builds for people outside the team.

https://developer.apple.com/documentation/appstoreconnectapi/prerelease-versions-and-beta-testers
"""

from __future__ import annotations

from typing import Any

from sandbox.apple import notifications
from sandbox.apple.base import Base
from sandbox.apple.records import Record, apple_time
from sandbox.apple.seed import APP
from sandbox.apple.trouble import Trouble, conflict, invalid, said, unfit

WAITS = ("WAITING_FOR_REVIEW", "IN_REVIEW")
BETA_STATE = {
    "WAITING_FOR_REVIEW": "WAITING_FOR_BETA_REVIEW",
    "IN_REVIEW": "IN_BETA_REVIEW",
    "REJECTED": "BETA_REJECTED",
    "APPROVED": "BETA_APPROVED",
}


def begin(store: Base, build: Record) -> None:
    """The detail of a new build, whose tests in the app's first language have no words yet."""
    detail = store.records.add(
        "buildBetaDetails",
        build.id,
        autoNotifyEnabled=False,
        internalBuildState="PROCESSING",
        externalBuildState="PROCESSING",
    )
    detail.one["build"] = build.key
    words = store.records.add("betaBuildLocalizations", locale="en-US", whatsNew=None)
    words.one["build"] = build.key


def processed(store: Base, build: Record) -> None:
    if build["processingState"] == "VALID":
        every = store.records.all("betaGroups")
        build.many["betaGroups"] = [g.id for g in every if g["hasAccessToAllBuilds"]]
    refresh(store, build)


def refresh(store: Base, build: Record) -> None:
    """Derive the states that TestFlight shows."""
    detail = store.records.one(build, "buildBetaDetail")
    if detail is None:
        return
    before = detail["externalBuildState"]
    inside, outside = _states(store, build)
    detail.attributes |= {"internalBuildState": inside, "externalBuildState": outside}
    if outside != before:
        notifications.notify(
            store, "BUILD_BETA_DETAIL_EXTERNAL_BUILD_STATE_UPDATED", detail, before, outside
        )


def _states(store: Base, build: Record) -> tuple[str, str]:
    """The internal and the external state."""
    if build["processingState"] == "PROCESSING":
        return "PROCESSING", "PROCESSING"
    if build["processingState"] != "VALID":
        return "PROCESSING_EXCEPTION", "PROCESSING_EXCEPTION"
    if build["expired"]:
        return "EXPIRED", "EXPIRED"
    if build["usesNonExemptEncryption"] is None:
        return "MISSING_EXPORT_COMPLIANCE", "MISSING_EXPORT_COMPLIANCE"
    groups = store.records.related(build, "betaGroups")
    is_inside = any(group["isInternalGroup"] for group in groups)
    inside = "IN_BETA_TESTING" if is_inside else "READY_FOR_BETA_TESTING"
    return inside, _outside(store, build, groups)


def _outside(store: Base, build: Record, groups: list[Record]) -> str:
    if build["buildAudienceType"] == "INTERNAL_ONLY":
        return "NOT_APPLICABLE"
    review = store.records.one(build, "betaAppReviewSubmission")
    state = BETA_STATE[review["betaReviewState"]] if review else "READY_FOR_BETA_SUBMISSION"
    is_outside = any(not group["isInternalGroup"] for group in groups)
    return "IN_BETA_TESTING" if state == "BETA_APPROVED" and is_outside else state


def add_to_groups(store: Base, build: Record, groups: list[Record]) -> None:
    """Raises Trouble."""
    for group in groups:
        _check_group(build, group)
    known = build.many.setdefault("betaGroups", [])
    known += [group.id for group in groups if group.id not in known]
    for group in groups:
        store.record("beta.group_added", number=build["version"], group=group["name"])
    refresh(store, build)


def _check_group(build: Record, group: Record) -> None:
    words = ""
    if build["processingState"] != "VALID":
        words = "The build is not in a valid processing state."
    elif build["expired"]:
        words = "The build has expired."
    elif group["isInternalGroup"] and group["hasAccessToAllBuilds"]:
        words = "Cannot add a build to an internal group that has access to all builds."
    elif build["buildAudienceType"] == "INTERNAL_ONLY" and not group["isInternalGroup"]:
        words = "Build is for internal testing only and cannot be added to an external group."
    if words:
        raise unfit("betaGroups", words)


def remove_from_groups(store: Base, build: Record, groups: list[Record]) -> None:
    gone = {group.id for group in groups}
    build.many["betaGroups"] = [g for g in build.many.get("betaGroups", []) if g not in gone]
    refresh(store, build)


def submit(store: Base, build: Record) -> Record:
    """Raises Trouble: for what is missing, and while another build of the version is reviewed."""
    records = store.records
    _check_submission(store, build)
    train = records.one(build, "preReleaseVersion")
    others = records.related(train, "builds") if train else []
    reviews = [r for other in others if (r := records.one(other, "betaAppReviewSubmission"))]
    if any(r["betaReviewState"] in WAITS for r in reviews):
        error = said(
            "ENTITY_UNPROCESSABLE.ANOTHER_BUILD_IN_REVIEW",
            "Another build is in review",
            "Another build of this version is in beta review.",
        )
        raise Trouble(422, error)
    was_reviewed = any(r["betaReviewState"] == "APPROVED" for r in reviews)
    review = records.add(
        "betaAppReviewSubmissions",
        build.id,
        betaReviewState="APPROVED" if was_reviewed else "WAITING_FOR_REVIEW",
        submittedDate=apple_time(store.now),
    )
    review.one["build"] = build.key
    store.record("beta.submitted", number=build["version"], state=review["betaReviewState"])
    refresh(store, build)
    return review


def _check_submission(store: Base, build: Record) -> None:
    outside = _states(store, build)[1]
    if store.records.one(build, "betaAppReviewSubmission"):
        raise unfit("build", "The build was submitted for beta review already.")
    if outside != "READY_FOR_BETA_SUBMISSION":
        words = "Build is not in a state in which it can be submitted for beta review"
        raise conflict("ENTITY_ERROR.RELATIONSHIP.INVALID", words, f"{words}: {outside}")
    errors = _gaps(store)
    if errors:
        raise Trouble(422, *errors)


def _gaps(store: Base) -> list[dict[str, Any]]:
    """What beta review needs and does not have."""
    records = store.records
    app = records.get("apps", APP)
    found: list[str] = []
    detail = records.one(app, "betaAppReviewDetail")
    contact = ("contactFirstName", "contactLastName", "contactPhone", "contactEmail")
    found += [name for name in contact if detail is None or not detail[name]]
    if detail and detail["demoAccountRequired"]:
        names = ("demoAccountName", "demoAccountPassword")
        found += [name for name in names if not detail[name]]
    for words in records.related(app, "betaAppLocalizations"):
        found += [name for name in ("description", "feedbackEmail") if not words[name]]
    title = "Beta App Information is missing"
    code = "ENTITY_UNPROCESSABLE.BETA_APP_INFORMATION_MISSING"
    return [said(code, title, f"'{name}' is required for beta review.") for name in found]


def rule(store: Base, review: Record, state: str) -> None:
    """Apple's word: IN_REVIEW, APPROVED or REJECTED."""
    if review["betaReviewState"] not in WAITS or state not in BETA_STATE:
        raise ValueError(f"a beta review that is {review['betaReviewState']} does not end so")
    review.attributes["betaReviewState"] = state
    build = store.records.one(review, "build")
    if build:
        refresh(store, build)


def notify(store: Base, build: Record) -> Record:
    """Raises Trouble."""
    detail = store.records.one(build, "buildBetaDetail")
    if detail is None or detail["externalBuildState"] != "IN_BETA_TESTING":
        raise unfit("build", "Testers can only be told of a build that is in beta testing.")
    if detail["autoNotifyEnabled"]:
        raise invalid("autoNotifyEnabled", "Testers are told automatically of this build.")
    made = store.records.add("buildBetaNotifications")
    made.one["build"] = build.key
    store.record("beta.notified", number=build["version"])
    return made
