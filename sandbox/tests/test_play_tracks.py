"""Releases on Google Play's tracks: staged, raised, halted, and what is refused."""

from __future__ import annotations

import pytest

from sandbox.tests.play import Play, staged, words


@pytest.fixture
def play(sandbox):
    found = Play(sandbox)
    yield found
    found.session.close()


def halted(code: int = 150, **more) -> dict:
    return {"name": "1.5.0", "versionCodes": [str(code)], "status": "halted", **more}


def test_a_release_climbs_from_internal_to_everybody(play):
    play.code()
    assert play.states("internal") == {"1.5.0": "PUBLISHED"}
    play.release("production", staged(fraction=0.01))
    assert play.states() == {"1.5.0": "IN_REVIEW", "1.4.0": "PUBLISHED"}
    play.act("approve")
    assert [one["status"] for one in play.track()] == ["inProgress", "completed"]
    assert play.release("production", staged(fraction=0.2)).status_code == 200
    assert (play.states()["1.5.0"], play.track()[0]["userFraction"]) == ("PUBLISHED", 0.2)
    play.release("production", staged())
    assert play.states() == {"1.5.0": "PUBLISHED"}
    assert [one["status"] for one in play.track()] == ["completed"]


def test_a_fraction_is_not_lowered_but_halted_and_resumed_at_any(play):
    play.out(fraction=0.2)
    assert "cannot be decreased" in words(play.release("production", staged(fraction=0.1)))
    assert play.release("production", halted(userFraction=0.2)).status_code == 200
    assert play.track()[0]["status"] == "halted"
    assert play.release("production", staged(fraction=0.1)).status_code == 200
    assert play.track()[0]["userFraction"] == 0.1


def test_a_complete_release_is_halted_if_there_is_an_earlier_one(play):
    lone = play.release("production", {**halted(140), "name": "1.4.0"})
    assert "earlier release" in words(lone)
    play.out()
    assert play.release("production", halted()).status_code == 200
    found = [(one["name"], one["status"]) for one in play.track()]
    assert found == [("1.5.0", "halted"), ("1.4.0", "completed")]
    assert play.states() == {"1.5.0": "PUBLISHED", "1.4.0": "PUBLISHED"}
    assert play.release("production", staged(fraction=0.5)).status_code == 200
    assert [one["status"] for one in play.track()] == ["inProgress", "completed"]


def test_not_on_the_internal_track_and_not_beside_a_new_complete_one(play):
    play.code(150)
    play.code(151, "1.5.1")
    assert "internal track" in words(play.release("internal", halted(151)))
    play.out(152, "1.5.2")
    play.code(153)
    answer = play.release("production", halted(152), staged(153))
    assert words(answer).startswith("You can't halt a fully rolled out release and create a new")


@pytest.mark.parametrize(
    ("release", "said"),
    [
        (staged(fraction=1.0, userFraction=1.0), "must not have a userFraction"),
        (staged(fraction=0.5, userFraction=1.0), "less than 1"),
        (staged(fraction=0.5, userFraction=0), "greater than 0"),
        ({"versionCodes": ["150"], "status": "inProgress"}, "needs a userFraction"),
        (staged(999), "Version code 999 was not uploaded"),
        (staged(name="x" * 51), "release name"),
        (staged(releaseNotes=[{"language": "en-US", "text": "x" * 501}]), "500 characters"),
        (staged(releaseNotes=[{"text": "x"}]), "need a language"),
        (staged(inAppUpdatePriority=6), "from 0 to 5"),
        (staged(countryTargeting={"countries": ["IN"]}), "Countries"),
        (staged(status="live"), "needs a status"),
        (staged(rollout=1), "Unknown name"),
        (halted(), "rolled out can be halted"),
    ],
)
def test_bad_releases_are_refused_and_change_nothing(play, release, said):
    play.code()
    edit = play.edit()
    answer = play.put(edit, "production", release)
    assert (answer.status_code, said in words(answer)) == (400, True), answer.text
    track = play("GET", f"/edits/{edit}/tracks/production").json()
    assert [one["name"] for one in track["releases"]] == ["1.4.0"]


