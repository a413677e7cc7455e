"""How each stored status looks on a page: its words, its tone and its icon."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Look(NamedTuple):
    """`tone` is one of neutral, info, success, warning, danger; `icon` is a key of `ICONS`."""

    label: str | Promise
    tone: str
    icon: str


DONE, BAD, CARE = ("success", "check-circle"), ("danger", "x-circle"), ("warning", "alert")
MOVING, WAITING = ("info", "running"), ("neutral", "clock")
IDLE, OFF = ("neutral", "circle-dashed"), ("neutral", "ban")

LOOKS: dict[str, Look] = {
    "PENDING": Look(_("Pending"), *IDLE),
    # Connections
    "VALID": Look(_("Verified"), *DONE),
    "INVALID": Look(_("Not working"), *BAD),
    "EXPIRED": Look(_("Expired"), *CARE),
    # Releases
    "KICKOFF_PENDING": Look(_("Ready to build"), *IDLE),
    "BUILDING": Look(_("Building"), *MOVING),
    "BUILD_COMPLETE": Look(_("Ready for submission"), *DONE),
    "BUILD_FAILED": Look(_("Build failed"), *BAD),
    "CANCELLED": Look(_("Cancelled"), *OFF),
    "SUBMITTED": Look(_("Submitted"), "info", "clock"),
    "ROLLING_OUT": Look(_("Rolling out"), *MOVING),
    "RELEASED": Look(_("Released"), *DONE),
    # Submissions to a store
    "DRAFT": Look(_("Being prepared"), *MOVING),
    "WAITING_FOR_REVIEW": Look(_("Waiting for review"), *WAITING),
    "IN_REVIEW": Look(_("In review"), *MOVING),
    "APPROVED": Look(_("Approved"), *DONE),
    "PAUSED": Look(_("Paused"), *CARE),
    "HALTED": Look(_("Halted"), *BAD),
    "LIVE": Look(_("Live"), *DONE),
    "WITHDRAWN": Look(_("Withdrawn"), *OFF),
    "REPLACED": Look(_("Replaced by a newer release"), *OFF),
    "NEEDS_PERSON": Look(_("Needs you"), *CARE),
    "FAILED": Look(_("Failed"), *BAD),
    # Verdicts about figures
    "GOOD": Look(_("Good"), *DONE),
    "BAD": Look(_("Bad"), *BAD),
    "UNKNOWN": Look(_("Not enough data"), "neutral", "circle-dashed"),
    # Builds
    "TRIGGERING": Look(_("Triggering"), *MOVING),
    "QUEUED": Look(_("Queued"), *WAITING),
    "WAITING": Look(_("Waiting for approval"), *CARE),
    "RUNNING": Look(_("Running"), *MOVING),
    "SUCCESS": Look(_("Succeeded"), *DONE),
    "FAILURE": Look(_("Failed"), *BAD),
    "UNSTABLE": Look(_("Unstable"), *CARE),
    "ABORTED": Look(_("Aborted"), *OFF),
    "TRIGGER_FAILED": Look(_("Not triggered"), *BAD),
    "LOST": Look(_("Lost"), *CARE),
    # Effects
    "LEASED": Look(_("In progress"), *MOVING),
    "DONE": Look(_("Done"), *DONE),
    "DEAD": Look(_("Failed"), *BAD),
    # Deliveries
    "NEW": Look(_("New"), *WAITING),
    "APPLIED": Look(_("Applied"), *DONE),
    "IGNORED": Look(_("Ignored"), *OFF),
    "UNMATCHED": Look(_("Unmatched"), *CARE),
    "ORPHAN": Look(_("Orphan"), *CARE),
    "REJECTED": Look(_("Rejected"), *BAD),
    # Steps of the setup
    "CURRENT": Look(_("Current step"), "info", "dot"),
    "TODO": Look(_("To do"), *IDLE),
    "SKIPPED": Look(_("Skipped"), "neutral", "skip"),
    # API tokens and members
    "ACTIVE": Look(_("Active"), *DONE),
    "REVOKED": Look(_("Revoked"), *OFF),
}

# Statuses that have other words for some kinds of objects.
LOOKS_OF_KIND: dict[tuple[str, str], Look] = {
    ("verification", "PENDING"): Look(_("Not verified yet"), *IDLE),
    ("build", "PENDING"): Look(_("Not started"), *IDLE),
    ("effect", "PENDING"): Look(_("Waiting"), *WAITING),
    ("mail", "PENDING"): Look(_("Being sent"), *WAITING),
    ("mail", "LEASED"): Look(_("Being sent"), *MOVING),
    ("mail", "DONE"): Look(_("Sent"), *DONE),
    ("mail", "DEAD"): Look(_("Not sent"), *BAD),
    ("message_test", "PENDING"): Look(_("Being sent"), *WAITING),
    ("message_test", "LEASED"): Look(_("Being sent"), *MOVING),
    ("message_test", "DONE"): Look(_("Accepted"), *DONE),
    ("message_test", "DEAD"): Look(_("Not sent"), *BAD),
    ("message_test", "CANCELLED"): Look(_("Not sent"), *OFF),
    ("mail", "CANCELLED"): Look(_("Not sent"), *OFF),
}


def look_of(value: str, kind: str = "") -> Look:
    """The look of a stored status; an unknown one is shown unchanged, in neutral."""
    word = str(value)
    return LOOKS_OF_KIND.get((kind, word)) or LOOKS.get(word) or Look(word, "neutral", "circle")
