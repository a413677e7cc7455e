"""From a processed build to the store by App Store Connect's API, over HTTP."""

from __future__ import annotations

import pytest

from sandbox.apple.records import apple_time
from sandbox.tests.apple import APP, Apple, problem


@pytest.fixture
def apple(sandbox):
    found = Apple(sandbox)
    yield found
    found.session.close()


def test_a_version_goes_from_its_build_to_the_store(sandbox, apple):
    version, submission = apple.submitted(releaseType="MANUAL")
    assert apple.state(version) == "WAITING_FOR_REVIEW"
    apple.act("start-review")
    assert apple.state(version) == "IN_REVIEW"
    apple.act("decide", verdict="approve")
    assert apple.state(version) == "PENDING_DEVELOPER_RELEASE"
    assert apple.again(submission)["state"] == "COMPLETING"
    sandbox.state.advance(2)
    assert apple.again(submission)["state"] == "COMPLETE"
    assert apple.post("appStoreVersionReleaseRequests", appStoreVersion=version).status_code == 201
    assert apple.state(version) == "PROCESSING_FOR_DISTRIBUTION"
    sandbox.state.advance(3)
    assert apple.again(version)["appStoreState"] == "READY_FOR_SALE"
    states = apple.get("/v1/apps/6450000001/appStoreVersions")["data"]
    found = {v["attributes"]["versionString"]: v["attributes"]["appVersionState"] for v in states}
    assert found == {"1.4.0": "REPLACED_WITH_NEW_VERSION", "1.5.0": "READY_FOR_DISTRIBUTION"}
    answer = apple.post("appStoreVersionReleaseRequests", appStoreVersion=version)
    assert answer.status_code == 409


def test_everything_that_is_missing_is_told_at_once(apple):
    for name in ("ageRating", "reviewContact", "screenshots", "privacy", "locale"):
        apple.act("switch", name=name)
    build = apple.build()
    version = apple.version()
    apple(
        "PATCH",
        f"/v1/appStoreVersions/{version['id']}/relationships/build",
        json={"data": {"type": "builds", "id": build["id"]}},
    )
    submission = apple.submission(version)
    answer = apple.patch(submission, submitted=True)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (409, "STATE_ERROR")
    found = [
        (path.split("/")[2], one["code"], one.get("source", {}).get("pointer", "").split("/")[-1])
        for path, errors in error["meta"]["associatedErrors"].items()
        for one in errors
    ]
    required = "ENTITY_ERROR.ATTRIBUTE.REQUIRED"
    assert ("builds", required, "usesNonExemptEncryption") in found
    assert ("ageRatingDeclarations", required, "lootBox") in found
    assert ("appStoreReviewDetails", required, "contactEmail") in found
    assert found.count(("appStoreVersionLocalizations", required, "whatsNew")) == 2
    codes = {code for _kind, code, _name in found}
    assert "STATE_ERROR.SCREENSHOT_REQUIRED.APP_IPHONE_67" in codes
    assert "STATE_ERROR.APP_DATA_USAGES_REQUIRED" in codes
    assert apple.again(submission)["state"] == "READY_FOR_REVIEW"
    assert apple.state(version) == "READY_FOR_REVIEW"


def test_one_version_is_edited_at_a_time(apple):
    version = apple.version()
    answer = apple.post("appStoreVersions", {"platform": "IOS", "versionString": "1.6.0"}, app=APP)
    words = "You cannot create a new version of the App in the current state."
    assert problem(answer) == (409, words)
    other = {"platform": "TV_OS", "versionString": "1.0"}
    assert apple.post("appStoreVersions", other, app=APP).status_code == 201
    assert apple.delete(version).status_code == 204
    used = apple.post("appStoreVersions", {"platform": "IOS", "versionString": "1.4.0"}, app=APP)
    assert problem(used) == (409, "The version number has been previously used.")