def test_there_are_never_two_complete_or_two_staged_releases(play):
    play.code(150)
    play.code(151)
    edit = play.edit()
    both = play.put(edit, "production", staged(150), staged(151))
    assert "Only one completed release" in words(both)
    both = play.put(edit, "production", staged(150, 0.1), staged(151, 0.1))
    assert "Only one staged release" in words(both)


def test_what_is_complete_is_not_staged(play):
    play.out()
    assert "Fully released can not be staged" in words(
        play.release("production", staged(fraction=0.5))
    )


def test_the_first_release_on_a_track_is_not_staged(play):
    play.code()
    edit = play.edit()
    assert play.put(edit, "beta", staged(fraction=0.5)).status_code == 200
    first = "The first release on a track cannot be staged"
    assert words(play("POST", f"/edits/{edit}:validate")) == first
    assert words(play.commit(edit)) == first
    play.put(edit, "beta", staged())
    assert play.commit(edit).status_code == 200


def test_a_draft_app_takes_drafts_alone(play):
    play.act("switch", name="draft")
    play.code()
    refused = play.release("production", staged())
    assert words(refused) == "Only releases with status draft may be created on draft app."
    assert play.release("production", staged(status="draft")).status_code == 200
    assert play.states()["1.5.0"] == "DRAFT"


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("countries", "Release in track targeting no countries"),
        ("exact_alarm", "You must let us know whether your app uses any exact alarm"),
        ("foreground_service", "Foreground Service"),
        ("ad_id", "AD_ID"),
    ],
)
def test_what_the_console_lacks_is_told_at_the_commit(play, switch, said):
    play.code()
    play.act("switch", name=switch)
    assert said in words(play.release("production", staged()))
    play.act("switch", name=switch, on=False)
    assert play.release("production", staged()).status_code == 200


def test_countries_can_be_read(play):
    edit = play.edit()
    answer = play("GET", f"/edits/{edit}/countryAvailability/production").json()
    assert [one["countryCode"] for one in answer["countries"]] == ["IN", "GB", "US"]


def test_a_lower_version_code_upgrades_nobody(play):
    play.code(160)
    play.code(161)
    play.release("production", staged(161))
    play.act("approve")
    answer = play.release("production", staged(160))
    assert (answer.status_code, "does not allow any existing users" in words(answer)) == (403, True)


def test_no_version_codes_clear_a_track(play):
    play.code()
    play.release("internal", {"versionCodes": [], "status": "completed"})
    assert (play.track("internal"), play.states("internal")) == ([], {})


def test_a_patch_replaces_the_list_of_releases(play):
    play.code()
    edit = play.edit()
    path = f"/edits/{edit}/tracks/production"
    assert (
        play("PATCH", path, json={"track": "production"}).json()["releases"][0]["name"] == "1.4.0"
    )
    changed = play("PATCH", path, json={"releases": [staged()]}).json()
    assert [one["name"] for one in changed["releases"]] == ["1.5.0"]


def test_a_closed_track_is_created(play):
    edit = play.edit()
    body = {"track": "insiders", "type": "CLOSED_TESTING", "formFactor": "DEFAULT"}
    assert play("POST", f"/edits/{edit}/tracks", json=body).json() == {"track": "insiders"}
    assert play("POST", f"/edits/{edit}/tracks", json=body).status_code == 400
    assert play.commit(edit).status_code == 200
    assert play.states("insiders") == {}


def test_a_person_changes_the_share_by_hand(play):
    play.out(fraction=0.05)
    edit = play.edit()
    play.act("fraction", fraction=0.5)
    assert play.commit(edit).status_code == 400
    assert play.track()[0]["userFraction"] == 0.5
    play.act("halt")
    assert play.track()[0]["status"] == "halted"
    play.act("fraction", fraction=1)
    assert [one["status"] for one in play.track()] == ["completed"]
