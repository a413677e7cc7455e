"""What Google Play says of a release, and what can be done then."""

import dataclasses
import re
from datetime import datetime

import pytest
from django.utils.encoding import force_str

from integrations.providers.base import ProviderError
from integrations.providers.play_store.provider import PlayStore
from integrations.providers.play_store.states import EDITS_APART
from integrations.providers.stores import Act, StoreState, SubmissionPlan, SubmissionState

from .google import GONE, Refusal, release

pytestmark = pytest.mark.slow

S = SubmissionState
PLAN = SubmissionPlan(version="1.5.0", build="150", shares=(5, 20, 100))


def read(store, **references):
    return store.read_submission(dataclasses.replace(PLAN, references=references))


@pytest.mark.parametrize(
    ("word", "state", "hint"),
    [
        ("DRAFT", S.DRAFT, ""),
        ("NOT_SENT_FOR_REVIEW", S.NEEDS_PERSON, "Send it for review in Play Console"),
        ("IN_REVIEW", S.IN_REVIEW, ""),
        ("APPROVED_NOT_PUBLISHED", S.APPROVED, "Publish it in Play Console"),
        ("NOT_APPROVED", S.REJECTED, "Publishing overview"),
        ("UNSPECIFIED", S.NEEDS_PERSON, "Play Console"),
    ],
)
def test_a_review_is_read_without_an_edit(google, store, word, state, hint):
    google.tracks["production"].append(release(150))
    google.decide(word)
    said = read(store)
    assert (said.state, said.word, said.percent, said.build) == (state, word, None, "150")
    assert hint in said.hint
    assert said.url.startswith("https://play.google.com/console/")
    assert ("POST", "edits") not in google.calls


def test_a_release_for_all_users_is_read_without_an_edit(google, store):
    google.tracks["production"] = [release(150)]
    said = read(store)
    assert (said.state, said.word, said.percent) == (S.LIVE, "completed", 100)
    assert ("POST", "edits") not in google.calls


@pytest.mark.parametrize(
    ("entry", "state", "percent"),
    [
        (release(150, status="inProgress", fraction=0.05), S.ROLLING_OUT, 5),
        (release(150, status="inProgress", fraction=0.999), S.ROLLING_OUT, 99.9),
        (release(150, status="halted", fraction=0.2), S.HALTED, 20),
        (release(150, status="halted"), S.HALTED, 100),
    ],
)
def test_a_share_is_read_in_an_edit_that_is_deleted(google, store, entry, state, percent):
    google.tracks["production"].insert(0, entry)
    said = read(store)
    assert (said.state, said.word, said.percent) == (state, entry["status"], percent)
    assert google.calls[-1] == ("DELETE", "edit")
    assert google.edits == {}


def test_a_read_whose_edit_others_end_is_done_again(google, store):
    google.tracks["production"].insert(0, release(150, status="halted", fraction=0.2))
    google.before["GET", "tracks"] = google.touch
    assert read(store).state is S.HALTED


def test_a_release_that_no_one_submitted_is_a_draft(google, store):
    assert (read(store).state, read(store).word) == (S.DRAFT, "")


def test_a_release_that_somebody_removed_is_withdrawn(google, store):
    said = read(store, status="inProgress", fraction="0.05")
    assert (said.state, said.is_ours) == (S.WITHDRAWN, False)
    assert "removed" in said.message


@pytest.mark.parametrize("rest", [[], [release(150, status="halted", fraction=0.1)]])
def test_a_newer_release_takes_its_place(google, store, rest):
    google.tracks["production"] = [release(160), *rest]
    said = read(store)
    assert said.state is S.REPLACED
    assert "v160 (160)" in said.message


def test_a_newer_rollout_leaves_it_live_for_the_others(google, store):
    newer = release(160, status="inProgress", fraction=0.1)
    google.tracks["production"] = [newer, release(150)]
    assert read(store).state is S.LIVE


