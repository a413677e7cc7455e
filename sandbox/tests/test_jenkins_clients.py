"""Two third-party clients, unchanged, follow a build from trigger to result."""

from __future__ import annotations

import warnings

import pytest

from sandbox import accounts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs, at import
    import api4jenkins
    import jenkins as python_jenkins

VALUES = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "DELIVR_BUILD_ID": "bld_1"}
SECRETS = [accounts.JENKINS_API_TOKEN, accounts.JENKINS_PASSWORD]


@pytest.fixture(params=SECRETS, ids=["token", "password"])
def secret(request):
    return request.param


def test_python_jenkins_follows_a_build_to_its_result(sandbox, secret):
    client = python_jenkins.Jenkins(f"{sandbox.url}/jenkins", "delivr", secret)
    assert client.get_whoami()["id"] == "delivr"
    assert client.get_version().startswith("2.")
    assert client.job_exists("mobile/ios-beta")
    queue_id = client.build_job("ios-prod", VALUES)
    assert "why" in client.get_queue_item(queue_id)
    sandbox.state.advance(5)
    client.get_queue_item(queue_id)
    number = client.get_queue_item(queue_id)["executable"]["number"]
    assert client.get_build_info("ios-prod", number)["building"]
    sandbox.state.jenkins.finish("ios-prod", number)
    assert client.get_build_info("ios-prod", number)["result"] == "SUCCESS"
    assert "Finished: SUCCESS" in client.get_build_console_output("ios-prod", number)
    assert [b["number"] for b in client.get_job_info("ios-prod")["builds"]] == [number]


def test_python_jenkins_cancels_and_stops(sandbox):
    client = python_jenkins.Jenkins(f"{sandbox.url}/jenkins", "delivr", accounts.JENKINS_API_TOKEN)
    waiting = client.build_job("ios-prod", VALUES)
    assert [item["id"] for item in client.get_queue_info()] == [waiting]
    client.cancel_queue(waiting)
    assert client.get_queue_item(waiting)["cancelled"]
    client.build_job("ios-prod", {**VALUES, "delay": "0sec"})
    client.stop_build("ios-prod", 245)
    assert client.get_build_info("ios-prod", 245)["result"] == "ABORTED"


def test_python_jenkins_understands_the_refusals(sandbox):
    client = python_jenkins.Jenkins(f"{sandbox.url}/jenkins", "delivr", "wrong")
    with pytest.raises(python_jenkins.JenkinsException, match="401"):
        client.get_whoami()
    client = python_jenkins.Jenkins(f"{sandbox.url}/jenkins", "delivr", accounts.JENKINS_API_TOKEN)
    with pytest.raises(python_jenkins.JenkinsException, match="does not exist"):
        client.get_build_info("ios-prod", 1)


def test_api4jenkins_follows_a_build_to_its_result(sandbox, secret):
    client = api4jenkins.Jenkins(f"{sandbox.url}/jenkins/", auth=("delivr", secret))
    with client.http_client:
        job = client.get_job("mobile/ios-beta")
        assert job.buildable
        item = job.build(**VALUES, delay="0sec")
        build = item.get_build()
        assert build.building
        parameters = {p.name: p.value for p in build.get_parameters()}
        assert parameters == {**VALUES, "TRACK": "internal"}
        sandbox.state.jenkins.finish("mobile/ios-beta", 31, "UNSTABLE")
        assert build.result == "UNSTABLE"
        assert [b.number for b in job] == [31]


def test_api4jenkins_stops_a_build(sandbox):
    auth = ("delivr", accounts.JENKINS_API_TOKEN)
    client = api4jenkins.Jenkins(f"{sandbox.url}/jenkins/", auth=auth)
    with client.http_client:
        client.get_job("nightly").build(delay="0sec")
        client.get_job("nightly").get_last_build().stop()
        assert client.get_job("nightly").get(12).result == "ABORTED"
        with pytest.raises(api4jenkins.exceptions.ItemNotFoundError):
            client.build_job("nothing")
