"""Builds of CI servers that reach the stores, and stores that survive a restart."""

from __future__ import annotations

import pytest

from sandbox import accounts
from sandbox.server import SandboxServer
from sandbox.store_uploads import take
from sandbox.tests.apple import Apple
from sandbox.tests.play import Play, staged


def build(sandbox, job: str, result: str = "SUCCESS", **parameters: str) -> int:
    ci = sandbox.state.jenkins
    with sandbox.state.lock:
        ci.enqueue(ci.job(job), parameters or {"VERSION": "1.5.0"}, user="delivr", delay=0)
    number = ci.builds_of(job)[0].number
    ci.finish(job, number, result)
    return number


def apple_builds(sandbox) -> list[tuple[str, str]]:
    records = sandbox.state.stores.apple.records
    found = records.all("builds")
    return [(records.one(b, "preReleaseVersion")["version"], b["version"]) for b in found]


def play_releases(sandbox) -> list[tuple[str, list[str]]]:
    app = sandbox.state.stores.play.apps[accounts.APP_IDENTIFIER]
    return [(one["name"], one["versionCodes"]) for one in app.tracks["internal"]]


def test_an_ios_build_is_processed_by_apple(sandbox):
    build(sandbox, "ios-prod")
    assert (apple_builds(sandbox), play_releases(sandbox)) == ([("1.5.0", "245")], [])
    apple = Apple(sandbox)
    (found,) = apple.get("/v1/builds")["data"]
    assert found["attributes"]["processingState"] == "PROCESSING"
    sandbox.state.advance(20)
    assert apple.again(found)["processingState"] == "VALID"
    apple.session.close()


def test_an_android_build_is_on_the_internal_track(sandbox):
    build(sandbox, "android-prod")
    assert (apple_builds(sandbox), play_releases(sandbox)) == ([], [("1.5.0", ["512"])])


def test_a_build_that_fails_or_has_no_version_reaches_no_store(sandbox):
    build(sandbox, "ios-prod", "FAILURE")
    build(sandbox, "android-prod", "ABORTED")
    build(sandbox, "nightly", BRANCH="main")
    assert (apple_builds(sandbox), play_releases(sandbox)) == ([], [])


def test_the_bundle_of_a_build_can_be_uploaded_instead(sandbox, jenkins):
    play = Play(sandbox)
    play.act("switch", name="ci")
    number = build(sandbox, "android-prod")
    assert play_releases(sandbox) == []
    raw = jenkins.get(f"/job/android-prod/{number}/artifact/android-{number}.aab").content
    assert play.upload(play.edit(), raw).json()["versionCode"] == number
    play.act("switch", name="ci", on=False)
    build(sandbox, "android-prod", VERSION="1.5.1")
    assert play_releases(sandbox) == [("1.5.1", ["513"])]
    play.session.close()


@pytest.mark.parametrize(
    ("entry", "ios", "android"),
    [
        ({"job": "ios.yml", "number": 57, "parameters": {"version": "1.5.0"}}, ["57"], []),
        ({"job": "android.yml", "number": 112, "parameters": {"version": "1.5.0"}}, [], ["141"]),
        ({"job": "android", "number": 501, "version": "1.5.0"}, [], ["501"]),
        ({"job": "d11/app", "number": 9, "version": "1.5", "platform": "IOS"}, ["9"], []),
        ({"job": "d11/app", "number": 2_410_000_001, "version": "1.5"}, ["2410000001"], ["141"]),
    ],
    ids=["workflow", "low number", "any ci", "parameter", "both"],
)
def test_the_platform_is_a_parameter_or_in_the_name(sandbox, entry, ios, android):
    take(sandbox.state.stores, {"result": "success", **entry})
    assert [number for _version, number in apple_builds(sandbox)] == ios
    assert [codes for _name, codes in play_releases(sandbox)] == [[code] for code in android]


def test_a_receiver_of_any_ci_says_version_and_platform(sandbox):
    receivers = sandbox.state.receivers
    data = {"buildId": "bld_1", "callbackUrl": "http://127.0.0.1:9/", "version": "1.5.0"}
    with sandbox.state.lock:
        made = receivers.take(receivers.all["ios"], {**data, "platform": "IOS"})
    receivers.finish(made)
    assert apple_builds(sandbox) == [("1.5.0", "501")]


def test_both_stores_survive_a_restart(tmp_path):
    with SandboxServer(state_dir=tmp_path) as server:
        apple, play = Apple(server), Play(server)
        version, submission = apple.submitted()
        play.out(fraction=0.05)
        edit = play.edit()
    with SandboxServer(state_dir=tmp_path) as server:
        apple, play = Apple(server), Play(server)
        assert apple.state(version) == "WAITING_FOR_REVIEW"
        assert apple.again(submission)["state"] == "WAITING_FOR_REVIEW"
        assert play.put(edit, "production", staged(fraction=0.1)).status_code == 200
        assert play.commit(edit).status_code == 200
    for one in (apple, play):
        one.session.close()


def test_a_snapshot_of_before_is_still_read(sandbox):
    sandbox.state.stores.load({"edits": []})
    assert apple_builds(sandbox) == []
