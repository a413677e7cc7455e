"""What happens to a real Jenkins: recreated jobs, backups, restarts, retries, many files."""

from __future__ import annotations

import pytest

API = "/sandbox/api/jenkins"
IOS = f"{API}/jobs/ios-prod"
BUILD = "/job/ios-prod/245"
PARAMETERS = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "DELIVR_BUILD_ID": "bld_1"}


@pytest.fixture
def ci(sandbox, jenkins):
    """A Jenkins with #245 of ios-prod running."""
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec", data=PARAMETERS)
    return sandbox.state.jenkins


def numbers(jenkins):
    builds = jenkins.get("/job/ios-prod/api/json?tree=builds[number,queueId]").json()["builds"]
    return [(build["number"], build["queueId"]) for build in builds]


# A recreated job


def test_a_recreated_job_counts_from_one(ci, web, jenkins):
    assert web.post(f"{IOS}/make-again").json()["nextNumber"] == 1
    assert jenkins.get("/queue/item/1001/api/json").status_code == 404
    assert jenkins.get(f"{BUILD}/api/json").status_code == 404
    assert jenkins.get("/job/ios-prod/api/json").json()["builds"] == []
    assert web.post(f"{IOS}/builds", json={}).status_code == 201
    assert numbers(jenkins) == [(1, 1002)]
    assert ci.running("android-prod") == []


def test_later_builds_get_the_old_numbers(ci, web, jenkins):
    web.post(f"{IOS}/make-again")
    web("PATCH", IOS, json={"nextNumber": 245})
    web.post(f"{IOS}/builds", json={"parameters": {"VERSION": "9.9.9"}})
    build = jenkins.get(f"{BUILD}/api/json").json()
    assert (build["number"], build["queueId"]) == (245, 1002)
    assert build["actions"][0]["causes"][0]["userName"] == "Priya Nair"
    assert build["actions"][1]["parameters"][0]["value"] == "9.9.9"


def test_an_unknown_job_cannot_be_recreated(web):
    assert web.post(f"{API}/jobs/gone/make-again").status_code == 404
    assert web.post(f"{API}/jobs/gone/builds").status_code == 404


# A Jenkins restored from a backup


def test_after_a_restore_builds_are_lost_and_their_numbers_reused(ci, web, jenkins):
    web.post(f"{API}/backup")
    ci.finish("ios-prod", 245)
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec&DELIVR_BUILD_ID=bld_2")
    assert numbers(jenkins) == [(246, 1002), (245, 1001)]
    assert web.post(f"{API}/restore").status_code == 200
    assert numbers(jenkins) == [(245, 1001)]
    assert jenkins.get(f"{BUILD}/api/json").json()["building"]
    assert jenkins.get("/job/ios-prod/246/api/json").status_code == 404
    web.post(f"{IOS}/builds", json={"user": "somebody"})
    assert numbers(jenkins) == [(246, 1002), (245, 1001)]
    [by_whom, *_] = jenkins.get("/job/ios-prod/246/api/json").json()["actions"]
    assert by_whom["causes"][0]["userId"] == "somebody"


def test_a_backup_can_be_restored_more_than_once(ci, web, jenkins):
    web.post(f"{API}/backup")
    for _n in range(2):
        ci.finish("ios-prod", 245)
        web.post(f"{API}/restore")
        assert jenkins.get(f"{BUILD}/api/json").json()["building"]


def test_without_a_backup_nothing_is_restored(ci, web, jenkins):
    assert web.post(f"{API}/restore").status_code == 409
    assert numbers(jenkins) == [(245, 1001)]


# A Jenkins that restarts


def test_a_restart_shows_the_start_page_and_then_no_jobs_for_a_moment(ci, web, jenkins):
    web.post(f"{API}/restart", json={"starting": 2, "loading": 1})
    for path in ("/whoAmI/api/json", f"{BUILD}/api/json"):
        answer = jenkins.get(path)
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "X-Jenkins" in answer.headers
        assert "Please wait while Jenkins is getting ready to work" in answer.text
    assert jenkins.get("/whoAmI/api/json").status_code == 200
    answer = jenkins.get(f"{BUILD}/api/json")
    assert (answer.status_code, "X-Jenkins" in answer.headers) == (404, True)
    assert jenkins.get(f"{BUILD}/api/json").json()["building"]
    assert jenkins.get("/queue/item/1001/api/json").status_code == 404  # forgotten


# Retries made in Jenkins

