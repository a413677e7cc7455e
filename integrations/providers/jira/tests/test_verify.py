"""What a verification of a connection finds, one trouble after the other."""

import pytest

from integrations.providers.base import Level
from integrations.providers.jira.tests.answers import API, FIELDS, TYPES, failed, make, payload
from integrations.providers.tests.wire import LOGIN_PAGE, Reply

pytestmark = pytest.mark.usefixtures("jira_is_here")


def test_a_good_connection_passes_every_check_in_order(jira):
    checks = jira.verify()
    assert [check.name for check in checks] == [
        "address",
        "credentials",
        "deployment",
        "project",
        "permission",
        "following",
        "issue_type",
        "fields",
        "correlation",
    ]
    assert failed(checks) == {}


def test_verifying_changes_nothing(wire, jira):
    jira.verify()
    assert {seen.method for seen in wire.seen} == {"GET"}


def test_a_refused_token_says_where_to_get_a_new_one(wire, jira):
    refused = b"Client must be authenticated to access this resource."
    wire.routes[f"{API}/myself"] = Reply(refused, 401, {"Content-Type": "text/plain"})
    check = failed(jira.verify())["credentials"]
    assert check.code == "bad_credentials"
    assert "id.atlassian.com" in check.hint
    assert wire.count(f"{API}/project/MOBILE", "GET") == 0


def test_an_anonymous_view_is_no_sign_in(wire, jira):
    wire.routes[f"{API}/myself"] = Reply({"displayName": "Anonymous"})
    assert failed(jira.verify())["credentials"].code == "bad_credentials"


def test_a_success_that_reports_a_failed_sign_in_is_a_failure(wire, jira):
    wire.routes[f"{API}/myself"] = Reply(
        payload("myself__200"), headers={"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    )
    assert failed(jira.verify())["credentials"].code == "bad_credentials"


def test_a_captcha_has_its_own_code(wire, jira):
    denied = {"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=https://x"}
    wire.routes[f"{API}/myself"] = Reply({}, 403, denied)
    assert failed(jira.verify())["credentials"].code == "captcha"


@pytest.mark.parametrize(
    ("reply", "code", "passing"),
    [
        (LOGIN_PAGE, "garbage", True),
        (Reply(status=404), "not_jira", False),
        (Reply(status=502), "server_error", True),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:9"}), "redirect", False),
    ],
)
def test_a_server_that_is_not_jira_is_a_failure_of_the_address(wire, jira, reply, code, passing):
    wire.routes[f"{API}/myself"] = reply
    check = failed(jira.verify())["address"]
    assert (check.code, check.is_temporary) == (code, passing)


def test_an_address_that_cannot_be_read_is_a_failure_of_the_address(wire):
    for url in ("http://[broken", "ftp://jira.example.com", "http://user:pw@127.0.0.1/"):
        assert failed(make(wire, url=url).verify())["address"].code in (
            "bad_url",
            "address_refused",
        )


def test_an_unknown_project_is_an_error(wire, jira):
    wire.routes[f"{API}/project/MOBILE"] = Reply(payload("project__404"), status=404)
    assert failed(jira.verify())["project"].code == "not_found"


def test_an_archived_project_is_an_error(wire, jira):
    wire.routes[f"{API}/project/MOBILE"] = Reply({**payload("project__200"), "archived": True})
    assert failed(jira.verify())["project"].code == "archived"


def test_a_missing_permission_is_named(wire, jira):
    wire.routes[f"{API}/mypermissions"] = Reply(payload("mypermissions__no_create"))
    check = failed(jira.verify())["permission"]
    assert "CREATE_ISSUES" in check.hint
    assert "BROWSE_PROJECTS" not in check.hint
    asked = wire.last(f"{API}/mypermissions").query
    assert asked["projectKey"] == "MOBILE"
    assert asked["permissions"].startswith("BROWSE_PROJECTS,CREATE_ISSUES,LINK_ISSUES")


def test_a_project_without_epics_is_an_error(wire, jira):
    wire.routes[TYPES] = Reply(payload("createmeta_issuetypes__no_epic"))
    assert failed(jira.verify())["issue_type"].code == "no_epic_type"


def test_required_fields_that_we_cannot_fill_are_named(wire, jira):
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__required_custom"))
    check = failed(jira.verify())["fields"]
    assert (check.code, check.level) == ("required_fields", Level.ERROR)
    assert "Cost centre" in check.message
    assert "Reporter" not in check.message


def test_a_required_epic_name_is_no_obstacle(wire, jira):
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__company_managed"))
    assert failed(jira.verify()) == {}


def test_a_screen_without_labels_is_a_warning_that_says_what_is_lost(wire, jira):
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__no_labels"))
    check = failed(jira.verify())["correlation"]
    assert check.level is Level.WARNING
    assert "cannot check whether the epic was created" in check.message


def test_fields_are_read_from_all_pages(wire, jira):
    everything = payload("createmeta_fields__required_custom")["fields"]

    def page(seen):
        start = int(seen.query["startAt"])
        return Reply({"fields": everything[start : start + 4], "total": len(everything)})

    wire.routes[FIELDS] = page
    assert "Cost centre" in failed(jira.verify())["fields"].message
