"""Triggering a build: each of Jenkins' status codes, and its effect."""

from __future__ import annotations

import json

import pytest

TRIGGER = "/job/ios-prod/buildWithParameters"
VALUES = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "DELIVR_BUILD_ID": "bld_1"}


def queued(sandbox):
    return sandbox.state.ledger.of("build.queued")


def test_a_trigger_answers_with_a_queue_item_and_no_build(sandbox, jenkins):
    answer = jenkins.post(TRIGGER, data=VALUES)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{sandbox.url}/jenkins/queue/item/1001/"
    assert answer.text == ""
    assert [entry["parameters"] for entry in queued(sandbox)] == [VALUES]
    assert not sandbox.state.ledger.of("build.started")


def test_parameters_may_be_in_the_query(sandbox, jenkins):
    jenkins.post(f"{TRIGGER}?VERSION=2.0", data={"BRANCH": "b"})
    assert queued(sandbox)[0]["parameters"] == {
        "VERSION": "2.0",
        "BRANCH": "b",
        "DELIVR_BUILD_ID": "",
    }


def test_undeclared_parameters_are_dropped_silently(sandbox, jenkins):
    assert jenkins.post(TRIGGER, data={**VALUES, "SECRET_DOOR": "x"}).status_code == 201
    assert "SECRET_DOOR" not in queued(sandbox)[0]["parameters"]


def test_missing_parameters_take_their_defaults_silently(sandbox, jenkins):
    jenkins.post(TRIGGER, data={"VERSION": "1.5.0"})
    assert queued(sandbox)[0]["parameters"]["BRANCH"] == "main"


def test_a_json_body_is_ignored(sandbox, jenkins):
    assert jenkins.post(TRIGGER, json=VALUES).status_code == 201
    assert queued(sandbox)[0]["parameters"]["VERSION"] == ""


def test_an_equal_item_in_the_queue_is_merged(sandbox, jenkins):
    first = jenkins.post(TRIGGER, data=VALUES)
    second = jenkins.post(TRIGGER, data=VALUES)
    assert (first.status_code, second.status_code) == (201, 303)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(queued(sandbox)) == 1


def test_the_merged_item_can_be_followed(jenkins):
    jenkins.post(TRIGGER, data=VALUES)
    followed = jenkins.post(TRIGGER, data=VALUES, allow_redirects=True)
    assert followed.status_code == 200


def test_another_value_makes_another_item(sandbox, jenkins):
    jenkins.post(TRIGGER, data=VALUES)
    other = jenkins.post(TRIGGER, data={**VALUES, "DELIVR_BUILD_ID": "bld_2"})
    assert other.status_code == 201
    assert len(queued(sandbox)) == 2


def test_once_started_an_equal_trigger_builds_again(sandbox, jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec", data=VALUES)
    assert jenkins.post(f"{TRIGGER}?delay=0sec", data=VALUES).status_code == 201
    assert len(sandbox.state.ledger.of("build.started")) == 2


def test_a_decision_handler_refuses_with_a_redirect(sandbox, jenkins):
    sandbox.state.jenkins.job("ios-prod").refuses = True
    answer = jenkins.post(TRIGGER, data=VALUES)
    assert (answer.status_code, answer.headers["Location"]) == (302, ".")
    assert not queued(sandbox)


def test_get_does_not_build(sandbox, jenkins):
    answer = jenkins.get(TRIGGER)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert not queued(sandbox)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/job/ios-disabled/buildWithParameters", 409),
        ("/job/nightly/buildWithParameters", 400),
        ("/job/ios-fresh/buildWithParameters", 400),
        ("/job/nothing/buildWithParameters", 404),
        ("/job/mobile/buildWithParameters", 404),
        ("/job/ios-prod/build", 400),
        ("/job/app/job/release%2F1.5.0/buildWithParameters", 404),
    ],
)
def test_a_job_that_cannot_be_built_answers_with_html(sandbox, jenkins, path, status):
    answer = jenkins.post(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert not queued(sandbox)


def test_an_illegal_choice_is_an_internal_error(sandbox, jenkins):
    answer = jenkins.post("/job/mobile/job/ios-beta/buildWithParameters", data={"TRACK": "moon"})
    assert answer.status_code == 500
    assert "Logging ID" in answer.text
    assert "TRACK" not in answer.text
    assert not queued(sandbox)


def test_a_parameter_given_twice_is_an_internal_error(sandbox, jenkins):
    answer = jenkins.post(f"{TRIGGER}?VERSION=1", data={"VERSION": "2"})
    assert answer.status_code == 500
    assert not queued(sandbox)


def test_a_job_without_parameters_builds(sandbox, jenkins):
    assert jenkins.post("/job/nightly/build").status_code == 201
    again = jenkins.post("/job/nightly/build")
    assert again.status_code == 201
    assert again.headers["Location"].endswith("/1001/")
    assert len(queued(sandbox)) == 1


def test_the_form_of_the_page_builds(sandbox, jenkins):
    form = {"parameter": [{"name": "VERSION", "value": "1.5.0"}]}
    answer = jenkins.post("/job/ios-prod/build", data={"json": json.dumps(form)})
    assert answer.status_code == 201
    assert queued(sandbox)[0]["parameters"] == {"VERSION": "1.5.0"}


def test_a_form_without_json_is_refused(jenkins):
    answer = jenkins.post("/job/ios-prod/build", data={"VERSION": "1.5.0"})
    assert answer.status_code == 400
    assert "Nothing is submitted" in answer.text


@pytest.mark.parametrize("folder", ["mobile", "app"])
def test_building_a_folder_only_scans_it(sandbox, jenkins, folder):
    sandbox.state.jenkins.job("app").builds_found = False
    assert jenkins.post(f"/job/{folder}/build").status_code == 302
    assert not queued(sandbox)
    assert sandbox.state.ledger.of("folder.scanned", job=folder)


def test_a_branch_with_a_slash_is_escaped_twice(sandbox, jenkins):
    assert jenkins.post("/job/app/job/release%252F1.5.0/buildWithParameters").status_code == 201
    assert queued(sandbox)[0]["job"] == "app/release%2F1.5.0"


def test_a_fresh_pipeline_learns_its_parameters_by_running(sandbox, jenkins):
    query = "/job/ios-fresh/api/json?tree=property[parameterDefinitions[name]]"
    assert jenkins.get(query).json()["property"] == []
    jenkins.post("/job/ios-fresh/build?delay=0sec")
    names = [p["name"] for p in jenkins.get(query).json()["property"][0]["parameterDefinitions"]]
    assert names == ["VERSION", "BRANCH", "DELIVR_BUILD_ID"]


def test_location_may_have_a_url_that_only_jenkins_believes_in(sandbox, jenkins):
    sandbox.state.jenkins.location_base = "http://jenkins.internal:8080/jenkins"
    answer = jenkins.post(TRIGGER, data=VALUES)
    assert answer.headers["Location"] == "http://jenkins.internal:8080/jenkins/queue/item/1001/"


def test_a_chunked_body_is_read_whole(sandbox, jenkins):
    pieces = iter([b"VERSION=1.5.0&", b"BRANCH=release"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert jenkins.post(TRIGGER, data=pieces, headers=headers).status_code == 201
    assert queued(sandbox)[0]["parameters"]["BRANCH"] == "release"


@pytest.mark.parametrize("text", ["{", "[]", '{"parameter": ["VERSION"]}', '{"parameter": [{}]}'])
def test_a_broken_form_is_a_bad_request(jenkins, text):
    assert jenkins.post("/job/ios-prod/build", data={"json": text}).status_code == 400
