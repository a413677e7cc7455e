"""Edits of Google Play: whose is valid, what a commit does, and what is uploaded."""

from __future__ import annotations

import hashlib

import pytest

from sandbox.tests.play import API, ERROR_IF_IN_REVIEW, Play, bundle, staged, words

DELETED = "This Edit has been deleted."


@pytest.fixture
def play(sandbox):
    found = Play(sandbox)
    yield found
    found.session.close()


@pytest.fixture
def ci(sandbox):
    found = Play(sandbox, sandbox.accounts.google_ci_service_account)
    yield found
    found.session.close()


def test_each_user_has_an_edit_and_the_first_commit_wins(play, ci):
    play.code()
    mine, other = play.edit(), ci.edit()
    assert ci.put(mine, "beta", staged()).status_code == 400
    assert play.put(mine, "beta", staged()).status_code == 200
    assert ci.put(other, "alpha", staged()).status_code == 200
    assert play.commit(mine).status_code == 200
    answer = ci.commit(other)
    assert (answer.status_code, words(answer)) == (400, DELETED)
    assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"
    assert (play.states("beta"), play.states("alpha")) == ({"1.5.0": "IN_REVIEW"}, {})


def test_the_console_ends_every_edit(play, ci):
    edits = [(play, play.edit()), (ci, ci.edit())]
    play.act("change")
    assert [words(user("GET", f"/edits/{edit}/tracks")) for user, edit in edits] == [DELETED] * 2


def test_an_edit_expires(sandbox, play):
    edit = play.edit()
    sandbox.state.advance(3601)
    assert words(play.commit(edit)) == "This edit has expired."


def test_a_build_of_ci_ends_edits_too(play):
    edit = play.edit()
    play.code()
    assert words(play.commit(edit)) == DELETED


def test_reading_releases_opens_no_edit_and_an_account_may_lack_it(sandbox, play):
    edit = play.edit()
    assert play.states() == {"1.4.0": "PUBLISHED"}
    assert play("GET", f"/edits/{edit}").status_code == 200
    play.act("switch", name="summaries")
    assert play("GET", "/tracks/production/releases").status_code == 404


def test_nothing_is_sent_before_a_commit_and_validating_changes_nothing(play):
    play.code()
    edit = play.edit()
    play.put(edit, "production", staged(fraction=0.05))
    assert play("POST", f"/edits/{edit}:validate").status_code == 200
    assert play.states() == {"1.4.0": "PUBLISHED"}
    play("DELETE", f"/edits/{edit}")
    assert play.track() == [{"name": "1.4.0", "versionCodes": ["140"], "status": "completed"}]


def test_a_running_review_is_cancelled_only_where_that_is_wanted(sandbox, play):
    play.code()
    assert play.release("production", staged(fraction=0.05)).status_code == 200
    edit = play.edit()
    assert play.put(edit, "beta", staged()).status_code == 200
    refused = play.commit(edit, **ERROR_IF_IN_REVIEW)
    assert words(refused).startswith("There are changes in review.")
    assert play("GET", f"/edits/{edit}").status_code == 200
    assert not sandbox.state.ledger.of("review.cancelled")
    assert play.commit(edit).status_code == 200
    assert len(sandbox.state.ledger.of("review.cancelled")) == 1


def test_the_two_refusals_about_review_are_opposites(play):
    play.code()
    needless = play.release("production", staged(), changesNotSentForReview="true")
    assert words(needless).endswith("The query parameter changesNotSentForReview must not be set.")
    play.act("switch", name="unsent")
    edit = play.edit()
    play.put(edit, "production", staged())
    assert "Please set the query parameter changesNotSentForReview to true." in words(
        play.commit(edit)
    )
    assert play.commit(edit, changesNotSentForReview="true").status_code == 200
    assert play.states()["1.5.0"] == "NOT_SENT_FOR_REVIEW"
    play.act("send")
    assert play.states()["1.5.0"] == "IN_REVIEW"