TREE = (
    "number,queueId,result,actions[parameters[name,value],"
    "causes[_class,shortDescription,userId,userName,upstreamBuild],lastBuiltRevision[SHA1]]"
)
PRIYA = {
    "_class": "hudson.model.Cause$UserIdCause",
    "shortDescription": "Started by user Priya Nair",
    "userId": "priya",
    "userName": "Priya Nair",
}
DELIVR = {**PRIYA, "shortDescription": "Started by user delivr"}
DELIVR |= {"userId": "delivr", "userName": "delivr"}
CAUSES = {
    "rebuild": [
        PRIYA,
        {
            "_class": "com.sonyericsson.rebuild.RebuildCause",
            "shortDescription": "Rebuilds build #245",
            "upstreamBuild": 245,
        },
    ],
    "replay": [
        PRIYA,
        {
            "_class": "org.jenkinsci.plugins.workflow.cps.replay.ReplayCause",
            "shortDescription": "Replayed #245",
        },
    ],
    "naginator": [
        DELIVR,
        {
            "_class": "com.chikli.hudson.plugin.naginator.NaginatorCause",
            "shortDescription": "Started by Naginator after #245 failure",
        },
    ],
}


@pytest.mark.parametrize("way", CAUSES)
def test_a_retry_repeats_the_parameters_and_says_what_started_it(sandbox, ci, web, jenkins, way):
    ci.finish("ios-prod", 245, "FAILURE")
    made = web.post(f"{IOS}/builds/245/retry", json={"by": way, "result": "SUCCESS"})
    assert (made.status_code, made.json()["number"]) == (201, 246)
    build = jenkins.get(f"/job/ios-prod/246/api/json?tree={TREE}").json()
    assert (build["queueId"], build["result"]) == (1002, "SUCCESS")
    actions = build["actions"]
    values = [p for action in actions for p in action.get("parameters", [])]
    assert {p["name"]: p["value"] for p in values} == PARAMETERS
    assert [c for action in actions for c in action.get("causes", [])] == CAUSES[way]
    head = sandbox.state.github.refs["dream11/app"]["refs/heads/release/1.5.0"]
    assert actions[-1] == {
        "_class": "hudson.plugins.git.util.BuildData",
        "lastBuiltRevision": {"SHA1": head},
    }
    assert jenkins.get(f"{BUILD}/api/json").json()["result"] == "FAILURE"


def test_a_retry_runs_until_it_is_ended(ci, web, jenkins):
    ci.finish("ios-prod", 245, "FAILURE")
    web.post(f"{IOS}/builds/245/retry", json={"user": "somebody"})
    assert jenkins.get("/job/ios-prod/246/api/json").json()["building"]


@pytest.mark.parametrize(
    ("number", "body", "status"),
    [(245, {"by": "magic"}, 400), (245, {"result": "PERFECT"}, 400), (9, {}, 404)],
)
def test_an_invalid_retry_is_refused(ci, web, number, body, status):
    assert web.post(f"{IOS}/builds/{number}/retry", json=body).status_code == status


def test_a_build_of_an_unknown_branch_has_no_commit(ci, web, jenkins):
    web.post(f"{IOS}/builds", json={"parameters": {"BRANCH": "does/not/exist"}})
    actions = jenkins.get("/job/ios-prod/246/api/json").json()["actions"]
    assert "hudson.plugins.git.util.BuildData" not in {action["_class"] for action in actions}


# Many files


def test_logs_are_archived_before_the_app(ci, web, jenkins):
    web("PATCH", IOS, json={"logs": 30})
    ci.finish("ios-prod", 245)
    files = jenkins.get(f"{BUILD}/api/json").json()["artifacts"]
    assert len(files) == 31
    assert files[0] == {
        "displayPath": "build/logs/step-001.log",
        "fileName": "step-001.log",
        "relativePath": "build/logs/step-001.log",
    }
    assert files[-1]["fileName"] == "ios-245.ipa"
    assert jenkins.get(f"{BUILD}/artifact/build/logs/step-030.log").status_code == 200
    assert jenkins.get(f"{BUILD}/artifact/build/logs/step-031.log").status_code == 404


def test_a_failed_build_has_only_its_logs(ci, web, jenkins):
    web("PATCH", IOS, json={"logs": 2})
    ci.finish("ios-prod", 245, "FAILURE")
    files = jenkins.get(f"{BUILD}/api/json?tree=artifacts[fileName]").json()["artifacts"]
    assert [file["fileName"] for file in files] == ["step-001.log", "step-002.log"]
