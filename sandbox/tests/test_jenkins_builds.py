"""Running, ending and stopping builds, and the listings of jobs."""

from __future__ import annotations

import pytest
import requests

BUILD = "/job/ios-prod/245"


@pytest.fixture
def running(sandbox, jenkins):
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec&VERSION=1.5.0&DELIVR_BUILD_ID=bld_1")
    return sandbox.state.jenkins


def test_a_running_build_has_no_result(running, jenkins):
    build = jenkins.get(f"{BUILD}/api/json").json()
    assert (build["building"], build["inProgress"], build["result"]) == (True, True, None)
    assert (build["number"], build["queueId"], build["duration"]) == (245, 1001, 0)


def test_a_successful_build_has_an_artifact(sandbox, running, jenkins):
    sandbox.state.advance(30)
    running.finish("ios-prod", 245)
    build = jenkins.get(f"{BUILD}/api/json").json()
    assert (build["building"], build["result"]) == (False, "SUCCESS")
    assert 30_000 <= build["duration"] < 60_000
    assert build["artifacts"][0]["relativePath"] == "ios-245.ipa"
    assert b"ios-prod #245" in jenkins.get(f"{BUILD}/artifact/ios-245.ipa").content


def test_a_failed_build_has_none(running, jenkins):
    running.finish("ios-prod", 245, "FAILURE")
    assert jenkins.get(f"{BUILD}/api/json").json()["artifacts"] == []
    assert jenkins.get(f"{BUILD}/artifact/ios-245.ipa").status_code == 404


def test_a_pipeline_may_show_a_result_while_it_builds(running, jenkins):
    running.set_result("ios-prod", 245, "FAILURE")
    build = jenkins.get(f"{BUILD}/api/json").json()
    assert (build["building"], build["result"]) == (True, "FAILURE")


def test_a_build_ends_by_itself_where_the_job_says_so(sandbox, running, jenkins):
    running.job("ios-prod").auto_finish_seconds = 20
    sandbox.state.advance(19)
    assert jenkins.get(f"{BUILD}/api/json").json()["building"]
    sandbox.state.advance(2)
    assert jenkins.get(f"{BUILD}/api/json").json()["result"] == "SUCCESS"


@pytest.mark.parametrize("verb", ["stop", "term", "kill"])
def test_stopping_aborts_and_redirects_back(running, jenkins, verb):
    answer = jenkins.post(f"{BUILD}/{verb}")
    assert (answer.status_code, answer.headers["Location"]) == (302, ".")
    assert jenkins.get(f"{BUILD}/api/json").json()["result"] == "ABORTED"


