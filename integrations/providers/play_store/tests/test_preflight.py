"""Every blocker at once, found without changing anything."""

import dataclasses

import pytest

from integrations.providers.play_store.provider import PlayStore
from integrations.providers.stores import SubmissionPlan
from integrations.providers.tests.sandbox import failed
from integrations.providers.tests.wire import Reply

from .google import Refusal, payload, quota, release

pytestmark = pytest.mark.slow

PLAN = SubmissionPlan(version="1.5.0", build="150", shares=(5,), notes={"en-US": "Faster."})


def checks(store, **changes):
    found = list(store.preflight(dataclasses.replace(PLAN, **changes)))
    assert {check.name for check in found} <= set(PlayStore.preflight_names)
    assert all(check.url.startswith("https://") for check in found if not check.ok)
    return found


def only(store, **changes):
    ((_, check),) = failed(checks(store, **changes)).items()
    return check


def test_a_release_that_nothing_stands_in_the_way_of_is_ready(google, store):
    found = checks(store)
    assert failed(found) == {}
    assert {check.name for check in found} == set(PlayStore.preflight_names)


def test_it_changes_nothing_and_leaves_no_edit(google, store):
    before = [dict(entry) for entry in google.tracks["production"]]
    checks(store)
    assert google.tracks["production"] == before
    assert google.commits == []
    assert google.edits == {}
    assert google.calls.count(("POST", "edits")) == 1


def test_all_blockers_are_reported_at_once(google, store):
    google.tracks["beta"] = [release(149)]
    google.decide("IN_REVIEW", track="beta", code=149)
    google.blockers = [
        "Release in track targeting no countries.",
        "You must let us know whether your app uses advertising ID.",
    ]
    found = checks(store, notes={"en-US": "x" * 501, "english!": "Faster."})
    assert {(check.name, check.code) for check in found if not check.ok} == {
        ("notes", "too_long"),
        ("notes", "bad_locale"),
        ("review", "in_review"),
        ("track", "no_countries"),
        ("validation", "declaration"),
    }
    assert google.edits == {}


@pytest.mark.parametrize(
    ("text", "name", "code"),
    [
        ("Release in track targeting no countries", "track", "no_countries"),
        ("You must let us know whether your app uses any exact alarm", "validation", "declaration"),
        (
            "There are issues with your account which mean you can't publish",
            "validation",
            "developer_account",
        ),
        (
            "You cannot rollout this release because it does not allow any existing users to "
            "upgrade to the newly added APKs.",
            "build",
            "no_upgrade",
        ),
        ("Changes cannot be sent for review automatically.", "review", "not_sent_automatically"),
        ("Something new.", "validation", "refused"),
    ],
)
def test_what_google_refuses_is_said_in_words(google, store, text, name, code):
    google.blockers = [text]
    check = only(store)
    assert (check.name, check.code) == (name, code)
    assert text.rstrip(".") in check.message
    assert check.hint


def test_a_build_that_google_does_not_have(google, store):
    google.uploaded = {140, 149}
    google.tracks["internal"] = []
    check = only(store)
    assert (check.name, check.code) == ("build", "version_code_unknown")
    assert "The highest it has is 149" in check.message
    assert "Upload" in check.hint


def test_a_build_that_is_on_no_track_is_found_among_the_bundles(google, store):
    google.tracks["internal"] = []
    assert failed(checks(store)) == {}


@pytest.mark.parametrize("build", ["", "1.5.0", "0", "2100000001", "١٢"])
def test_a_build_that_is_no_version_code(google, store, build):
    assert only(store, build=build).code == "bad_version_code"
    assert ("POST", "edits") not in google.calls


def test_a_first_release_in_stages(google, store):
    google.tracks["production"] = []
    assert only(store).code == "first_release"
    assert failed(checks(store, shares=())) == {}


def test_an_app_that_was_never_published(google, store):
    google.is_draft_app = True
    assert only(store).code == "draft_app"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (release(145, status="inProgress", fraction=0.2), "rollout_in_the_way"),
        (release(160, status="inProgress", fraction=0.2), "superseded"),
    ],
)
def test_another_release_on_the_track(google, store, entry, code):
    google.uploaded.add(160)
    google.tracks["production"].insert(0, entry)
    check = only(store)
    assert (check.name, check.code) == ("track", code)


def test_several_version_codes_end_with_a_warning(google, store):
    google.tracks["production"] = [release(140, 130)]
    check = only(store)
    assert (check.code, check.level) == ("several_codes", "WARNING")


@pytest.mark.parametrize("state", ["NOT_SENT_FOR_REVIEW", "NOT_APPROVED", "APPROVED_NOT_PUBLISHED"])
def test_changes_that_wait_for_a_person_are_a_warning(google, store, state):
    google.tracks["beta"] = [release(149)]
    google.decide(state, track="beta", code=149)
    check = only(store)
    assert (check.name, check.code, check.level) == ("review", state.lower(), "WARNING")


def test_its_own_review_is_in_nobodys_way(google, store):
    google.tracks["production"].append(release(150))
    google.tracks["production"].pop(0)
    google.decide("IN_REVIEW")
    assert failed(checks(store, shares=())) == {}


def test_a_review_on_a_custom_track_is_seen(google, store):
    google.tracks["friends"] = [release(149)]
    google.decide("IN_REVIEW", track="friends", code=149)
    assert only(store).code == "in_review"


def test_a_track_that_google_does_not_list_is_in_nobodys_way(google, store):
    missing = Refusal("Track not found: internal", status=404, reason="notFound").reply
    google.faults["GET", "releases"] = [None, None, missing]
    assert failed(checks(store)) == {}
    assert google.faults["GET", "releases"] == []


def test_reviews_that_cannot_be_read_are_said(google, store):
    google.faults["GET", "releases"] = [None, quota()]
    check = only(store)
    assert (check.name, check.code) == ("review", "rate_limited")


@pytest.mark.parametrize("status", ["inProgress", "halted"])
def test_what_is_on_the_track_already_is_not_tried(google, store, status):
    google.tracks["production"].insert(0, release(150, status=status, fraction=0.2))
    found = checks(store)
    assert failed(found) == {}
    assert [check.name for check in found if not check.tested] == ["validation"]


def test_a_missing_right_leads_to_the_page_of_users(google, store):
    google.may_release = False
    check = only(store)
    assert (check.name, check.code) == ("account", "missing_right")
    assert check.url.endswith("/users-and-permissions")


def test_an_unknown_track(google, store):
    check = only(store, track="secret")
    assert (check.name, check.code) == ("track", "track_not_found")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(payload("error__403_not_invited"), 403), "forbidden"),
        (Reply(payload("error__403_api_off"), 403), "api_disabled"),
        (Reply(payload("error__404_application"), 404), "app_not_found"),
        (quota(), "rate_limited"),
    ],
)
def test_an_account_without_access_ends_it(google, store, reply, code):
    google.faults["GET", "releases"] = [reply]
    check = only(store)
    assert (check.name, check.code) == ("account", code)


def test_a_bad_key_is_a_check_too(google):
    store = PlayStore(service_account="{}", app_identifier="com.example.app")
    assert only(store).code == "unreadable_key"


def test_a_passing_failure_is_temporary(google, store):
    google.faults["POST", "validate"] = [Reply(status=503)]
    check = only(store)
    assert (check.name, check.is_temporary) == ("validation", True)
    assert google.edits == {}


def test_an_edit_that_others_end_is_made_anew(google, store):
    google.before["PUT", "production"] = google.touch
    assert failed(checks(store)) == {}
    assert google.calls.count(("POST", "edits")) == 2
