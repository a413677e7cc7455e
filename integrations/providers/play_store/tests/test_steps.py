"""Promote, advance, halt, resume and complete, with all that may happen in between."""

import dataclasses

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.play_store.edits import Edit
from integrations.providers.stores import Act, StepRefused, SubmissionPlan
from integrations.providers.tests.wire import Reply

from .google import lost, quota, release

pytestmark = pytest.mark.slow

PLAN = SubmissionPlan(version="1.5.0", build="150", shares=(5, 20, 100))


def plan(**changes):
    return dataclasses.replace(PLAN, **changes)


def refused(call, *arguments):
    with pytest.raises(ProviderError) as caught:
        call(*arguments)
    return caught.value


def commit_of(google):
    (track,) = google.commits
    return track


@pytest.fixture
def rolling(google):
    """1.5.0 is rolled out to 5 % of the users."""
    google.tracks["production"] = [
        release(150, status="inProgress", fraction=0.05),
        release(140),
    ]
    return google


def test_a_version_code_is_promoted_with_the_first_share(google, store):
    done = store.take_step("promote", PLAN)
    assert commit_of(google) == [
        {
            "name": "v150",
            "releaseNotes": [{"language": "en-US", "text": "Faster."}],
            "versionCodes": ["150"],
            "status": "inProgress",
            "userFraction": 0.05,
        },
        release(140),
    ]
    assert (done["status"], done["fraction"], done["before"]) == ("inProgress", "0.05", "absent")
    assert done["edit"].isdigit()
    assert google.edits == {}


def test_without_shares_it_is_completed_and_the_track_has_one_completed_release(google, store):
    store.take_step("promote", plan(shares=()))
    assert [r["status"] for r in commit_of(google)] == ["completed"]
    assert "userFraction" not in google.entry()


def test_notes_replace_those_of_the_other_track(google, store):
    store.take_step("promote", plan(notes={"de-DE": "Schneller."}))
    assert google.entry()["releaseNotes"] == [{"language": "de-DE", "text": "Schneller."}]


def test_all_version_codes_of_a_release_are_promoted(google, store):
    google.uploaded |= {1150}
    google.tracks["internal"] = [release(150, 1150)]
    store.take_step("promote", PLAN)
    assert commit_of(google)[0]["versionCodes"] == ["150", "1150"]


def test_drafts_of_others_stay(google, store):
    google.uploaded.add(151)
    google.tracks["production"].append(release(151, status="draft"))
    store.take_step("promote", plan(shares=()))
    assert release(151, status="draft") in google.tracks["production"]


def test_a_rollout_goes_through_all_its_steps(google, store):
    store.take_step("promote", PLAN)
    store.take_step(Act.ADVANCE, plan(share=20))
    assert google.entry()["userFraction"] == 0.2
    store.take_step(Act.HALT, PLAN)
    assert (google.entry()["status"], google.entry()["userFraction"]) == ("halted", 0.2)
    store.take_step(Act.RESUME, PLAN)
    assert (google.entry()["status"], google.entry()["userFraction"]) == ("inProgress", 0.2)
    store.take_step(Act.COMPLETE, PLAN)
    assert google.tracks["production"] == [google.entry()]
    assert google.entry()["status"] == "completed"
    store.take_step(Act.HALT, PLAN)
    assert [r["status"] for r in google.tracks["production"]] == ["halted", "completed"]
    store.take_step(Act.RESUME, plan(share=10))
    assert (google.entry()["status"], google.entry()["userFraction"]) == ("inProgress", 0.1)
    assert len(google.commits) == 7


def test_the_rest_of_a_release_is_kept(rolling, store):
    rolling.entry().update(inAppUpdatePriority=3, countryTargeting={"countries": ["DE"]})
    store.take_step(Act.ADVANCE, plan(share=20))
    assert rolling.entry()["countryTargeting"] == {"countries": ["DE"]}
    store.take_step(Act.COMPLETE, PLAN)
    assert rolling.entry()["inAppUpdatePriority"] == 3
    assert "countryTargeting" not in rolling.entry()