@pytest.mark.parametrize(
    ("references", "is_ours"),
    [
        ({}, True),
        ({"status": "IN_REVIEW"}, True),
        ({"status": "inProgress", "fraction": "0.2"}, True),
        ({"status": "inProgress", "fraction": "0.05"}, False),
        ({"status": "halted", "fraction": "0.2"}, False),
        ({"status": "completed"}, False),
    ],
)
def test_a_change_by_hand_is_told(google, store, references, is_ours):
    google.tracks["production"].insert(0, release(150, status="inProgress", fraction=0.2))
    assert read(store, **references).is_ours is is_ours


def test_our_own_steps_are_ours(google, store):
    done = store.take_step("promote", PLAN)
    assert read(store, **done).is_ours
    google.entry()["userFraction"] = 0.2
    said = read(store, **done)
    assert (said.percent, said.is_ours) == (20, False)


def test_a_release_that_is_committed_and_not_listed_yet_waits(google, store):
    done = store.take_step("promote", PLAN)
    google.faults["GET", "releases"] = [Refusal("x").reply]
    with pytest.raises(ProviderError):
        read(store, **done)
    google._releases = lambda track: {}
    assert read(store, **done).state is S.WAITING_FOR_REVIEW


def test_an_unknown_track_is_said(google, store):
    with pytest.raises(ProviderError) as caught:
        store.read_submission(dataclasses.replace(PLAN, track="secret"))
    assert caught.value.code == "track_not_found"


def test_an_account_without_a_list_of_releases_is_said(google, store):
    google.faults["GET", "releases"] = [Refusal("Method not found.", status=404).reply]
    with pytest.raises(ProviderError) as caught:
        read(store)
    assert caught.value.code == "releases_unknown"


def test_managed_publishing_waits_for_a_person(google, store):
    google.is_managed = google.reviews = True
    done = store.take_step("promote", PLAN)
    assert read(store, **done).state is S.IN_REVIEW
    google.decide("APPROVED_NOT_PUBLISHED")
    assert "Publish it" in read(store, **done).hint
    google.decide("PUBLISHED")
    said = read(store, **done)
    assert (said.state, said.percent, said.is_ours) == (S.ROLLING_OUT, 5, True)


def test_the_text_of_an_ended_edit_is_known(google, store):
    google.faults["PUT", "production"] = [Refusal(GONE).reply]
    store.take_step("promote", PLAN)
    assert google.calls.count(("POST", "edits")) == 2


# --- Edits are rare -------------------------------------------------------------------------------


def edits(google):
    return google.calls.count(("POST", "edits"))


@pytest.fixture
def watched(google, store):
    """The references of a roll-out that was read once, after our own step."""
    done = store.take_step("promote", PLAN)
    google.calls.clear()
    return {**done, **read(store, **done).references}


def test_a_rollout_is_watched_without_an_edit_each_time(google, store, watched):
    for _ in range(3):
        said = read(store, **watched)
        assert (said.state, said.percent, said.is_ours) == (S.ROLLING_OUT, 5, True)
    assert edits(google) == 1


def test_after_half_an_hour_it_is_looked_whether_somebody_changed_it(google, store, watched):
    google.entry()["userFraction"] = 0.2
    earlier = datetime.fromisoformat(watched["read_at"]) - EDITS_APART
    said = read(store, **watched | {"read_at": earlier.isoformat()})
    assert (said.percent, said.is_ours) == (20, False)
    assert edits(google) == 2
    again = read(store, **watched | said.references)
    assert (again.percent, again.is_ours) == (20, False)
    assert edits(google) == 2


def test_a_change_in_the_list_of_releases_is_seen_at_once(google, store, watched):
    google.tracks["production"] = [release(160), release(150, status="halted", fraction=0.05)]
    assert read(store, **watched).state is S.REPLACED


def test_after_a_step_of_ours_it_is_read_anew(google, store, watched):
    wanted = dataclasses.replace(PLAN, share=20, references=watched)
    done = watched | store.take_step(Act.ADVANCE, wanted)
    said = read(store, **done)
    assert (said.percent, said.is_ours) == (20, True)


