"""The steps of the review submission, and what holds for all steps."""

import pytest

from integrations.providers.base import Outcome
from integrations.providers.stores import StepRefused
from integrations.providers.tests.wire import Reply

from . import answers
from .answers import document, refusal
from .stepping import (
    DRAFT,
    NOTES,
    app_store_is_here,  # noqa: F401 # a fixture
    created,
    error_of,
    find,
    linked,
    sent,
    take,
)

# --- The review submission ---


@pytest.mark.parametrize(
    ("state", "inside", "expected"),
    [
        ("READY_FOR_REVIEW", None, {"submission_id": "s1"}),
        ("READY_FOR_REVIEW", DRAFT, {"submission_id": "s1"}),
        ("UNRESOLVED_ISSUES", DRAFT, {"submission_id": "s1"}),
        ("READY_FOR_REVIEW", answers.LIVE, None),
        ("IN_REVIEW", None, None),
        ("UNRESOLVED_ISSUES", None, None),
        ("COMPLETE", DRAFT, None),
    ],
)
def test_a_submission_that_is_not_sent_is_used_again(wire, state, inside, expected):
    answers.tell(wire, DRAFT, submissions=[answers.submission(state, inside)])
    assert find("review") == expected


def test_a_submission_is_made_but_not_while_apple_withdraws_the_one_before(wire):
    answers.tell(wire, DRAFT)
    created(wire, "reviewSubmissions")
    assert take("review") == {"submission_id": "new"}
    assert sent(wire)[2]["data"]["attributes"] == {"platform": "IOS"}
    answers.tell(wire, DRAFT, submissions=[answers.submission("CANCELING", DRAFT)])
    assert error_of("review").outcome is Outcome.NOT_YET


ITEMS = "/v1/reviewSubmissions/s1/items"


def test_the_version_becomes_an_item_once(wire):
    answers.tell(wire, DRAFT, submissions=[answers.submission("READY_FOR_REVIEW")])
    created(wire, "reviewSubmissionItems")
    wire.routes[ITEMS] = document([answers.item("REMOVED", DRAFT), answers.item("ACCEPTED", None)])
    assert find("item") is None
    assert take("item") == {"item_id": "new"}
    assert sent(wire)[2]["data"]["relationships"] == {
        "reviewSubmission": linked("reviewSubmissions", "s1"),
        "appStoreVersion": linked("appStoreVersions", "v1.5.0"),
    }
    wire.routes[ITEMS] = document([answers.item("READY_FOR_REVIEW", DRAFT)])
    assert find("item") == {"item_id": "i1"}
    answers.tell(wire, DRAFT, submissions=[answers.submission("READY_FOR_REVIEW", DRAFT)])
    assert find("item") == {}


@pytest.mark.parametrize("is_told", [True, False])
def test_after_a_rejection_the_item_is_resolved(wire, is_told):
    rejected = answers.version(state="REJECTED")
    answers.tell(wire, rejected, submissions=[answers.submission("UNRESOLVED_ISSUES", rejected)])
    wire.routes[ITEMS] = document([answers.item("REJECTED", rejected if is_told else None)])
    wire.routes["/v1/reviewSubmissionItems/i1"] = document(answers.item("READY_FOR_REVIEW", None))
    assert find("item") is None
    take("item")
    method, path, body = sent(wire)
    assert (method, path) == ("PATCH", "/v1/reviewSubmissionItems/i1")
    assert body["data"]["attributes"] == {"resolved": True}


def test_it_is_submitted_once(wire):
    ready = answers.version(state="READY_FOR_REVIEW")
    answers.tell(wire, ready, submissions=[answers.submission("READY_FOR_REVIEW", ready)])
    wire.routes["/v1/reviewSubmissions/s1"] = document(answers.submission("WAITING_FOR_REVIEW"))
    assert find("submit") is None
    assert take("submit") == {"submission_id": "s1"}
    assert sent(wire)[2]["data"]["attributes"] == {"submitted": True}
    answers.tell(wire, ready, submissions=[answers.submission("WAITING_FOR_REVIEW", ready)])
    assert find("submit") == {"submission_id": "s1"}