def test_the_countries_of_a_halted_release_are_back_when_it_is_resumed(rolling, store):
    rolling.entry()["countryTargeting"] = {"countries": ["DE"]}
    done = store.take_step(Act.HALT, PLAN)
    assert "countryTargeting" not in rolling.entry()
    store.take_step(Act.RESUME, plan(references=done))
    assert rolling.entry()["countryTargeting"] == {"countries": ["DE"]}


@pytest.mark.parametrize(
    ("step", "entry", "share"),
    [
        ("promote", release(150, status="inProgress", fraction=0.5), None),
        ("promote", release(150, status="inProgress", fraction=0.01), None),
        ("promote", release(150, status="halted", fraction=0.01), None),
        ("promote", release(150), None),
        (Act.ADVANCE, release(150, status="inProgress", fraction=0.5), 20),
        (Act.ADVANCE, release(150), 20),
        (Act.HALT, release(150, status="halted", fraction=0.1), None),
        (Act.RESUME, release(150, status="inProgress", fraction=0.1), None),
        (Act.COMPLETE, release(150), None),
    ],
)
def test_what_was_done_by_hand_is_adopted(google, store, step, entry, share):
    google.tracks["production"] = [entry, release(140)]
    wanted = plan(share=share)
    assert store.find_step(step, wanted)["status"] == entry["status"]
    assert store.take_step(step, wanted)["status"] == entry["status"]
    assert google.commits == []
    assert google.edits == {}


@pytest.mark.parametrize("step", [Act.ADVANCE, Act.RESUME, Act.COMPLETE, "promote"])
def test_a_release_that_all_users_have_is_found_without_an_edit(google, store, step):
    google.tracks["production"] = [release(150)]
    found = store.find_step(step, plan(share=20))
    assert (found["status"], found["fraction"]) == ("completed", "")
    assert ("POST", "edits") not in google.calls


@pytest.mark.parametrize("state", ["IN_REVIEW", "APPROVED_NOT_PUBLISHED", "NOT_SENT_FOR_REVIEW"])
def test_what_was_sent_is_not_sent_again(google, store, state):
    google.tracks["production"].append(release(150))
    google.decide(state)
    assert store.find_step("promote", PLAN)["status"] == state
    assert store.take_step("promote", PLAN)["status"] == state
    assert ("POST", "edits") not in google.calls


def test_what_was_rejected_is_sent_again(google, store):
    google.reviews = True
    google.tracks["production"] = [release(150, status="inProgress", fraction=0.05), release(140)]
    google.decide("NOT_APPROVED")
    assert store.find_step("promote", PLAN) is None
    store.take_step("promote", PLAN)
    assert len(google.commits) == 1
    assert store.find_step("promote", PLAN)["status"] == "IN_REVIEW"


@pytest.mark.parametrize("step", [Act.ADVANCE, Act.HALT, Act.RESUME, Act.COMPLETE])
def test_an_act_before_the_review_is_refused_and_changes_nothing(google, store, step):
    google.tracks["production"].append(release(150))
    google.decide("IN_REVIEW")
    assert store.find_step(step, plan(share=20)) is None
    assert refused(store.take_step, step, plan(share=20)).code == "not_published"
    assert google.edits == {}
    assert google.commits == []


def test_an_act_on_a_release_that_somebody_removed_is_refused(google, store):
    error = refused(store.take_step, Act.ADVANCE, plan(share=20))
    assert (error.code, error.outcome) == ("not_on_track", Outcome.REFUSED)


