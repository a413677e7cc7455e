"""What comes to a Jenkins from people and the repository: answers, a shutdown, new branches."""

from __future__ import annotations

import pytest

from sandbox import accounts

TRIGGER = "/job/ios-prod/buildWithParameters?delay=0sec"
BUILD = "/job/ios-prod/245"
TREE = "actions[waitingForInput,executions[id,settled,input[message]]]"
ASKED = "Release it?"


@pytest.fixture
def asking(sandbox, jenkins):
    jenkins.post(TRIGGER)
    sandbox.state.jenkins.ask("ios-prod", 245, ASKED)


def input_action(jenkins):
    actions = jenkins.get(f"{BUILD}/api/json", params={"tree": TREE}).json()["actions"]
    return next((a for a in actions if str(a.get("_class")).endswith("InputAction")), None)


def test_a_question_is_in_the_build_and_in_the_rest_api(jenkins, asking):
    shown = input_action(jenkins)
    [execution] = shown["executions"]
    assert (shown["waitingForInput"], execution["input"]["message"]) == (True, ASKED)
    [pending] = jenkins.get(f"{BUILD}/wfapi/pendingInputActions").json()
    assert (pending["id"], pending["message"]) == (execution["id"], ASKED)
    assert pending["abortUrl"] == f"/jenkins{BUILD}/input/{pending['id']}/abort"
    assert jenkins.get(f"{BUILD}/input/").status_code == 200
    assert jenkins.get(f"{BUILD}/api/json").json()["building"] is True


def test_an_older_plugin_exports_nothing_of_it(sandbox, jenkins, asking):
    sandbox.state.jenkins.job("ios-prod").exports_input = False
    assert input_action(jenkins) is None
    assert jenkins.get(f"{BUILD}/wfapi/pendingInputActions").json()[0]["message"] == ASKED


@pytest.mark.parametrize(("verb", "result"), [("proceedEmpty", None), ("abort", "ABORTED")])
def test_an_answer_lets_the_build_go_on_or_ends_it(sandbox, jenkins, asking, verb, result):
    assert jenkins.get(f"{BUILD}/input/Question1/{verb}").status_code == 405
    assert jenkins.post(f"{BUILD}/input/Question1/{verb}").status_code == 200
    assert sandbox.state.jenkins.build("ios-prod", 245).result == result
    assert input_action(jenkins)["executions"] == []
    assert jenkins.get(f"{BUILD}/wfapi/pendingInputActions").json() == []
    assert jenkins.post(f"{BUILD}/input/Question1/{verb}").status_code == 404


def test_only_who_may_build_answers(sandbox, jenkins_as, asking):
    reader = jenkins_as(accounts.JENKINS_READER, accounts.JENKINS_READER_API_TOKEN)
    assert reader.post(f"{BUILD}/input/Question1/proceedEmpty").status_code == 403
    assert sandbox.state.jenkins.build("ios-prod", 245).question


def test_a_build_that_asks_does_not_end_by_itself(sandbox, jenkins, asking):
    sandbox.state.jenkins.job("ios-prod").auto_finish_seconds = 5
    sandbox.state.advance(60)
    assert sandbox.state.jenkins.build("ios-prod", 245).building


def test_a_jenkins_that_shuts_down_queues_and_starts_nothing(sandbox, web, jenkins):
    answer = web.post("/sandbox/api/jenkins/quiet-down", json={"reason": "Updates"})
    assert answer.json() == {"quietingDown": True}
    shown = jenkins.get("/api/json", params={"tree": "quietingDown,quietDownReason"}).json()
    assert (shown["quietingDown"], shown["quietDownReason"]) == (True, "Updates")
    assert jenkins.post(TRIGGER).status_code == 201
    sandbox.state.advance(60)
    item = jenkins.get("/queue/item/1001/api/json").json()
    assert (item["why"], item["buildable"]) == ("Jenkins is about to shut down", True)
    sandbox.state.restart_jenkins(starting=0, loading=0)
    assert sandbox.state.jenkins.build("ios-prod", 245)


def test_a_scan_makes_a_job_for_each_new_branch_and_builds_it(sandbox, web, jenkins):
    github = sandbox.state.github
    repository = github.find("dream11", "app")
    github.create_ref(repository, "refs/heads/fix/#7?", "a" * 40)
    found = web.post("/sandbox/api/jenkins/jobs/app/scan").json()["jobs"]
    assert "app/fix%2F%237%3F" in found
    path = "/job/app/job/fix%252F%25237%253F"
    job = jenkins.get(f"{path}/api/json").json()
    assert (job["displayName"], job["lastBuild"]["number"]) == ("fix/#7?", 1)
    causes = jenkins.get(f"{path}/1/api/json").json()["actions"][0]["causes"]
    assert causes[0]["_class"] == "jenkins.branch.BranchIndexingCause"
    assert web.post("/sandbox/api/jenkins/jobs/app/scan").json()["jobs"] == []
    assert web.post("/sandbox/api/jenkins/jobs/mobile/scan").status_code == 400


def test_the_pages_have_buttons_for_all_of_it(sandbox, web, jenkins):
    ci = sandbox.state.jenkins
    jenkins.post(TRIGGER)
    form = {"job": "ios-prod", "number": "245"}
    for act, waits in (("ask", True), ("proceed", False), ("ask", True), ("abort", False)):
        assert web.post("/sandbox/ask", data={**form, "act": act}).status_code == 303
        assert bool(ci.build("ios-prod", 245).question) is waits
    assert ci.build("ios-prod", 245).result == "ABORTED"
    assert web.post("/sandbox/ask", data={**form, "act": "ask"}).status_code == 400
    for act, is_quiet in (("quiet", True), ("resume", False)):
        assert web.post("/settings/jenkins", data={"act": act}).status_code == 303
        assert (ci.quiet_reason is not None) is is_quiet
    assert web.post("/settings/jenkins", data={"act": "scan"}).status_code == 303
    assert sandbox.state.ledger.of("folder.scanned", job="app")
    web.post("/settings/job", data={"job": "android-prod", "asks": "Go on?"})
    assert ci.job("android-prod").asks == "Go on?"


def test_types_of_parameters_are_told(jenkins):
    shown = jenkins.get("/job/ios-typed/api/json").json()["property"][0]["parameterDefinitions"]
    kinds = {one["name"]: one for one in shown}
    assert kinds["CLEAN"]["defaultParameterValue"]["value"] is True
    assert kinds["NOTES"]["type"] == "TextParameterDefinition"
    assert "value" not in kinds["SIGNING_KEY"]["defaultParameterValue"]
