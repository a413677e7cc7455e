"""Each kind of fault as a client sees it, and whether the request took effect."""

from __future__ import annotations

import http.client
import socket
import time

import pytest
import requests

TRIGGER = "/job/ios-prod/buildWithParameters"


def counts(sandbox):
    """The numbers of trigger requests and of builds that were queued."""
    asked = sandbox.state.requests.count("jenkins", "POST", "/job/*/buildWithParameters")
    return asked, len(sandbox.state.ledger.of("build.queued"))


def test_a_status_has_no_effect_on_the_provider(sandbox, jenkins):
    sandbox.state.faults.add("status", provider="jenkins", status=503, retry_after=7, count=1)
    answer = jenkins.post(TRIGGER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert counts(sandbox) == (1, 0)
    assert jenkins.post(TRIGGER).status_code == 201
    assert counts(sandbox) == (2, 1)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/github/user", "message"),
        ("/jira/rest/api/3/myself", "errorMessages"),
        ("/appstore/v1/apps", "errors"),
        ("/google/token", "error"),
    ],
)
def test_each_provider_reports_an_error_in_its_own_format(sandbox, web, path, key):
    sandbox.state.faults.add("status", status=429)
    answer = web.get(path)
    assert answer.status_code == 429
    assert key in answer.json()
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("proxy", "header", "words"),
    [
        ("nginx", "Date", "<hr><center>nginx</center>"),
        ("cloudflare", "CF-RAY", "Cloudflare Ray ID"),
        ("squid", "X-Squid-Error", "policy of your company"),
    ],
)
@pytest.mark.parametrize("status", [403, 404, 502, 503])
def test_a_proxy_answers_with_a_page_of_its_own(
    sandbox, jenkins, web, proxy, header, words, status
):
    sandbox.state.faults.add("proxy", proxy=proxy, status=status, count=2)
    for answer in (jenkins.post(TRIGGER), web.get("/slack/api/auth.test")):
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert header in answer.headers
        assert not {"X-Jenkins", "x-oauth-scopes"} & set(answer.headers)
        assert words in answer.text
    assert counts(sandbox) == (1, 0)
    assert jenkins.post(TRIGGER).status_code == 201


def test_an_unknown_proxy_is_refused(sandbox):
    with pytest.raises(ValueError, match="unknown proxy"):
        sandbox.state.faults.add("proxy", proxy="envoy")