def test_stopping_an_ended_build_has_the_same_answer_and_no_effect(running, jenkins):
    running.finish("ios-prod", 245)
    answer = jenkins.post(f"{BUILD}/stop", headers={"Referer": "http://elsewhere/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://elsewhere/")
    assert jenkins.get(f"{BUILD}/api/json").json()["result"] == "SUCCESS"


def test_stopping_needs_a_post(running, jenkins):
    assert jenkins.get(f"{BUILD}/stop").status_code == 405


def test_a_deleted_build_is_gone(running, jenkins):
    running.finish("ios-prod", 245)
    running.delete_build("ios-prod", 245)
    assert jenkins.get(f"{BUILD}/api/json").status_code == 404


def test_the_console_ends_with_the_result(running, jenkins):
    assert "Finished" not in jenkins.get(f"{BUILD}/consoleText").text
    running.finish("ios-prod", 245, "UNSTABLE")
    assert jenkins.get(f"{BUILD}/consoleText").text.endswith("Finished: UNSTABLE\n")


@pytest.mark.parametrize(
    ("job", "number", "words"),
    [
        ("ios-prod", 245, "error: \x1b[39mcannot find 'ShippingQuote' in scope"),
        ("android-prod", 512, "* What went wrong:"),
    ],
)
def test_the_log_of_a_failed_build_says_why(running, jenkins, job, number, words):
    jenkins.post(f"/job/{job}/buildWithParameters?delay=0sec&VERSION=1&DELIVR_BUILD_ID=bld_2")
    running.finish(job, number, "FAILURE")
    assert words in jenkins.get(f"/job/{job}/{number}/logText/progressiveText").text
    page = jenkins.get(f"/job/{job}/{number}/console")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Finished: FAILURE" in page.text


def test_the_progressive_log_begins_at_the_requested_byte(running, jenkins):
    where = f"{BUILD}/logText/progressiveText"
    answer = jenkins.get(where)
    size = int(answer.headers["X-Text-Size"])
    assert (answer.headers["X-More-Data"], size) == ("true", len(answer.content))
    running.finish("ios-prod", 245, "FAILURE")
    rest = jenkins.get(f"{where}?start={size}")
    assert "X-More-Data" not in rest.headers
    assert int(rest.headers["X-Text-Size"]) == size + len(rest.content)
    beyond = jenkins.get(f"{where}?start={10 * size}")
    assert int(beyond.headers["X-Text-Size"]) == len(beyond.content)  # from the beginning
    assert jenkins.get(f"{where}?start=x").status_code == 500


def test_the_progressive_log_contains_jenkins_notes_and_the_plain_one_does_not(running, jenkins):
    assert "\x1b[8mha:" in jenkins.get(f"{BUILD}/logText/progressiveText").text
    assert "\x1b[8mha:" not in jenkins.get(f"{BUILD}/consoleText").text


def test_numbers_count_up_per_job(running, jenkins):
    for path in ("/job/ios-prod", "/job/android-prod"):
        jenkins.post(f"{path}/buildWithParameters?delay=0sec&VERSION=2")
    assert [b.number for b in running.builds_of("ios-prod")] == [246, 245]
    assert [b.number for b in running.builds_of("android-prod")] == [512]


def test_the_builds_list_holds_the_newest_hundred(running, jenkins):
    job = running.job("ios-prod")
    job.executors = 1000
    for number in range(101):
        running.enqueue(job, {"VERSION": str(number)}, user="delivr", delay=0)
    seen = jenkins.get("/job/ios-prod/api/json?tree=builds[number],allBuilds[number]").json()
    assert (len(seen["builds"]), len(seen["allBuilds"])) == (100, 102)
    assert seen["builds"][0]["number"] == 346
    three = jenkins.get("/job/ios-prod/api/json?tree=builds[number]{0,3}").json()["builds"]
    assert [build["number"] for build in three] == [346, 345, 344]


def test_a_job_shows_what_a_verification_needs(jenkins):
    tree = (
        "_class,fullName,buildable,inQueue,nextBuildNumber,"
        "property[parameterDefinitions[name,type,choices,description,defaultParameterValue[value]]]"
    )
    job = jenkins.get(f"/job/mobile/job/ios-beta/api/json?tree={tree}").json()
    assert (job["fullName"], job["buildable"], job["nextBuildNumber"]) == (
        "mobile/ios-beta",
        True,
        31,
    )
    definitions = {d["name"]: d for d in job["property"][0]["parameterDefinitions"]}
    assert set(definitions) == {"VERSION", "BRANCH", "DELIVR_BUILD_ID", "TRACK"}
    assert definitions["TRACK"]["choices"] == ["internal", "production"]
    assert definitions["BRANCH"]["defaultParameterValue"]["value"] == "main"


def test_folders_differ_from_jobs(jenkins):
    classes = {
        "/job/mobile": "com.cloudbees.hudson.plugins.folder.Folder",
        "/job/app": "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject",
        "/job/nightly": "hudson.model.FreeStyleProject",
        "/job/ios-prod": "org.jenkinsci.plugins.workflow.job.WorkflowJob",
    }
    for path, kind in classes.items():
        job = jenkins.get(f"{path}/api/json").json()
        assert job["_class"] == kind
        assert ("buildable" in job) is ("Folder" not in kind and "Multi" not in kind)


def test_a_disabled_job_says_so(jenkins):
    assert jenkins.get("/job/ios-disabled/api/json").json()["buildable"] is False


def test_the_tree_reaches_into_folders(jenkins):
    jobs = jenkins.get("/api/json?tree=jobs[name,jobs[name]]").json()["jobs"]
    below = {job["name"]: [j["name"] for j in job.get("jobs", [])] for job in jobs}
    assert below["mobile"] == ["ios-beta"]
    assert below["app"] == ["main", "release%2F1.5.0"]
    assert "ios-hidden" not in below


def test_without_a_tree_references_are_shown_in_brief(running, jenkins):
    build = jenkins.get("/job/ios-prod/api/json").json()["builds"][0]
    assert set(build) == {"_class", "number", "url"}
    deeper = jenkins.get("/job/ios-prod/api/json?depth=1").json()["builds"][0]
    assert deeper["queueId"] == 1001


def test_a_broken_tree_is_a_bad_request(jenkins):
    assert jenkins.get("/job/ios-prod/api/json?tree=builds[number").status_code == 400


def test_addresses_in_answers_can_be_followed(running, jenkins):
    url = jenkins.get(f"{BUILD}/api/json").json()["url"]
    assert requests.get(url, auth=jenkins.session.auth, timeout=5).status_code == 200


def test_builds_refer_to_the_previous_and_next_build(running, jenkins):
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec&VERSION=2")
    first, second = (jenkins.get(f"/job/ios-prod/{n}/api/json").json() for n in (245, 246))
    assert (first["previousBuild"], first["nextBuild"]["number"]) == (None, 246)
    assert (second["previousBuild"]["number"], second["nextBuild"]) == (245, None)
