"""Review submissions: put together, submitted, reviewed, withdrawn.

https://developer.apple.com/documentation/appstoreconnectapi/review-submissions
"""

from __future__ import annotations

from typing import Any

from sandbox.apple import gaps, standing, versions
from sandbox.apple.base import Base
from sandbox.apple.records import Record, apple_time
from sandbox.apple.seed import APP
from sandbox.apple.trouble import Trouble, conflict, said, unfit, wrong_state

DRAFT, WAITING, REVIEWING = "READY_FOR_REVIEW", "WAITING_FOR_REVIEW", "IN_REVIEW"
UNRESOLVED = "UNRESOLVED_ISSUES"
UNDER_WAY = (WAITING, REVIEWING, UNRESOLVED, "CANCELING", "COMPLETING")
NOT_READY = "Version is not ready to be submitted yet, please try again later."
# What a person decides on the sandbox's page, in Apple's place.
VERDICTS = ("approve", "reject", "reject_metadata", "reject_complete", "reject_other", "bad_binary")


def create(store: Base, platform: str) -> Record:
    made = store.records.add(
        "reviewSubmissions", platform=platform, submittedDate=None, state=DRAFT
    )
    made.one["app"] = ["apps", APP]
    made.private["hidden_writes"] = store.settings.hidden_writes
    store.record("submission.created", submission=made.id, platform=platform)
    return made


def add_item(store: Base, submission: Record, name: str, thing: list[str]) -> Record:
    """Raises Trouble. The version becomes ready for review a moment later."""
    records = store.records
    if submission.private.get("hidden_writes", 0) > 0:
        submission.private["hidden_writes"] -= 1
        raise unfit(
            "reviewSubmission", f"reviewSubmissions with id {submission.id} cannot be found"
        )
    if submission["state"] not in (DRAFT, UNRESOLVED):
        raise wrong_state("Items cannot be added to the review submission at this time")
    version = records.find(*thing) if name == "appStoreVersion" else None
    if version:
        _check_version(store, submission, version)
    item = records.add("reviewSubmissionItems", state="READY_FOR_REVIEW")
    item.one |= {"reviewSubmission": submission.key, name: thing}
    if version:
        submission.one["appStoreVersionForReview"] = version.key
        version.private["ready_at"] = store.now + store.settings.item_ready_seconds
        settle_version(store, version)
    store.record("submission.item", submission=submission.id, item=name)
    return item


def _check_version(store: Base, submission: Record, version: Record) -> None:
    if version["platform"] != submission["platform"]:
        raise unfit("appStoreVersion", "The version is of another platform.")
    for item in store.records.all("reviewSubmissionItems"):
        if item.one.get("appStoreVersion") == version.key and item["state"] != "REMOVED":
            other = store.records.one(item, "reviewSubmission")
            if other and (other["state"] in UNDER_WAY or other["state"] == DRAFT):
                words = f"appStoreVersions with id '{version.id}' was already added to another"
                raise unfit("appStoreVersion", f"{words} reviewSubmission with id {other.id}")
    if version["appVersionState"] not in standing.EDITABLE:
        title = f"appStoreVersions with id '{version.id}' is not in valid state."
        words = "This resource cannot be reviewed, please check associated errors to see why."
        raise conflict("STATE_ERROR.ENTITY_STATE_INVALID", title, words)
    if store.settings.checks_at_item:
        _check_gaps(store, version)


def _check_gaps(store: Base, version: Record) -> None:
    found = gaps.of(store, version)
    if not found:
        return
    error = said(
        "STATE_ERROR",
        f"appStoreVersions with id '{version.id}' is not in valid state.",
        "This resource cannot be reviewed, please check associated errors to see why.",
    )
    every = {path: Trouble(409, *errors).errors for path, errors in found.items()}
    raise Trouble(409, {**error, "meta": {"associatedErrors": every}})


def items_of(store: Base, submission: Record) -> list[Record]:
    items = store.records.related(submission, "items")
    return [item for item in items if item["state"] != "REMOVED"]


def version_of(store: Base, submission: Record) -> Record | None:
    return store.records.one(submission, "appStoreVersionForReview")


def submit(store: Base, submission: Record, actor: list[str]) -> None:
    """Raises Trouble."""
    if submission["state"] not in (DRAFT, UNRESOLVED):
        raise wrong_state("The review submission was submitted already")
    items, version = items_of(store, submission), version_of(store, submission)
    if not items:
        raise wrong_state("The review submission has no items")
    if any(item["state"] == "REJECTED" for item in items):
        raise wrong_state("The review submission has unresolved items")
    if version:
        _check_other(store, submission)
        if version["appVersionState"] != "READY_FOR_REVIEW":
            raise wrong_state(NOT_READY)
        _check_gaps(store, version)
    submission.attributes |= {"state": WAITING, "submittedDate": apple_time(store.now)}
    submission.one |= {"submittedByActor": actor, "lastUpdatedByActor": actor}
    if version:
        versions.set_state(store, version, WAITING)
    store.record("submission.submitted", submission=submission.id, actor=actor[1])


def _check_other(store: Base, submission: Record) -> None:
    """A version may be reviewed beside things of the app, but not beside another version."""
    for other in store.records.all("reviewSubmissions"):
        same = other is not submission and other["platform"] == submission["platform"]
        if same and other["state"] in UNDER_WAY and version_of(store, other):
            words = f"There is another reviewSubmissions with id {other.id} still in progress."
            raise conflict("STATE_ERROR", "Resource state invalid", words)