def test_a_completed_release_forgets_the_share_before(google, store, watched):
    done = watched | store.take_step(Act.COMPLETE, dataclasses.replace(PLAN, references=watched))
    said = read(store, **done)
    assert (said.state, said.is_ours) == (S.LIVE, True)


# --- Acts -----------------------------------------------------------------------------------------

POSSIBLE = {
    S.ROLLING_OUT: {Act.ADVANCE, Act.HALT, Act.COMPLETE},
    S.LIVE: {Act.HALT},
    S.HALTED: {Act.RESUME},
}


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.EXPIRE])
@pytest.mark.parametrize("state", S)
def test_each_act_is_possible_or_refused_with_a_reason(act, state):
    wanted = dataclasses.replace(PLAN, share=20)
    words = PlayStore.refusal(act, wanted, StoreState(state=state, word="x", percent=5))
    assert bool(words) == (act not in POSSIBLE.get(state, ()))


def test_acts_that_the_store_lacks_say_what_to_do():
    state = StoreState(state=S.ROLLING_OUT, word="inProgress")
    assert "Halt" in PlayStore.refusal(Act.PAUSE, PLAN, state)
    assert "Play Console" in PlayStore.refusal(Act.WITHDRAW, PLAN, state)
    assert "Play Console" in PlayStore.refusal(Act.PUBLISH, PLAN, state)


def test_a_share_is_never_lowered():
    state = StoreState(state=S.ROLLING_OUT, word="inProgress", percent=20)
    for share, is_refused in ((10, True), (20, True), (21, False), (None, False)):
        wanted = dataclasses.replace(PLAN, share=share)
        assert bool(PlayStore.refusal(Act.ADVANCE, wanted, state)) is is_refused


def test_the_internal_track_has_no_halt():
    state = StoreState(state=S.LIVE, word="completed", percent=100)
    internal = dataclasses.replace(PLAN, track="internal")
    assert "internal" in PlayStore.refusal(Act.HALT, internal, state)


@pytest.mark.parametrize(
    ("act", "share", "state", "percent", "says"),
    [
        (Act.ADVANCE, 20, S.ROLLING_OUT, 5, "20 % of the users of the track production get"),
        (Act.ADVANCE, None, S.ROLLING_OUT, 50, "All users of the track production get"),
        (Act.COMPLETE, 20, S.ROLLING_OUT, 50, "All users"),
        (Act.HALT, None, S.ROLLING_OUT, 50, "Those who have it keep it"),
        (Act.HALT, None, S.LIVE, 100, "new users get the release before it"),
        (Act.RESUME, None, S.HALTED, 20, "to 20 % of the track production goes on"),
        (Act.RESUME, 10, S.HALTED, 20, "to 10 %"),
        (Act.RESUME, None, S.HALTED, 100, "All users"),
    ],
)
def test_the_consequence_says_what_happens_to_whom(act, share, state, percent, says):
    now = StoreState(state=state, word="x", percent=percent)
    sentence = PlayStore.consequence(act, dataclasses.replace(PLAN, share=share), now)
    assert says in sentence
    assert "1.5.0 (150)" in sentence
    assert re.search(r"%[^ ]", sentence) is None


# --- The lock -------------------------------------------------------------------------------------


def test_the_lock_is_of_an_app_and_an_account(store):
    def key(app="com.example.app", email="delivr@example.iam.gserviceaccount.com"):
        return PlayStore(service_account={"client_email": email}, app_identifier=app).lock_key

    assert key() == store.lock_key
    assert re.fullmatch(r"[0-9a-f]{64}", key())
    assert len({key(), key(app="com.example.other"), key(email="other@example.com")}) == 3


def test_its_steps_and_checks_have_names_for_people():
    assert set(PlayStore.steps(PLAN)) <= set(PlayStore.step_names)
    assert {force_str(name) for name in PlayStore.step_names.values()}
