"""Authentication, permissions and crumbs."""

from __future__ import annotations

import pytest

from sandbox import accounts

TRIGGER = "/job/ios-prod/buildWithParameters"
PERSON = (accounts.JENKINS_USER, accounts.JENKINS_PASSWORD)
READER = (accounts.JENKINS_READER, accounts.JENKINS_READER_API_TOKEN)
GUEST = (accounts.JENKINS_GUEST, accounts.JENKINS_GUEST_API_TOKEN)


def test_token_needs_no_crumb(jenkins):
    assert jenkins.post(TRIGGER).status_code == 201


def test_every_answer_names_the_version(jenkins, jenkins_as):
    for answer in (jenkins.get("/api/json"), jenkins.get("/nowhere"), jenkins_as().get("/")):
        assert answer.headers["X-Jenkins"].startswith("2.")


def test_wrong_token_is_refused_even_where_none_is_needed(jenkins_as):
    answer = jenkins_as("delivr", "wrong").get("/whoAmI/api/json")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Jenkins"'
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Invalid password/token for user: delivr" in answer.text


def test_a_broken_basic_header_is_refused(jenkins_as):
    answer = jenkins_as().get("/whoAmI/api/json", headers={"Authorization": "Basic ???"})
    assert answer.status_code == 401


def test_an_anonymous_visitor_is_called_authenticated(jenkins_as):
    """`authenticated` alone proves nothing."""
    answer = jenkins_as().get("/whoAmI/api/json")
    assert answer.status_code == 200
    me = answer.json()
    assert (me["name"], me["anonymous"], me["authenticated"]) == ("anonymous", True, True)


def test_who_am_i_names_the_user(jenkins):
    me = jenkins.get("/whoAmI/api/json").json()
    assert (me["name"], me["anonymous"]) == ("delivr", False)


def test_an_anonymous_visitor_may_see_nothing(jenkins_as):
    answer = jenkins_as().get("/job/ios-prod/api/json")
    assert answer.status_code == 403
    assert answer.headers["X-You-Are-Authenticated-As"] == "anonymous"
    assert answer.headers["X-Required-Permission"] == "hudson.model.Hudson.Read"


def test_missing_build_permission_is_named(sandbox, jenkins_as):
    answer = jenkins_as(*READER).post(TRIGGER)
    assert answer.status_code == 403
    assert answer.headers["X-You-Are-Authenticated-As"] == "reader"
    assert answer.headers["X-Required-Permission"] == "hudson.model.Item.Build"
    assert not sandbox.state.ledger.of("build.queued")


def test_a_reader_sees_jobs_but_does_not_stop_them(sandbox, jenkins, jenkins_as):
    jenkins.post(f"{TRIGGER}?delay=0sec")
    reader = jenkins_as(*READER)
    assert reader.get("/job/ios-prod/api/json").status_code == 200
    stop = reader.post("/job/ios-prod/245/stop")
    assert stop.status_code == 403
    assert stop.headers["X-Required-Permission"] == "hudson.model.Item.Cancel"
    assert sandbox.state.jenkins.build("ios-prod", 245).building


@pytest.mark.parametrize("path", ["/job/ios-prod/api/json", "/job/nothing/api/json"])
def test_without_item_read_a_job_does_not_exist(jenkins_as, path):
    assert jenkins_as(*GUEST).get(path).status_code == 404


def test_without_item_read_the_list_is_empty(jenkins_as):
    assert jenkins_as(*GUEST).get("/api/json?tree=jobs[name]").json()["jobs"] == []


def test_a_hidden_job_does_not_exist(jenkins):
    assert jenkins.get("/job/ios-hidden/api/json").status_code == 404
    assert jenkins.post("/job/ios-hidden/buildWithParameters").status_code == 404


def test_password_needs_a_crumb(sandbox, jenkins_as):
    answer = jenkins_as(*PERSON).post(TRIGGER)
    assert answer.status_code == 403
    assert "No valid crumb was included in the request" in answer.text
    assert not sandbox.state.ledger.of("build.queued")


def test_password_with_crumb_and_its_session_builds(jenkins_as):
    person = jenkins_as(*PERSON)
    crumb = person.get("/crumbIssuer/api/json").json()
    assert crumb["crumbRequestField"] == "Jenkins-Crumb"
    assert person.post(TRIGGER, headers={"Jenkins-Crumb": crumb["crumb"]}).status_code == 201


def test_a_crumb_is_bound_to_its_session(jenkins_as):
    crumb = jenkins_as(*PERSON).get("/crumbIssuer/api/json").json()["crumb"]
    other = jenkins_as(*PERSON)
    other.get("/crumbIssuer/api/json")
    assert other.post(TRIGGER, headers={"Jenkins-Crumb": crumb}).status_code == 403


def test_in_a_session_of_the_same_user_a_token_does_not_exempt_from_the_crumb(jenkins_as):
    """With a signed-in cookie Jenkins ignores the token, and so requires a crumb."""
    person = jenkins_as(*PERSON)
    person.get("/whoAmI/api/json")
    person.session.auth = (accounts.JENKINS_USER, accounts.JENKINS_API_TOKEN)
    assert person.post(TRIGGER).status_code == 403
    person.session.cookies.clear()
    assert person.post(TRIGGER).status_code == 201


def test_an_anonymous_visitor_cannot_post_without_a_crumb(jenkins_as):
    assert "No valid crumb" in jenkins_as().post(TRIGGER).text