def test_managed_publishing_holds_back_what_is_approved(play):
    play.act("switch", name="managed")
    play.code()
    play.release("production", staged())
    play.act("approve")
    assert play.states() == {"1.5.0": "APPROVED_NOT_PUBLISHED", "1.4.0": "PUBLISHED"}
    play.act("publish")
    assert play.states() == {"1.5.0": "PUBLISHED"}


def test_a_rejection_leaves_what_people_have(play):
    play.code()
    play.release("production", staged())
    play.act("reject")
    assert play.states() == {"1.5.0": "NOT_APPROVED", "1.4.0": "PUBLISHED"}
    play.code(151)
    assert "changesNotSentForReview to true" in words(play.release("production", staged(151)))


# Uploads


def test_a_bundle_is_uploaded_once(play):
    raw, edit = bundle(), play.edit()
    answer = play.upload(edit, raw)
    sums = {name: hashlib.new(name, raw).hexdigest() for name in ("sha1", "sha256")}
    assert answer.json() == {"versionCode": 150, **sums}
    listed = play("GET", f"/edits/{edit}/bundles").json()["bundles"]
    assert [one["versionCode"] for one in listed] == [140, 150]
    play.put(edit, "internal", staged(status="draft"))
    assert play.commit(edit).status_code == 200
    again = play.upload(play.edit(), raw)
    assert words(again) == "Version code 150 has already been used."


def test_a_bundle_is_lost_with_its_edit(play):
    assert play.upload(play.edit(), bundle()).status_code == 200
    assert play.upload(play.edit(), bundle()).status_code == 200


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PK, but no zip", "APK is not a valid ZIP archive."),
        (bundle(package="com.rival.app"), "APK has the wrong package name"),
        (bundle(is_signed=False), "not signed"),
        (bundle(140), "Version code 140 has already been used."),
        (bundle(2_100_000_001), "version code that is not valid"),
    ],
    ids=["zip", "package", "unsigned", "used", "too high"],
)
def test_bad_bundles_are_refused(play, raw, said):
    edit = play.edit()
    assert said in words(play.upload(edit, raw))
    assert len(play("GET", f"/edits/{edit}/bundles").json()["bundles"]) == 1


def test_a_large_bundle_is_taken_in_pieces_and_goes_on_after_a_break(sandbox, play):
    raw, edit = bundle(), play.edit()
    url = f"{sandbox.url}/play/upload/{API}/edits/{edit}/bundles?uploadType=resumable"
    place = play.session.post(url, timeout=10).headers["Location"]
    half = len(raw) // 2

    def send(part: bytes, where: str):
        headers = {"Content-Range": f"bytes {where}/{len(raw)}"}
        return play.session.put(place, data=part, headers=headers, timeout=10)

    first = send(raw[:half], f"0-{half - 1}")
    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{half - 1}")
    asked = send(b"", "*")
    assert (asked.status_code, asked.headers["Range"]) == (308, f"bytes=0-{half - 1}")
    assert send(raw[half:], f"{half}-{len(raw) - 1}").json()["versionCode"] == 150
    assert send(b"", "*").json()["versionCode"] == 150  # for who lost the response
    assert len(sandbox.state.ledger.of("bundle.uploaded")) == 1


# Rights and quotas


def test_rights_are_needed_by_track(play):
    email = play.account["client_email"]
    play.code()
    play.act("rights", user=email, rights=["CAN_VIEW_NON_FINANCIAL_DATA", "CAN_MANAGE_TRACK_APKS"])
    edit = play.edit()
    assert play.put(edit, "beta", staged()).status_code == 200
    refused = play.put(edit, "production", staged())
    assert (refused.status_code, words(refused)) == (403, "The caller does not have permission")
    play.act("rights", user=email, rights=[])
    assert play("GET", "/tracks/beta/releases").status_code == 403


def test_there_is_a_quota(sandbox, play):
    play.act("settings", queries_per_minute=2)
    statuses = [play("GET", "/tracks/beta/releases").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    sandbox.state.advance(60)
    assert play("GET", "/tracks/beta/releases").status_code == 200
