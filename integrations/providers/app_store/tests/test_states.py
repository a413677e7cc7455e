"""What App Store Connect says of a version, and what can be done with it."""

from datetime import UTC, datetime

import pytest
from django.test import override_settings

from integrations.providers.app_store.provider import AppStore
from integrations.providers.base import Outcome, ProviderError
from integrations.providers.stores import Act, StoreState, SubmissionState
from integrations.providers.tests.wire import Reply

from . import answers
from .answers import KEY_ID, document, make, plan, refusal

S = SubmissionState
PAGE = "https://appstoreconnect.apple.com/apps/6400000002/distribution"


@pytest.fixture(autouse=True)
def app_store_is_here(wire):
    with override_settings(APP_STORE_CONNECT_URL=wire.url):
        yield


def read(wire, version, *submissions):
    answers.tell(wire, *([version] if version else []), submissions=list(submissions))
    wire.seen.clear()
    state = make().read_submission(plan())
    assert len(wire.seen) <= 2
    return state


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PREPARE_FOR_SUBMISSION", S.DRAFT),
        ("READY_FOR_REVIEW", S.DRAFT),
        ("WAITING_FOR_REVIEW", S.WAITING_FOR_REVIEW),
        ("WAITING_FOR_EXPORT_COMPLIANCE", S.WAITING_FOR_REVIEW),
        ("IN_REVIEW", S.IN_REVIEW),
        ("ACCEPTED", S.IN_REVIEW),
        ("PENDING_DEVELOPER_RELEASE", S.APPROVED),
        ("PENDING_APPLE_RELEASE", S.APPROVED),
        ("PROCESSING_FOR_DISTRIBUTION", S.APPROVED),
        ("READY_FOR_DISTRIBUTION", S.LIVE),
        ("REPLACED_WITH_NEW_VERSION", S.REPLACED),
        ("REJECTED", S.REJECTED),
        ("METADATA_REJECTED", S.REJECTED),
        ("INVALID_BINARY", S.REJECTED),
        ("DEVELOPER_REJECTED", S.WITHDRAWN),
        ("SOMETHING_NEW", S.NEEDS_PERSON),
        ("", S.NEEDS_PERSON),
    ],
)
def test_each_state_of_a_version_has_a_meaning(wire, word, state):
    found = read(wire, answers.version(state=word, attached=answers.build()))
    assert (found.state, found.word, found.build) == (state, word, "57")
    assert found.references == {"version_id": "v1.5.0"}
    assert found.url.startswith(PAGE)


@pytest.mark.parametrize("word", ["REJECTED", "METADATA_REJECTED", "PENDING_DEVELOPER_RELEASE"])
def test_a_complete_submission_is_no_approval(wire, word):
    own = answers.version(state=word)
    found = read(wire, own, answers.submission("COMPLETE", own))
    assert (found.state is S.APPROVED) == (word == "PENDING_DEVELOPER_RELEASE")


def test_a_rejection_leads_to_the_resolution_center(wire):
    own = answers.version(state="REJECTED")
    found = read(wire, own, answers.submission("UNRESOLVED_ISSUES", own))
    assert "Resolution Center" in found.hint
    assert found.url == f"{PAGE}/reviewsubmissions/details/s1"
    assert found.references["submission_id"] == "s1"


def test_a_rejected_companion_stops_an_accepted_version(wire):
    own = answers.version(state="ACCEPTED")
    found = read(wire, own, answers.submission("UNRESOLVED_ISSUES", own))
    assert (found.state, "another item" in found.message) == (S.REJECTED, True)


def test_the_newest_submission_of_a_version_counts(wire):
    own = answers.version(state="IN_REVIEW")
    found = read(
        wire,
        own,
        answers.submission("COMPLETE", own, name="old", submittedDate="2026-03-01T00:00:00Z"),
        answers.submission("IN_REVIEW", own, name="new", submittedDate="2026-03-09T00:00:00Z"),
        answers.submission("COMPLETE", own, name="older", submittedDate="2026-02-01T00:00:00Z"),
    )
    assert found.references["submission_id"] == "new"


def test_a_withdrawal_takes_minutes(wire):
    own = answers.version(state="WAITING_FOR_REVIEW")
    found = read(wire, own, answers.submission("CANCELING", own))
    assert (found.state, found.word) == (S.WAITING_FOR_REVIEW, "CANCELING")
    assert AppStore.refusal(Act.WITHDRAW, plan(), found)


def test_a_scheduled_version_tells_when(wire):
    when = {"releaseType": "SCHEDULED", "earliestReleaseDate": "2031-05-01T03:00:00-07:00"}
    found = read(wire, answers.version(state="PENDING_DEVELOPER_RELEASE", **when))
    assert found.next_step_at == datetime(2031, 5, 1, 10, tzinfo=UTC)


