"""Builds, TestFlight, phased releases and webhooks of App Store Connect, over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox import accounts
from sandbox.apple.notifications import PAUSES
from sandbox.tests.apple import APP, Apple, problem
from sandbox.tests.test_webhooks import receiver, wait_for  # noqa: F401 -- a fixture

DAY = 86_400


@pytest.fixture
def apple(sandbox):
    found = Apple(sandbox)
    yield found
    found.session.close()


@pytest.fixture
def phased(sandbox, apple):
    """The phased release of a version that is in the store since now."""
    version = apple.ready_version()
    made = apple.post(
        "appStoreVersionPhasedReleases", {"phasedReleaseState": "INACTIVE"}, appStoreVersion=version
    ).json()["data"]
    apple.patch(apple.submission(version), submitted=True)
    apple.act("decide", verdict="approve")
    assert apple.again(made)["currentDayNumber"] is None
    sandbox.state.advance(3)
    return made


def day_of(apple, phased) -> tuple[str, int]:
    now = apple.again(phased)
    return now["phasedReleaseState"], now["currentDayNumber"]


def test_builds_are_found_by_number_version_and_platform(apple):
    for version, platform in (("1.5.0", "IOS"), ("1.5.1", "IOS"), ("1.5.0", "TV_OS")):
        apple.act("upload", version=version, number="7", platform=platform)
    wanted = {
        "filter[app]": APP["id"],
        "filter[version]": "7",
        "filter[preReleaseVersion.version]": "1.5.0",
        "filter[preReleaseVersion.platform]": "IOS",
        "include": "preReleaseVersion,buildBetaDetail",
    }
    answer = apple.get("/v1/builds", **wanted)
    assert (len(answer["data"]), answer["meta"]["paging"]["total"]) == (1, 1)
    kinds = {one["type"] for one in answer["included"]}
    assert kinds == {"preReleaseVersions", "buildBetaDetails"}
    again = apple.try_act("upload", version="1.5.0", number="7")
    assert again.status_code == 409


def test_a_build_is_processed_and_only_its_upload_says_what_failed(sandbox, apple):
    good = apple.act("upload", version="1.5.0", number="1")
    assert apple.again(good)["processingState"] == "PROCESSING"
    sandbox.state.advance(20)
    assert apple.again(good)["processingState"] == "VALID"
    bad = apple.act("upload", version="1.5.0", number="2")
    apple.act("process", id=bad["id"], result="INVALID")
    assert apple.again(bad)["processingState"] == "INVALID"
    path = "/v1/apps/6450000001/buildUploads"
    (upload,) = apple.get(path, **{"filter[cfBundleVersion]": "2"})["data"]
    state = upload["attributes"]["state"]
    assert (state["state"], state["errors"][0]["code"]) == ("FAILED", "90035")
    sandbox.state.advance(91 * DAY)
    assert apple.again(good)["expired"]


def test_export_compliance_is_said_once(apple):
    build = apple.build()
    (detail,) = apple.get("/v1/buildBetaDetails", **{"filter[build]": build["id"]})["data"]
    assert detail["attributes"]["internalBuildState"] == "MISSING_EXPORT_COMPLIANCE"
    assert apple.patch(build, usesNonExemptEncryption=False).status_code == 200
    words = "You cannot update when the value is already set."
    for value in (False, True):
        assert problem(apple.patch(build, usesNonExemptEncryption=value)) == (409, words)
    assert apple.again(detail)["internalBuildState"] == "IN_BETA_TESTING"


def groups(apple) -> dict[str, dict]:
    found = apple.get("/v1/betaGroups", **{"filter[app]": APP["id"]})["data"]
    return {one["attributes"]["name"]: one for one in found}


def add(apple, build, group):
    path = f"/v1/builds/{build['id']}/relationships/betaGroups"
    return apple("POST", path, json={"data": [{"type": "betaGroups", "id": group["id"]}]})


def test_a_build_reaches_testers_outside_by_beta_review(apple):
    known, build = groups(apple), apple.build(encryption=False)
    assert add(apple, build, known["Public beta"]).status_code == 204
    assert "access to all builds" in problem(add(apple, build, known["Team"]))[1]
    inside = apple.build(number="246", audience="INTERNAL_ONLY", encryption=False)
    assert "internal testing only" in problem(add(apple, inside, known["Public beta"]))[1]
    review = apple.post("betaAppReviewSubmissions", build=build)
    assert review.json()["data"]["attributes"]["betaReviewState"] == "WAITING_FOR_REVIEW"
    other = apple.build(number="247", encryption=False)
    second = apple.post("betaAppReviewSubmissions", build=other)
    assert (second.status_code, second.json()["errors"][0]["title"]) == (
        422,
        "Another build is in review",
    )
    apple.act("beta-review", state="APPROVED")
    (detail,) = apple.get("/v1/buildBetaDetails", **{"filter[build]": build["id"]})["data"]
    assert detail["attributes"]["externalBuildState"] == "IN_BETA_TESTING"
    third = apple.post("betaAppReviewSubmissions", build=other)
    assert third.json()["data"]["attributes"]["betaReviewState"] == "APPROVED"
    assert apple.post("buildBetaNotifications", build=build).status_code == 201


def test_a_phased_release_climbs_pauses_and_ends(sandbox, apple, phased):
    assert day_of(apple, phased) == ("ACTIVE", 1)
    sandbox.state.advance(2 * DAY)
    assert day_of(apple, phased) == ("ACTIVE", 3)
    same = apple.patch(phased, phasedReleaseState="ACTIVE")
    assert problem(same) == (409, "The phased release already has this value")
    assert apple.patch(phased, phasedReleaseState="PAUSED").status_code == 200
    sandbox.state.advance(5 * DAY)
    assert day_of(apple, phased) == ("PAUSED", 3)
    assert apple.again(phased)["totalPauseDuration"] == 5
    apple.patch(phased, phasedReleaseState="ACTIVE")
    apple.act("next-day")
    assert day_of(apple, phased) == ("ACTIVE", 4)
    assert apple.patch(phased, phasedReleaseState="COMPLETE").status_code == 200
    final = problem(apple.patch(phased, phasedReleaseState="PAUSED"))
    words = "You cannot change the state of a phased release that is in a final state"
    assert final == (409, words)
    assert apple.delete(phased).status_code == 409


@pytest.mark.parametrize(("state", "days"), [("ACTIVE", 7), ("PAUSED", 30)])
def test_apple_itself_ends_it(sandbox, apple, phased, state, days):
    if state == "PAUSED":
        apple.patch(phased, phasedReleaseState=state)
    sandbox.state.advance(days * DAY - 60)
    assert day_of(apple, phased)[0] == state
    sandbox.state.advance(120)
    assert day_of(apple, phased)[0] == "COMPLETE"


def test_a_first_version_has_no_phases_and_no_news(apple):
    apple.act("forget-history")
    version = apple.version("1.0")
    answer = apple.post("appStoreVersionPhasedReleases", {}, appStoreVersion=version)
    assert problem(answer) == (409, "Phased release is only available for updates.")
    path = f"/v1/appStoreVersions/{version['id']}/appStoreVersionLocalizations"
    (words,) = apple.get(path)["data"]
    assert apple.patch(words, whatsNew="First!").status_code == 409


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("whatsNew", "x" * 4001, "TOO_LONG"),
        ("whatsNew", "Faster 🚀", "INVALID_CHARACTERS"),
        ("keywords", "é" * 51, "TOO_LONG"),
        ("promotionalText", "x" * 171, "TOO_LONG"),
    ],
)
def test_texts_have_limits(apple, name, value, code):
    version = apple.version()
    path = f"/v1/appStoreVersions/{version['id']}/appStoreVersionLocalizations"
    (words,) = apple.get(path)["data"]
    answer = apple.patch(words, **{name: value})
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"].endswith(code)
    assert apple.again(words)[name] != value


def test_lists_come_in_pages(apple):
    for number in range(5):
        apple.act("upload", version="1.5.0", number=str(number))
    page = apple.get("/v1/builds", limit=2, sort="-version")
    found = [one["attributes"]["version"] for one in page["data"]]
    while link := page["links"].get("next"):
        assert parse_qs(urlsplit(link).query)["limit"] == ["2"]
        page = apple("GET", link).json()
        found += [one["attributes"]["version"] for one in page["data"]]
    assert found == ["4", "3", "2", "1", "0"]


def test_bodies_are_strict(apple):
    version = apple.version()
    for body, code in (
        ({"attributes": {"versionstring": "2"}}, "ENTITY_ERROR.ATTRIBUTE.UNKNOWN"),
        ({"attributes": {"releaseType": "SOON"}}, "ENTITY_ERROR.ATTRIBUTE.INVALID"),
        ({"type": "builds"}, "ENTITY_ERROR.TYPE.INVALID"),
        ({"id": "1"}, "ENTITY_ERROR.ID.INVALID"),
    ):
        data = {"type": "appStoreVersions", "id": version["id"], **body}
        path = f"/v1/appStoreVersions/{version['id']}"
        answer = apple("PATCH", path, json={"data": data})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, code)
    missing = apple.post("appStoreVersions", {"platform": "IOS"})
    assert [one["source"]["pointer"] for one in missing.json()["errors"]] == [
        "/data/attributes/versionString",
        "/data/relationships/app",
    ]
    gone = apple.post("reviewSubmissions", {"platform": "IOS"}, app={"type": "apps", "id": "9"})
    assert problem(gone) == (409, "apps with id 9 cannot be found")
    assert apple("DELETE", "/v1/apps/6450000001").status_code == 403


def test_a_developer_reads_and_does_not_submit(sandbox):
    developer = Apple(sandbox, accounts.APPLE_DEVELOPER_KEY_ID)
    assert developer.get("/v1/apps")["data"]
    answer = developer.post("reviewSubmissions", {"platform": "IOS"}, app=APP)
    assert answer.json()["errors"][0]["code"] == "FORBIDDEN_ERROR"
    developer.session.close()


def test_an_expired_agreement_stops_everything_and_an_hour_has_a_limit(sandbox, apple):
    apple.act("switch", name="agreement")
    assert apple("GET", "/v1/apps").status_code == 403
    apple.act("switch", name="agreement", missing=False)
    apple.act("settings", hourly_limit=55)
    answers = [apple("GET", "/v1/apps") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert answers[0].headers["X-Rate-Limit"] == "user-hour-lim:55;user-hour-rem:0;"
    sandbox.state.advance(3600)
    apple.act("settings", hourly_limit=3600)
    assert apple("GET", "/v1/apps").status_code == 200


def test_a_notification_has_an_id_and_a_signature(sandbox, apple, receiver):  # noqa: F811
    url = f"http://127.0.0.1:{receiver.server_port}/apple"
    facts = {"name": "delivr", "url": url, "secret": "s3cret", "enabled": True}
    events = ["APP_STORE_VERSION_APP_VERSION_STATE_UPDATED"]
    hook = apple.post("webhooks", {**facts, "eventTypes": events}, app=APP).json()["data"]
    assert "secret" not in hook["attributes"]
    version, _ = apple.submitted()
    headers, body = receiver.received.get(timeout=5)
    mac = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["x-apple-signature"] == f"hmacsha256={mac}"
    told = json.loads(body)["data"]
    assert told["type"] == "appStoreVersionAppVersionStateUpdated"
    assert told["relationships"]["instance"]["data"] == {
        "type": "appStoreVersions",
        "id": version["id"],
    }
    wait_for(sandbox, 2)
    path = f"/v1/webhooks/{hook['id']}/deliveries"
    first, *_ = apple.get(path)["data"]
    assert first["attributes"]["deliveryState"] == "SUCCEEDED"
    receiver.status = 500
    assert apple.post("webhookPings", webhook=hook).status_code == 201
    assert apple.post("webhookDeliveries", template=first).status_code == 201
    wait_for(sandbox, 4)
    states = [one["attributes"]["deliveryState"] for one in apple.get(path)["data"]]
    assert states == ["SUCCEEDED", "SUCCEEDED", "FAILED", "FAILED"]


def test_a_notification_that_failed_is_sent_again(sandbox, apple, receiver):  # noqa: F811
    url = f"http://127.0.0.1:{receiver.server_port}/apple"
    facts = {"name": "delivr", "url": url, "secret": "s3cret", "enabled": True, "eventTypes": []}
    hook = apple.post("webhooks", facts, app=APP).json()["data"]
    bodies = []
    receiver.status = 500
    apple.post("webhookPings", webhook=hook)
    for count, pause in enumerate((*PAUSES[:2], 3600), start=1):
        bodies.append(receiver.received.get(timeout=5)[1])
        wait_for(sandbox, count)
        receiver.status = 200 if count == 2 else 500
        sandbox.state.advance(pause)
    (delivery,) = apple.get(f"/v1/webhooks/{hook['id']}/deliveries")["data"]
    assert delivery["attributes"]["deliveryState"] == "SUCCEEDED"
    assert bodies == [bodies[0]] * 3
    assert receiver.received.empty()