def test_a_new_version_is_not_found_at_first(apple):
    apple.act("settings", hidden_reads=2)
    values = {"platform": "IOS", "versionString": "1.5.0"}
    made = apple.post("appStoreVersions", values, app=APP).json()["data"]
    path = f"/v1/appStoreVersions/{made['id']}/appStoreVersionLocalizations"
    assert [apple("GET", path).status_code for _ in range(3)] == [404, 404, 200]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ({"number": "1", "process": False}, "The build is not in a valid processing state."),
        ({"version": "1.5.1"}, "The specified pre-release build could not be added."),
        ({"audience": "INTERNAL_ONLY"}, "The specified pre-release build could not be added."),
        ({"platform": "TV_OS"}, "The specified pre-release build could not be added."),
        ({"expired": True}, "The specified pre-release build could not be added."),
    ],
)
def test_a_build_has_to_fit_its_version(apple, build, words):
    facts = {"version": "1.5.0", "number": "245", **build}
    is_processed, is_expired = facts.pop("process", True), facts.pop("expired", False)
    made = apple.act("upload", **facts)
    if is_processed:
        apple.act("process", id=made["id"])
    if is_expired:
        apple.patch(made, expired=True)
    version = apple.version()
    path = f"/v1/appStoreVersions/{version['id']}"
    data = {"data": {"type": "builds", "id": made["id"]}}
    assert problem(apple("PATCH", f"{path}/relationships/build", json=data)) == (409, words)
    assert apple.get(f"{path}/build")["data"] is None


def test_what_is_submitted_is_not_edited(apple):
    version, _ = apple.submitted()
    answer = apple.patch(version, versionString="1.5.1")
    assert problem(answer) == (409, "The attribute 'versionString' can not be modified.")
    assert apple.patch(version, releaseType="MANUAL").status_code == 200
    path = f"/v1/appStoreVersions/{version['id']}/appStoreVersionLocalizations"
    (words,) = apple.get(path)["data"]
    refused = problem(apple.patch(words, whatsNew="Slower."))
    assert refused == (409, "Attribute 'whatsNew' cannot be edited at this time")
    assert apple.patch(words, promotionalText="Now").status_code == 200
    assert apple.delete(version).status_code == 409


def test_a_version_is_not_ready_at_once(sandbox, apple):
    version = apple.ready_version()
    made = apple.post("reviewSubmissions", {"platform": "IOS"}, app=APP).json()["data"]
    apple.post("reviewSubmissionItems", reviewSubmission=made, appStoreVersion=version)
    assert apple.state(version) == "PREPARE_FOR_SUBMISSION"
    words = "Version is not ready to be submitted yet, please try again later."
    assert problem(apple.patch(made, submitted=True)) == (409, words)
    sandbox.state.advance(1)
    assert apple.patch(made, submitted=True).json()["data"]["attributes"]["submittedDate"]


def test_complete_is_no_approval(sandbox, apple):
    version, submission = apple.submitted()
    apple.act("decide", verdict="reject_complete")
    sandbox.state.advance(2)
    (item,) = apple.get(f"/v1/reviewSubmissions/{submission['id']}/items")["data"]
    assert apple.again(submission)["state"] == "COMPLETE"
    assert (item["attributes"]["state"], apple.state(version)) == ("REJECTED", "REJECTED")


@pytest.mark.parametrize("verdict", ["reject", "reject_metadata"])
def test_a_rejection_occupies_the_slot_until_it_is_resolved(sandbox, apple, verdict):
    version, submission = apple.submitted()
    apple.act("decide", verdict=verdict)
    assert apple.again(submission)["state"] == "UNRESOLVED_ISSUES"
    other = apple.post("reviewSubmissions", {"platform": "IOS"}, app=APP).json()["data"]
    answer = apple.post("reviewSubmissionItems", reviewSubmission=other, appStoreVersion=version)
    assert "was already added to another reviewSubmission" in problem(answer)[1]
    assert "unresolved items" in problem(apple.patch(submission, submitted=True))[1]
    (item,) = apple.get(f"/v1/reviewSubmissions/{submission['id']}/items")["data"]
    assert apple.patch(item, resolved=True).status_code == 200
    sandbox.state.advance(1)
    assert apple.patch(submission, submitted=True).status_code == 200
    assert apple.state(version) == "WAITING_FOR_REVIEW"