def test_a_version_that_is_not_there_needs_a_person(wire):
    assert read(wire, None).state is S.NEEDS_PERSON


def actor(kind, **more):
    return answers.resource("actors", f"a-{kind}", actorType=kind, **more)


JANE = actor("USER", userFirstName="Jane", userLastName="Doe", userEmail="jane@example.com")


@pytest.mark.parametrize(
    ("by", "last", "expected"),
    [
        (actor("API_KEY", apiKeyId=KEY_ID), None, (f"API key {KEY_ID}", True)),
        (actor("API_KEY", apiKeyId="OTHER"), None, ("API key OTHER", False)),
        (JANE, None, ("Jane Doe", False)),
        (actor("USER", userEmail="jane@example.com"), None, ("jane@example.com", False)),
        (actor("API_KEY", apiKeyId=KEY_ID), actor("APPLE"), (f"API key {KEY_ID}", True)),
        (actor("API_KEY", apiKeyId=KEY_ID), JANE, ("Jane Doe", False)),
        (None, None, ("", True)),
    ],
)
def test_who_submitted_is_told(wire, by, last, expected):
    own = answers.version(state="WAITING_FOR_REVIEW")
    found = read(wire, own, answers.submission("WAITING_FOR_REVIEW", own, by=by, last=last))
    assert (found.by, found.is_ours) == expected


def test_what_follows_is_not_the_act_of_who_submitted(wire):
    own = answers.version(state="IN_REVIEW")
    found = read(wire, own, answers.submission("IN_REVIEW", own, by=JANE))
    assert (found.by, found.is_ours) == ("Jane Doe", True)


def live(state, **more):
    return answers.version(state="READY_FOR_DISTRIBUTION", phased=answers.phased(state, **more))


@pytest.mark.parametrize(
    ("day", "share"), [(1, 1), (2, 2), (3, 5), (4, 10), (5, 20), (6, 50), (7, 100), (8, 100)]
)
def test_each_day_of_a_phased_release_has_its_share(wire, day, share):
    found = read(wire, live("ACTIVE", currentDayNumber=day))
    assert (found.state, found.percent, found.day) == (S.ROLLING_OUT, share, min(day, 7))
    assert AppStore.fixed_shares[found.day - 1] == share


def test_the_next_step_comes_a_day_later_and_after_pauses(wire):
    days = {
        "currentDayNumber": 3,
        "totalPauseDuration": 2,
        "startDate": "2026-05-01T10:00:00-07:00",
    }
    found = read(wire, live("ACTIVE", **days))
    assert found.next_step_at == datetime(2026, 5, 6, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "expected", "percent"),
    [("INACTIVE", S.ROLLING_OUT, None), ("PAUSED", S.PAUSED, 5.0), ("COMPLETE", S.LIVE, 100.0)],
)
def test_each_state_of_a_phased_release_has_a_meaning(wire, state, expected, percent):
    day = {} if state == "INACTIVE" else {"currentDayNumber": 3, "totalPauseDuration": 4}
    found = read(wire, live(state, **day))
    assert (found.state, found.percent) == (expected, percent)
    assert ("4 of 30 days" in found.message) == (state == "PAUSED")


# --- Acts ---


def find(act):
    return make().find_step(act, plan())


def take(act):
    return make().take_step(act, plan())


def changes(wire):
    return [
        (seen.method, seen.path, seen.json["data"].get("attributes") if seen.body else None)
        for seen in wire.seen
        if seen.method != "GET"
    ]


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [
        (Act.PAUSE, "ACTIVE", "PAUSED"),
        (Act.RESUME, "PAUSED", "ACTIVE"),
        (Act.COMPLETE, "PAUSED", "COMPLETE"),
    ],
)
def test_the_phased_release_is_changed_once(wire, act, before, after):
    answers.tell(wire, live(before))
    path = "/v1/appStoreVersionPhasedReleases/p1"
    wire.routes[path] = document(answers.phased(after))
    assert find(act) is None
    take(act)
    assert changes(wire) == [("PATCH", path, {"phasedReleaseState": after})]
    answers.tell(wire, live(after))
    assert find(act) == {"phased_id": "p1"}


def test_the_same_value_again_is_a_success(wire):
    answers.tell(wire, live("ACTIVE"))
    wire.routes["/v1/appStoreVersionPhasedReleases/p1"] = refusal(
        ("ENTITY_ERROR.ATTRIBUTE.INVALID", "The phased release already has this value")
    )
    assert take(Act.PAUSE) == {"phased_id": "p1"}


def test_a_final_phased_release_is_refused_in_words(wire):
    answers.tell(wire, live("COMPLETE"))
    words = "You cannot change the state of a phased release that is in a final state"
    wire.routes["/v1/appStoreVersionPhasedReleases/p1"] = refusal(("STATE_ERROR", words))
    with pytest.raises(ProviderError, match=words) as caught:
        take(Act.PAUSE)
    assert caught.value.outcome is Outcome.REFUSED