def test_a_login_that_ignores_tokens_redirects_everybody_to_its_page(sandbox, jenkins):
    sandbox.state.faults.add("sign_in", provider="jenkins")
    answer = jenkins.post(TRIGGER)
    where = answer.headers["Location"]
    assert (answer.status_code, "X-Jenkins" in answer.headers) == (302, True)
    assert where == f"/jenkins/securityRealm/commenceLogin?from={TRIGGER}"
    assert counts(sandbox) == (1, 0)
    followed = jenkins.get("/whoAmI/api/json", allow_redirects=True)
    assert (followed.status_code, followed.headers["Content-Type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert "<form" in followed.text


def test_a_failing_jenkins_still_identifies_itself(sandbox, jenkins):
    sandbox.state.faults.add("status", status=404)
    assert jenkins.get("/job/ios-prod/api/json").headers["X-Jenkins"].startswith("2.")


def test_drop_before_cuts_the_connection_without_an_effect(sandbox, jenkins):
    sandbox.state.faults.add("drop_before", method="POST", count=1)
    with pytest.raises(requests.ConnectionError):
        jenkins.post(TRIGGER)
    assert counts(sandbox) == (1, 0)
    assert sandbox.state.requests.select("jenkins")[-1]["status"] == 0


def test_drop_after_takes_effect_and_loses_the_answer(sandbox, jenkins):
    sandbox.state.faults.add("drop_after", method="POST", count=1)
    with pytest.raises(requests.ConnectionError):
        jenkins.post(TRIGGER, data={"DELIVR_BUILD_ID": "bld_1"})
    assert counts(sandbox) == (1, 1)
    entry = sandbox.state.requests.select("jenkins")[-1]
    assert (entry["status"], entry["fault"]) == (0, "drop_after")


def test_a_cut_connection_is_a_reset(sandbox):
    sandbox.state.faults.add("drop_before")
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(b"GET /github/user HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_timeout_has_no_effect_on_the_provider(sandbox, jenkins):
    sandbox.state.faults.add("timeout", method="POST", count=1)
    with pytest.raises(requests.ReadTimeout):
        jenkins.post(TRIGGER, timeout=0.3)
    assert counts(sandbox) == (1, 0)


def test_a_late_answer_still_queues_a_build(sandbox, jenkins):
    sandbox.state.faults.add("timeout_after", method="POST", count=1)
    with pytest.raises(requests.ReadTimeout):
        jenkins.post(TRIGGER, timeout=0.3)
    assert counts(sandbox) == (1, 1)


def test_a_timeout_ends_with_a_cut(sandbox, jenkins):
    sandbox.state.faults.add("timeout", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        jenkins.get("/api/json")


def test_others_are_served_while_one_hangs(sandbox, jenkins, web):
    sandbox.state.faults.add("timeout", provider="jenkins")
    hanging = http.client.HTTPConnection("127.0.0.1", sandbox.port)
    hanging.request("GET", "/jenkins/api/json")
    assert web.get("/jira/rest/api/3/serverInfo").status_code == 200
    hanging.close()


def test_a_login_page_comes_with_200(sandbox, jenkins):
    sandbox.state.faults.add("html_200")
    answer = jenkins.post(TRIGGER)
    assert answer.status_code == 200
    assert "<form" in answer.text
    assert counts(sandbox) == (1, 0)


def test_a_redirect_points_to_a_forbidden_address(sandbox, jenkins):
    sandbox.state.faults.add("redirect", location="http://127.0.0.1:9/steal")
    answer = jenkins.get("/api/json")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/steal")


def test_garbage_is_declared_as_json(sandbox, jenkins):
    sandbox.state.faults.add("garbage")
    answer = jenkins.get("/api/json")
    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_an_oversized_body_has_its_declared_length(sandbox, jenkins):
    sandbox.state.faults.add("oversized", size=2_000_003)
    answer = jenkins.get("/api/json")
    assert len(answer.content) == 2_000_003
    assert set(answer.json()) == {"padding"}


def test_a_dripping_body_is_slow_but_whole(sandbox, jenkins):
    whole = jenkins.get("/whoAmI/api/json").content
    sandbox.state.faults.add("drip", seconds=0.002)
    before = time.monotonic()
    assert jenkins.get("/whoAmI/api/json").content == whole
    assert time.monotonic() - before > 0.002 * len(whole)


def test_dripping_headers_never_end(sandbox):
    sandbox.state.faults.add("drip_headers", seconds=0.01)
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(b"GET /jenkins/api/json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        seen = b""
        while seen.count(b"X-Drip-") < 5:
            seen += connection.recv(100)
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n" not in seen


def test_an_endless_body_does_not_end(sandbox, jenkins):
    sandbox.state.faults.add("endless")
    answer = jenkins.get("/api/json", stream=True)
    assert len(answer.raw.read(6_000_000)) == 6_000_000
    answer.close()


def test_a_late_request_takes_effect_although_the_client_has_disconnected(sandbox, jenkins):
    sandbox.state.faults.add("late", method="POST", seconds=0.5, count=1)
    with pytest.raises(requests.ReadTimeout):
        jenkins.post(TRIGGER, timeout=0.1)
    assert counts(sandbox) == (0, 0)
    deadline = time.monotonic() + 10
    while counts(sandbox) != (1, 1):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_answer_to_a_trigger_may_lack_its_location(sandbox, jenkins):
    sandbox.state.faults.add("no_location", path=TRIGGER)
    answer = jenkins.post(TRIGGER)
    assert answer.status_code == 201
    assert "Location" not in answer.headers
    assert counts(sandbox) == (1, 1)


# When a fault applies


def test_a_fault_affects_only_matching_requests(sandbox, jenkins, web):
    aim = {"provider": "jenkins", "method": "post", "path": "/job/ios-*/buildWithParameters"}
    sandbox.state.faults.add("status", **aim)
    assert jenkins.post("/job/android-prod/buildWithParameters").status_code == 201
    assert jenkins.get(TRIGGER).status_code == 405
    assert web.get("/jira/rest/api/3/serverInfo").status_code == 200
    assert jenkins.post(TRIGGER).status_code == 500


def test_a_fault_has_a_count_and_may_skip_requests(sandbox, jenkins):
    fault = sandbox.state.faults.add("status", skip=1, count=2)
    statuses = [jenkins.get("/api/json").status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    assert (fault.struck, fault.count) == (2, 0)


def test_a_fault_applies_with_about_its_probability(sandbox):
    faults = sandbox.state.faults
    faults.add("status", probability=0.3)
    struck = sum(faults.strike("jenkins", "GET", "/") is not None for _ in range(1000))
    assert 230 < struck < 370


def test_faults_can_be_removed(sandbox, jenkins):
    faults = sandbox.state.faults
    first, _ = faults.add("status", status=500), faults.add("status", status=502)
    faults.remove(first.id)
    assert jenkins.get("/api/json").status_code == 502
    faults.clear()
    assert jenkins.get("/api/json").status_code == 200


def test_an_unknown_kind_is_refused(sandbox):
    with pytest.raises(ValueError, match="unknown fault kind"):
        sandbox.state.faults.add("earthquake")
    assert sandbox.state.faults.active() == []