def cancel(store: Base, submission: Record, actor: list[str]) -> None:
    """Raises Trouble. It is being cancelled for a while."""
    if submission["state"] not in (WAITING, REVIEWING, UNRESOLVED):
        raise wrong_state("Resource is not in cancellable state")
    submission.attributes["state"] = "CANCELING"
    submission.one["lastUpdatedByActor"] = actor
    submission.private["ends_at"] = store.now + store.settings.canceling_seconds
    store.record("submission.canceled", submission=submission.id, actor=actor[1])
    settle(store, submission)


def change_item(store: Base, item: Record, values: dict[str, Any]) -> None:
    """A rejected item is `resolved`, or `removed`. Raises Trouble."""
    submission = store.records.one(item, "reviewSubmission")
    version = store.records.one(item, "appStoreVersion")
    if submission is None or submission["state"] != UNRESOLVED:
        raise wrong_state("The item cannot be changed at this time")
    if values.get("resolved"):
        if item["state"] != "REJECTED":
            raise wrong_state("Only a rejected item can be resolved")
        item.attributes["state"] = "READY_FOR_REVIEW"
        if version:
            version.private["ready_at"] = store.now + store.settings.item_ready_seconds
            settle_version(store, version)
    elif values.get("removed"):
        _take_out(store, submission, item)


def _take_out(store: Base, submission: Record, item: Record) -> None:
    item.attributes["state"] = "REMOVED"
    if "appStoreVersion" in item.one:
        submission.one.pop("appStoreVersionForReview", None)
    if not items_of(store, submission):
        submission.attributes["state"] = "COMPLETE"


def delete_item(store: Base, item: Record) -> None:
    """Raises Trouble: only from a submission that was not submitted."""
    submission = store.records.one(item, "reviewSubmission")
    version = store.records.one(item, "appStoreVersion")
    if submission is None or submission["state"] != DRAFT:
        raise wrong_state("The item cannot be deleted at this time")
    if version:
        submission.one.pop("appStoreVersionForReview", None)
        version.private.pop("ready_at", None)
        versions.set_state(store, version, standing.DRAFT)
    store.records.remove(item)


def withdraw(store: Base, version: Record, actor: list[str]) -> None:
    """Raises Trouble. Also takes back a version that is approved, which loses its approval."""
    submission = current(store, version)
    if submission and submission["state"] in (WAITING, REVIEWING):
        cancel(store, submission, actor)
        return
    if version["appVersionState"] != "PENDING_DEVELOPER_RELEASE":
        raise wrong_state("The submission cannot be removed at this time")
    versions.set_state(store, version, "DEVELOPER_REJECTED")


def current(store: Base, version: Record) -> Record | None:
    """The newest submission with this version in it."""
    every = reversed(store.records.all("reviewSubmissions"))
    return next((s for s in every if version_of(store, s) is version), None)


# Apple's side


def start(store: Base, submission: Record) -> None:
    """Raises ValueError."""
    if submission["state"] != WAITING:
        raise ValueError(f"a submission that is {submission['state']} is not waiting for review")
    submission.attributes["state"] = REVIEWING
    version = version_of(store, submission)
    if version:
        versions.set_state(store, version, REVIEWING)
    store.record("review.started", submission=submission.id)


def decide(store: Base, submission: Record, verdict: str) -> None:
    """Raises ValueError."""
    if verdict not in VERDICTS or submission["state"] not in (WAITING, REVIEWING):
        raise ValueError(f"{verdict!r} does not fit a submission that is {submission['state']}")
    if submission["state"] == WAITING:
        start(store, submission)
    for item in items_of(store, submission):
        version = store.records.one(item, "appStoreVersion")
        is_good = verdict == "approve" or (verdict == "reject_other") == (version is not None)
        item.attributes["state"] = "APPROVED" if is_good else "REJECTED"
        if verdict == "reject_other" and version:
            item.attributes["state"] = "ACCEPTED"
        if version:
            _rule(store, version, verdict)
    is_over = verdict in ("approve", "reject_complete")
    submission.attributes["state"] = "COMPLETING" if is_over else UNRESOLVED
    submission.private["ends_at"] = store.now + store.settings.canceling_seconds
    store.record("review.ended", submission=submission.id, verdict=verdict)
    settle(store, submission)


def _rule(store: Base, version: Record, verdict: str) -> None:
    states = {
        "reject_metadata": "METADATA_REJECTED",
        "bad_binary": "INVALID_BINARY",
        "reject_other": "ACCEPTED",
    }
    if verdict == "approve":
        versions.approve(store, version)
    else:
        versions.set_state(store, version, states.get(verdict, "REJECTED"))


def settle(store: Base, submission: Record) -> None:
    state = submission["state"]
    if state not in ("CANCELING", "COMPLETING") or store.now < submission.private["ends_at"]:
        return
    submission.attributes["state"] = "COMPLETE"
    version = version_of(store, submission)
    if state == "CANCELING":
        for item in items_of(store, submission):
            item.attributes["state"] = "REMOVED"
        if version:
            versions.set_state(store, version, "DEVELOPER_REJECTED")


def settle_version(store: Base, version: Record) -> None:
    """An item takes a moment until its version is ready for review."""
    ready = version.private.get("ready_at")
    if ready is not None and store.now >= ready:
        del version.private["ready_at"]
        versions.set_state(store, version, "READY_FOR_REVIEW")