@pytest.mark.parametrize("status", ["inProgress", "completed"])
def test_nothing_is_sent_over_a_newer_release(rolling, store, status):
    rolling.uploaded.add(160)
    fraction = 0.1 if status == "inProgress" else None
    rolling.tracks["production"].insert(0, release(160, status=status, fraction=fraction))
    rolling.tracks["production"] = rolling.tracks["production"][:2]
    error = refused(store.take_step, Act.ADVANCE, plan(share=20))
    assert error.code == "superseded"
    assert "v160 (160)" in error.message
    assert rolling.commits == []
    assert rolling.edits == {}


def test_the_rollout_of_an_older_release_is_not_ended(google, store):
    google.tracks["production"].insert(0, release(145, status="inProgress", fraction=0.2))
    error = refused(store.take_step, "promote", PLAN)
    assert error.code == "rollout_in_the_way"
    assert "20 %" in error.message
    assert google.commits == []
    assert google.edits == {}


def test_an_older_halted_release_ends_with_the_next_one(google, store):
    google.tracks["production"].insert(0, release(145, status="halted", fraction=0.2))
    store.take_step("promote", PLAN)
    assert [r["versionCodes"] for r in google.tracks["production"]] == [["150"], ["140"]]


@pytest.mark.parametrize("step", [Act.ADVANCE, Act.COMPLETE])
def test_only_resuming_ends_a_halt(rolling, store, step):
    rolling.entry()["status"] = "halted"
    error = refused(store.take_step, step, plan(share=20))
    assert error.code == "halted"
    assert rolling.commits == []


# --- Edits that others end ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [("GET", "tracks"), ("PUT", "production"), ("POST", "validate"), ("POST", "commit")],
)
def test_an_edit_that_others_end_is_made_anew(google, store, call):
    google.before[call] = google.touch
    store.take_step("promote", PLAN)
    assert len(google.commits) == 1
    assert google.calls.count(("POST", "edits")) == 2


def test_a_change_by_hand_in_between_is_adopted(rolling, store):
    def complete():
        rolling.touch()
        rolling.tracks["production"] = [release(150)]

    rolling.before["POST", "commit"] = complete
    assert store.take_step(Act.ADVANCE, plan(share=20))["status"] == "completed"
    assert rolling.commits == []


def test_edits_that_are_ended_again_and_again_are_tried_later(google, store):
    class Always(dict):
        def pop(self, key):
            return self[key]

    google.before = Always({("POST", "commit"): google.touch})
    error = refused(store.take_step, "promote", PLAN)
    assert error.outcome is Outcome.NOT_YET
    assert google.calls.count(("POST", "edits")) == 3


def test_without_time_for_another_edit_it_is_tried_later(google, store):
    store.deadline = 1.0
    google.before["POST", "commit"] = google.touch
    google.faults["POST", "edits"] = [None, Reply(fault="hang")]
    assert refused(store.take_step, "promote", PLAN).outcome is Outcome.NOT_YET
    assert google.commits == []


def test_a_deleted_edit_is_answered_without_a_body(google, store):
    app = store._app()
    edit = Edit(app)
    app.client.delete(f"{app.path}/edits/{edit.id}")
    assert google.edits == {}


# --- Failures -------------------------------------------------------------------------------------


def test_a_lost_commit_is_found_and_not_done_twice(google, store):
    google.faults["POST", "commit"] = [lost()]
    assert refused(store.take_step, "promote", PLAN).outcome is Outcome.UNCERTAIN
    assert len(google.commits) == 1
    assert store.find_step("promote", PLAN)["fraction"] == "0.05"
    store.take_step("promote", PLAN)
    assert len(google.commits) == 1


@pytest.mark.parametrize("step", [Act.ADVANCE, Act.HALT, Act.COMPLETE])
def test_a_lost_act_is_found(rolling, store, step):
    wanted = plan(share=20)
    assert store.find_step(step, wanted) is None
    rolling.faults["POST", "commit"] = [lost()]
    assert refused(store.take_step, step, wanted).outcome is Outcome.UNCERTAIN
    assert store.find_step(step, wanted)
    assert len(rolling.commits) == 1


