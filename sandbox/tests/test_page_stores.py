"""The page on which a person plays Apple and Google."""

from __future__ import annotations

import pytest

from sandbox import accounts
from sandbox.apple.gaps import SWITCHES
from sandbox.play import acts as play_acts
from sandbox.tests.apple import Apple
from sandbox.tests.play import Play, staged


@pytest.fixture
def apple(sandbox):
    found = Apple(sandbox)
    yield found
    found.session.close()


@pytest.fixture
def play(sandbox):
    found = Play(sandbox)
    yield found
    found.session.close()


def press(web, path: str, **form: str) -> str:
    """The page after a button was pressed."""
    answer = web.post(f"/stores/{path}", data=form)
    assert answer.status_code == 303, answer.text
    return web.get(answer.headers["Location"]).text


def newest(sandbox, kind: str) -> str:
    return sandbox.state.stores.apple.records.all(kind)[-1].id


def test_an_empty_page_says_how_builds_come(web):
    text = web.get("/stores").text
    for words in ("No builds yet", "Nothing was submitted yet", "1.4.0", "No changes wait"):
        assert words in text


def test_a_person_plays_apple(sandbox, web, apple):
    assert "Processing" in press(web, "apple/upload", version="1.5.0", number="245")
    build = newest(sandbox, "builds")
    assert "Valid" in press(web, "apple/process", id=build, result="VALID")
    version, _ = apple.submitted(releaseType="MANUAL", versionString="1.6.0")
    assert apple.state(version) == "WAITING_FOR_REVIEW"
    assert "In review" in press(web, "apple/start-review", id=newest(sandbox, "reviewSubmissions"))
    press(web, "apple/decide", id=newest(sandbox, "reviewSubmissions"), verdict="approve")
    assert apple.state(version) == "PENDING_DEVELOPER_RELEASE"
    press(web, "apple/release", id=version["id"])
    assert apple.state(version) == "PROCESSING_FOR_DISTRIBUTION"


def test_a_refusal_says_everything_that_is_missing(web, apple):
    version = apple.version()
    text = press(web, "apple/submit", id=version["id"])
    assert "relationship &#39;build&#39;" in text
    assert "attribute &#39;whatsNew&#39;" in text
    assert apple.state(version) == "READY_FOR_REVIEW"


def test_every_switch_takes_away_and_gives_back(sandbox, web, apple):
    version = apple.ready_version()
    submission = apple.submission(version)
    for name in SWITCHES.keys() - {"agreement", "compliance"}:
        press(web, "apple/switch", name=name, missing="1")
        assert apple.patch(submission, submitted=True).status_code == 409, name
        press(web, "apple/switch", name=name, missing="")
    assert apple.patch(submission, submitted=True).status_code == 200


def test_a_person_plays_google(web, play):
    press(web, "play/upload", version="1.5.0", number="150")
    press(web, "play/switch", name="managed", on="1")
    play.release("production", staged(fraction=0.05))
    assert "Approve the changes" in web.get("/stores/board").text
    press(web, "play/approve")
    assert play.states()["1.5.0"] == "APPROVED_NOT_PUBLISHED"
    press(web, "play/publish")
    press(web, "play/fraction", percent="20")
    assert play.track()[0]["userFraction"] == 0.2
    press(web, "play/halt", track="production")
    assert play.track()[0]["status"] == "halted"


def test_googles_switches_are_seen_on_the_page(sandbox, web):
    app = sandbox.state.stores.play.apps[accounts.APP_IDENTIFIER]
    for name, words in play_acts.SWITCHES.items():
        assert f"Turn off: {words}" in press(web, "play/switch", name=name, on="1")
        assert f"Turn on: {words}" in press(web, "play/switch", name=name, on="")
    assert not app.is_draft
    assert app.undeclared == []


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("play/approve", {}, "no release is IN_REVIEW"),
        ("play/fraction", {"percent": "many"}, "could not convert"),
        ("play/fraction", {"percent": "200"}, "a fraction is above 0"),
        ("apple/decide", {"verdict": "approve"}, "no reviewSubmissions yet"),
        ("apple/next-day", {"id": "x"}, "no appStoreVersionPhasedReleases x"),
        ("apple/create-version", {"version": "1.4.0"}, "has been previously used"),
        ("apple/upload", {"version": "", "number": ""}, "a build needs a version and a number"),
        ("play/upload", {"version": "1.5.0", "number": "x"}, "invalid literal"),
    ],
)
def test_what_does_not_fit_is_said_and_changes_nothing(sandbox, web, path, form, said):
    before = sandbox.state.stores.dump()
    assert said in press(web, path, **form)
    assert sandbox.state.stores.dump() == before


def test_unknown_acts_and_foreign_pages_are_refused(web):
    for path in ("/stores/apple/settings", "/stores/play/rights", "/stores/apple/magic"):
        assert web.post(path).status_code == 400
    origin = {"Origin": "http://evil.example"}
    assert web.post("/stores/play/change", headers=origin).status_code == 403
    assert web.post("/sandbox/api/play/acts/change", headers=origin).status_code == 403


def test_the_control_api_names_acts_and_switches(web):
    apple = web.get("/sandbox/api/appstore").json()
    assert "decide" in apple["acts"]
    assert set(apple["switches"]) == set(SWITCHES)
    assert web.post("/sandbox/api/appstore/acts/magic").status_code == 404
    assert web.post("/sandbox/api/appstore/acts/settings", json={"x": 1}).status_code == 400
    assert web.get("/sandbox/api/play").json()["switches"]["managed"]["on"] is False