def test_it_is_published_once(wire):
    answers.tell(wire, answers.version(state="PENDING_DEVELOPER_RELEASE"))
    path = "/v1/appStoreVersionReleaseRequests"
    wire.routes[path] = document(answers.resource("appStoreVersionReleaseRequests", "q"), 201)
    assert find(Act.PUBLISH) is None
    take(Act.PUBLISH)
    assert changes(wire) == [("POST", path, None)]
    answers.tell(wire, answers.version(state="PROCESSING_FOR_DISTRIBUTION"))
    assert find(Act.PUBLISH) == {}


@pytest.mark.parametrize("state", ["WAITING_FOR_REVIEW", "IN_REVIEW", "UNRESOLVED_ISSUES"])
def test_a_submission_is_withdrawn_once(wire, state):
    own = answers.version(state="REJECTED" if state == "UNRESOLVED_ISSUES" else state)
    answers.tell(wire, own, submissions=[answers.submission(state, own)])
    wire.routes["/v1/reviewSubmissions/s1"] = document(answers.submission("CANCELING"))
    assert find(Act.WITHDRAW) is None
    take(Act.WITHDRAW)
    assert changes(wire) == [("PATCH", "/v1/reviewSubmissions/s1", {"canceled": True})]
    for after in ("CANCELING", "COMPLETE"):
        answers.tell(wire, own, submissions=[answers.submission(after, own)])
        assert find(Act.WITHDRAW) == {}


def test_an_approved_version_is_withdrawn_by_the_older_resource(wire):
    own = answers.version(state="PENDING_DEVELOPER_RELEASE")
    answers.tell(wire, own, submissions=[answers.submission("COMPLETE", own)])
    path = f"/v1/appStoreVersions/{own['id']}/appStoreVersionSubmission"
    wire.routes[path] = document(answers.resource("appStoreVersionSubmissions", "o1"))
    wire.routes["/v1/appStoreVersionSubmissions/o1"] = Reply(b"", 204)
    assert find(Act.WITHDRAW) is None
    take(Act.WITHDRAW)
    assert changes(wire) == [("DELETE", "/v1/appStoreVersionSubmissions/o1", None)]
    answers.tell(wire, answers.version(state="DEVELOPER_REJECTED"))
    assert find(Act.WITHDRAW) == {}


POSSIBLE = {
    (S.WAITING_FOR_REVIEW, "WAITING_FOR_REVIEW"): {Act.WITHDRAW},
    (S.IN_REVIEW, "IN_REVIEW"): {Act.WITHDRAW},
    (S.REJECTED, "REJECTED"): {Act.WITHDRAW},
    (S.APPROVED, "PENDING_DEVELOPER_RELEASE"): {Act.WITHDRAW, Act.PUBLISH},
    (S.APPROVED, "PROCESSING_FOR_DISTRIBUTION"): set(),
    (S.ROLLING_OUT, "READY_FOR_DISTRIBUTION, ACTIVE"): {Act.PAUSE, Act.COMPLETE},
    (S.PAUSED, "READY_FOR_DISTRIBUTION, PAUSED"): {Act.RESUME, Act.COMPLETE},
    (S.LIVE, "READY_FOR_DISTRIBUTION"): set(),
    (S.DRAFT, "PREPARE_FOR_SUBMISSION"): set(),
    (S.WITHDRAWN, "DEVELOPER_REJECTED"): set(),
    (S.REPLACED, "REPLACED_WITH_NEW_VERSION"): set(),
    (S.NEEDS_PERSON, ""): set(),
}


@pytest.mark.parametrize("key", POSSIBLE, ids=lambda key: key[1])
def test_what_is_not_possible_is_refused_in_words_and_the_rest_explained(key):
    state = StoreState(state=key[0], word=key[1], percent=5)
    for act in set(Act) - {Act.EXPIRE}:  # which does not depend on the store's state
        words = AppStore.refusal(act, plan(), state)
        assert (not words) == (act in POSSIBLE[key])
        assert words or AppStore.consequence(act, plan(), state)


def test_the_consequence_says_what_and_to_whom():
    rolling = StoreState(state=S.ROLLING_OUT, word="", percent=5)
    words = AppStore.consequence(Act.PAUSE, plan(), rolling)
    assert "1.5.0" in words
    assert "the 5 % who were chosen keep it" in words
    phased = AppStore.consequence(Act.PUBLISH, plan(phased=True), rolling)
    assert "1 % of the users" in phased
    halt = AppStore.refusal(Act.HALT, plan(), rolling)
    assert "cannot halt" in halt
    assert "Pause it" in halt