@pytest.mark.parametrize(
    "detail",
    [
        "Version is not ready to be submitted yet. Please try again later.",
        "The reviewSubmissions with id 's1' cannot be found",
        "Attachment uploads still in progress.",
    ],
)
def test_apple_is_asked_again_until_it_is_ready(wire, detail):
    answers.tell(wire, DRAFT, submissions=[answers.submission("READY_FOR_REVIEW", DRAFT)])
    wire.routes["/v1/reviewSubmissions/s1"] = refusal(("STATE_ERROR", detail), associated=True)
    error = error_of("submit")
    assert (error.outcome, error.retry_after) == (Outcome.NOT_YET, 15)


def test_every_reason_of_a_refused_submission_is_told(wire):
    answers.tell(wire, DRAFT, submissions=[answers.submission("READY_FOR_REVIEW", DRAFT)])
    reasons = [
        ("STATE_ERROR.SCREENSHOT_REQUIRED.APP_IPHONE_65", "A screenshot is missing."),
        (
            "ENTITY_ERROR.ATTRIBUTE.REQUIRED",
            "You must provide a value for usesNonExemptEncryption.",
        ),
        ("STATE_ERROR.SOMETHING", "Version is not ready to be submitted yet."),
    ]
    wire.routes["/v1/reviewSubmissions/s1"] = refusal(*reasons, associated=True)
    error = error_of("submit")
    assert isinstance(error, StepRefused)
    assert error.outcome is Outcome.REFUSED
    assert [check.code for check in error.checks] == [
        "screenshots_missing",
        "value_missing",
        "not_submittable",
    ]
    assert all(detail in error.message for _, detail in reasons)


# --- By hand, and lost responses ---


@pytest.mark.parametrize("step", ["version", "attach", "release_type", "notes", "phased", "review",
                                  "item", "submit"])  # fmt: skip
def test_what_a_person_submitted_is_adopted_as_it_is(wire, step):
    own = answers.version(
        state="WAITING_FOR_REVIEW", attached=answers.build(), releaseType="AFTER_APPROVAL"
    )
    answers.tell(wire, own, submissions=[answers.submission("WAITING_FOR_REVIEW", own)])
    assert find(step, notes=NOTES, phased=True) is not None


@pytest.mark.parametrize("step", ["attach", "release_type", "notes", "phased", "item", "submit"])
def test_nothing_is_changed_in_what_apple_has(wire, step):
    own = answers.version(state="IN_REVIEW", attached=answers.build("56"))
    answers.tell(wire, own, submissions=[answers.submission("IN_REVIEW", own)])
    assert error_of(step, notes=NOTES, phased=True).code == "version_not_editable"
    assert find("attach") is None
    assert {seen.method for seen in wire.seen} == {"GET"}


def test_a_version_that_was_deleted_is_not_created_again_on_the_way(wire):
    answers.tell(wire)
    assert error_of("attach").code == "version_missing"
    assert {seen.method for seen in wire.seen} == {"GET"}


def test_only_the_change_itself_can_be_in_doubt(wire):
    answers.tell(wire, DRAFT)
    wire.routes["/v1/reviewSubmissions"] = Reply(fault="reset")
    assert error_of("review").outcome is Outcome.UNCERTAIN
    wire.routes[answers.SUBMISSIONS] = Reply(fault="reset")
    assert error_of("review").outcome is Outcome.NOT_SENT


def test_a_key_that_may_only_read_is_told_the_role(wire):
    answers.tell(wire)
    wire.routes["/v1/appStoreVersions"] = refusal(("FORBIDDEN_ERROR", "No."), status=403)
    error = error_of("version")
    assert (error.outcome, error.hint) == (
        Outcome.CREDENTIALS,
        "Give the key the role App Manager, with access to this app.",
    )