def test_an_edit_whose_commit_had_no_answer_is_deleted(google, store):
    google.faults["POST", "commit"] = [Reply(fault="reset")]  # it did not arrive
    assert refused(store.take_step, "promote", PLAN).outcome is Outcome.UNCERTAIN
    assert google.edits == {}
    assert google.commits == []
    assert store.find_step("promote", PLAN) is None


@pytest.mark.parametrize(
    "call", [("GET", "tracks"), ("PUT", "production"), ("POST", "validate"), ("POST", "edits")]
)
def test_a_lost_answer_before_the_commit_is_harmless(google, store, call):
    google.faults[call] = [lost()]
    assert refused(store.take_step, "promote", PLAN).outcome is Outcome.NOT_SENT
    assert google.commits == []


@pytest.mark.parametrize("call", [("GET", "releases"), ("POST", "edits"), ("POST", "commit")])
def test_a_spent_quota_says_when_to_try_again(google, store, call):
    google.faults[call] = [quota()]
    error = refused(store.take_step, "promote", PLAN)
    assert (error.outcome, error.retry_after) == (Outcome.RATE_LIMITED, 7.0)
    assert google.edits == {}
    assert google.commits == []


def test_nobodys_review_is_cancelled(google, store):
    google.decide("IN_REVIEW", track="beta", code=149)
    error = refused(store.take_step, "promote", PLAN)
    assert (error.code, error.outcome) == ("in_review", Outcome.REFUSED)
    assert google.commits == []
    assert google.edits == {}


def test_what_only_a_person_can_send_is_said_and_not_sent_unreviewed(google, store):
    google.sends_by_hand = True
    error = refused(store.take_step, "promote", PLAN)
    assert (error.code, error.outcome) == ("not_sent_automatically", Outcome.REFUSED)
    assert "Publishing overview" in error.hint
    assert google.calls.count(("POST", "commit")) == 1


def test_every_reason_is_told_like_a_preflight_check(google, store):
    google.blockers = [
        "Release in track targeting no countries.",
        "You must let us know whether your app uses advertising ID.",
    ]
    error = refused(store.take_step, "promote", PLAN)
    assert isinstance(error, StepRefused)
    assert [(check.name, check.code) for check in error.checks] == [
        ("track", "no_countries"),
        ("validation", "declaration"),
    ]
    assert all(check.url and check.message in error.message for check in error.checks)
    assert google.commits == []


def test_a_missing_right_does_not_pause_the_connection(google, store):
    google.may_release = False
    error = refused(store.take_step, "promote", PLAN)
    assert (error.code, error.outcome) == ("missing_right", Outcome.REFUSED)


def test_a_first_release_cannot_be_staged(google, store):
    google.tracks["production"] = []
    assert refused(store.take_step, "promote", PLAN).code == "first_release"
    store.take_step("promote", plan(shares=()))
    assert google.entry()["status"] == "completed"


def test_a_release_without_an_earlier_one_cannot_be_halted(google, store):
    google.tracks["production"], google.ended = [release(150)], {}
    assert refused(store.take_step, Act.HALT, PLAN).code == "cannot_halt"


def test_a_version_code_that_was_not_uploaded_is_refused(google, store):
    assert refused(store.take_step, "promote", plan(build="199")).code == "version_code_unknown"


def test_a_draft_app_is_explained(google, store):
    google.is_draft_app = True
    assert refused(store.take_step, "promote", PLAN).code == "draft_app"


@pytest.mark.parametrize("build", ["", "x", "1" * 5000, "-1"])
def test_what_is_no_version_code_is_refused(google, store, build):
    for call in (store.take_step, store.find_step):
        assert refused(call, "promote", plan(build=build)).code == "bad_version_code"
    assert refused(store.read_submission, plan(build=build)).code == "bad_version_code"
    assert google.commits == []