def test_another_rejected_item_holds_an_accepted_version(sandbox, apple):
    version = apple.ready_version()
    submission = apple.submission(version)
    apple.act("add-event")
    apple.patch(submission, submitted=True)
    apple.act("decide", verdict="reject_other")
    assert apple.state(version) == "ACCEPTED"
    assert apple.again(submission)["state"] == "UNRESOLVED_ISSUES"


def test_a_submission_is_withdrawn(sandbox, apple):
    version, submission = apple.submitted()
    answer = apple.patch(submission, canceled=True)
    assert answer.json()["data"]["attributes"]["state"] == "CANCELING"
    assert problem(apple.patch(submission, canceled=True))[0] == 409
    sandbox.state.advance(2)
    assert apple.state(version) == "DEVELOPER_REJECTED"
    assert apple.again(submission)["state"] == "COMPLETE"
    assert apple.submission(version)["id"] != submission["id"]


def test_an_approved_version_is_withdrawn_by_the_old_resource(apple):
    version, _ = apple.submitted(releaseType="MANUAL")
    apple.act("decide", verdict="approve")
    path = f"/v1/appStoreVersions/{version['id']}/appStoreVersionSubmission"
    assert apple.delete(apple.get(path)["data"]).status_code == 204
    assert apple.state(version) == "DEVELOPER_REJECTED"
    assert apple.get(path)["data"] is None


def test_a_version_waits_for_its_date(sandbox, apple):
    hour = (int(sandbox.state.clock()) // 3600 + 2) * 3600
    for date in (apple_time(hour + 60), apple_time(hour - 5 * 3600)):
        values = {"platform": "IOS", "versionString": "1.5.0"}
        values |= {"releaseType": "SCHEDULED", "earliestReleaseDate": date}
        answer = apple.post("appStoreVersions", values, app=APP)
        assert problem(answer)[1].startswith("The earliest release date must be a whole hour")
    scheduled = {"releaseType": "SCHEDULED", "earliestReleaseDate": apple_time(hour)}
    version, _ = apple.submitted(**scheduled)
    apple.act("decide", verdict="approve")
    assert apple.state(version) == "PENDING_DEVELOPER_RELEASE"
    sandbox.state.advance(3 * 3600)
    sandbox.state.advance(3)
    assert apple.state(version) == "READY_FOR_DISTRIBUTION"


def test_who_submitted_is_told(apple):
    version, submission = apple.submitted()
    answer = apple.get(f"/v1/reviewSubmissions/{submission['id']}", include="submittedByActor")
    assert answer["included"][0]["attributes"]["apiKeyId"] == "SANDBOX001"
    apple.patch(submission, canceled=True)
    apple.sandbox.state.advance(2)
    by_hand = apple.act("submit")
    answer = apple.get(f"/v1/reviewSubmissions/{by_hand['id']}", include="submittedByActor")
    (actor,) = [one["attributes"] for one in answer["included"]]
    assert (actor["actorType"], actor["userFirstName"]) == ("USER", "Priya")
    assert apple.state(version) == "WAITING_FOR_REVIEW"


def test_items_without_a_version_are_in_nobodys_way(apple):
    event = apple.act("items-only")
    version, _ = apple.submitted()
    assert apple.state(version) == "WAITING_FOR_REVIEW"
    path = f"/v1/reviewSubmissions/{event['id']}"
    document = apple.get(path, include="appStoreVersionForReview,items")
    assert document["data"]["relationships"]["appStoreVersionForReview"]["data"] is None
    assert len(document["data"]["relationships"]["items"]["data"]) == 1
