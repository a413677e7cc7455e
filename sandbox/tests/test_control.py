"""The control API, and from where it may be used."""

from __future__ import annotations

import pytest

API = "/sandbox/api"


@pytest.fixture
def build(jenkins):
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec&VERSION=1.5.0")


def test_the_ledger_and_the_requests_can_be_read(web, build):
    ledger = web.get(f"{API}/ledger").json()
    assert [e["kind"] for e in ledger["ledger"]] == ["build.queued", "build.started"]
    assert web.get(f"{API}/ledger?kind=build.started").json()["count"] == 1
    query = f"{API}/requests?provider=jenkins&method=POST&path=/job/*/buildWithParameters"
    found = web.get(query).json()
    assert found["count"] == 1
    assert found["requests"][0]["status"] == 201
    assert web.get(f"{API}/requests?provider=slack").json()["count"] == 0


def test_no_secret_is_in_the_request_log(sandbox, web, jenkins):
    jenkins.post("/job/ios-prod/buildWithParameters?VERSION=canary")
    web.get("/slack/api/auth.test?token=canary")
    text = web.get(f"{API}/requests").text
    assert "canary" not in text
    assert jenkins.session.auth[1] not in text


def test_a_person_ends_a_build(sandbox, web, build):
    path = f"{API}/jenkins/jobs/ios-prod/builds/245/finish"
    assert web.post(path, json={"result": "PERFECT"}).status_code == 400
    assert web.post(path, json={"result": "UNSTABLE"}).json()["result"] == "UNSTABLE"
    assert web.post(path.replace("245", "9"), json={}).status_code == 404
    assert sandbox.state.jenkins.build("ios-prod", 245).result == "UNSTABLE"


def test_jobs_can_be_set_and_hide_their_secret(sandbox, web):
    webhook = {"url": "http://127.0.0.1:9/x", "secret": "whsec_canary", "style": "signed"}
    body = {"autoFinishSeconds": 3, "executors": 2, "webhook": webhook}
    web("PATCH", f"{API}/jenkins/jobs/mobile/ios-beta", json=body)
    shown = web.get(f"{API}/jenkins/jobs/mobile/ios-beta")
    assert shown.json()["webhook"] == {"url": webhook["url"], "style": "signed", "hasSecret": True}
    assert "canary" not in shown.text
    job = sandbox.state.jenkins.job("mobile/ios-beta")
    assert (job.auto_finish_seconds, job.executors, job.webhook.secret) == (3, 2, "whsec_canary")


@pytest.mark.parametrize(
    "body", [{"colour": 1}, {"webhook": {"style": "loud"}}, {"webhook": {"a": 1}}]
)
def test_unknown_settings_are_refused(web, body):
    assert web.post(f"{API}/jenkins/jobs/ios-prod", json=body).status_code == 400


def test_a_job_can_be_copied(sandbox, web, jenkins):
    path = f"{API}/jenkins/jobs/ios-beta"
    assert web("PUT", path, json={"copyOf": "nobody"}).status_code == 404
    assert web("PUT", path, json={"copyOf": "ios-prod"}).status_code == 201
    assert web("PUT", path, json={"copyOf": "ios-prod"}).status_code == 409
    assert jenkins.post("/job/ios-beta/buildWithParameters?VERSION=1.5.0").status_code == 201
    assert sandbox.state.ledger.of("build.queued")[0]["job"] == "ios-beta"


def test_unknown_jobs_are_not_found(web):
    assert web.get(f"{API}/jenkins/jobs/nothing").status_code == 404


def test_all_jobs_are_listed_with_their_builds(web, build):
    jobs = {job["name"]: job for job in web.get(f"{API}/jenkins/jobs").json()["jobs"]}
    assert jobs["ios-prod"]["builds"][0]["number"] == 245
    assert "mobile" not in jobs


def test_the_clock_can_be_moved_forward(sandbox, web, jenkins):
    jenkins.post("/job/ios-prod/buildWithParameters")
    assert web.post(f"{API}/clock", json={"advance": 5}).json()["offset"] == 5
    assert sandbox.state.jenkins.build("ios-prod", 245)


def test_faults_are_added_and_removed(web):
    made = web.post(f"{API}/faults", json={"kind": "status", "provider": "jira", "status": 502})
    assert made.status_code == 201
    assert web.get("/jira/rest/api/3/serverInfo").status_code == 502
    (fault,) = web.get(f"{API}/faults").json()["faults"]
    assert fault["struck"] == 1
    web("DELETE", f"{API}/faults/{fault['id']}")
    assert web.get("/jira/rest/api/3/serverInfo").status_code == 200
    web.post(f"{API}/faults", json={"kind": "drop_before"})
    web("DELETE", f"{API}/faults")
    assert web.get("/jira/rest/api/3/serverInfo").status_code == 200


@pytest.mark.parametrize("body", [{"kind": "earthquake"}, {"kind": "status", "when": "now"}, {}])
def test_unknown_faults_are_refused(web, body):
    assert web.post(f"{API}/faults", json=body).status_code == 400


def test_builds_can_be_deleted_and_left_queue_items_forgotten(sandbox, web, jenkins, build):
    web.post(f"{API}/jenkins/forget-queue")
    assert jenkins.get("/queue/item/1001/api/json").status_code == 404
    web("DELETE", f"{API}/jenkins/jobs/ios-prod/builds/245")
    assert jenkins.get("/job/ios-prod/245/api/json").status_code == 404


def test_messages_and_issues_can_be_read(web, jira):
    fields = {"project": {"key": "MOBILE"}, "issuetype": {"id": "10011"}, "summary": "x"}
    made = jira.post("/rest/api/3/issue", json={"fields": fields}).json()
    assert web.get(f"{API}/jira/issues").json()["issues"][0]["key"] == "MOBILE-1"
    assert web.get(f"{API}/slack/messages?channel=C123").json()["count"] == 0
    web.post(f"{API}/jira/settings", json={"searchLagSeconds": 0})
    found = jira.get("/rest/api/3/search/jql", params={"jql": "project = MOBILE"}).json()
    assert made["id"] in {issue["id"] for issue in found["issues"]}


def test_the_accounts_contain_the_sandboxs_own_url(sandbox, web):
    values = web.get(f"{API}/accounts").json()
    assert values["tickets"]["jiraUrl"] == f"{sandbox.url}/jira"
    assert values["settings"]["GITHUB_API_URL"] == f"{sandbox.url}/github"


def test_everything_can_be_reset(sandbox, web, build):
    web.post(f"{API}/reset")
    assert len(sandbox.state.ledger) == 0


# Access


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
@pytest.mark.parametrize("path", [f"{API}/reset", "/sandbox/reset", "/settings/faults/clear"])
def test_other_sites_may_not_write(sandbox, web, build, headers, path):
    sandbox.state.faults.add("status", provider="slack")
    assert web.post(path, headers=headers).status_code == 403
    assert len(sandbox.state.ledger) == 2
    assert len(sandbox.state.faults.active()) == 1


@pytest.mark.parametrize("path", [f"{API}/accounts", "/credentials", "/"])
def test_a_rebound_name_may_not_read(web, path):
    assert web.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_the_sandboxs_own_page_may_write(sandbox, web, build):
    headers = {"Origin": sandbox.url, "Sec-Fetch-Site": "same-origin"}
    assert web.post("/sandbox/reset", headers=headers).status_code == 303
    assert len(sandbox.state.ledger) == 0
