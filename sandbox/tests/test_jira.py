"""The jira library, unchanged, and plain requests against the Jira Cloud stand-in."""

from __future__ import annotations

import pytest
import requests
from jira import JIRA, JIRAError

from sandbox import accounts

ISSUE = "/rest/api/3/issue"
EPIC = {"project": {"key": "MOBILE"}, "issuetype": {"id": "10011"}, "summary": "Release 1.5.0"}


@pytest.fixture
def library(sandbox):
    client = JIRA(
        server=f"{sandbox.url}/jira",
        basic_auth=(accounts.JIRA_EMAIL, accounts.JIRA_API_TOKEN),
        max_retries=0,
        timeout=5,
    )
    yield client
    client.close()


def create(jira, **fields):
    return jira.post(ISSUE, json={"fields": {**EPIC, **fields}})


# Authentication


def test_the_library_takes_it_for_jira_cloud(library):
    assert library._is_cloud
    assert library.myself()["emailAddress"] == accounts.JIRA_EMAIL
    assert library.project("MOBILE").name == "Mobile app"


def test_a_wrong_token_shows_only_at_myself(sandbox, web):
    """Public pages answer anonymous requests with 200 and an empty result."""
    stranger = requests.Session()
    stranger.auth = (accounts.JIRA_EMAIL, "wrong")
    base = f"{sandbox.url}/jira/rest/api/3"
    with stranger:
        me = stranger.get(f"{base}/myself", timeout=5)
        assert me.status_code == 401
        assert me.text == "Client must be authenticated to access this resource."
        assert me.headers["X-Seraph-LoginReason"] == "AUTHENTICATED_FAILED"
        assert stranger.get(f"{base}/serverInfo", timeout=5).status_code == 200
        search = stranger.get(f"{base}/project/search", timeout=5)
        assert (search.status_code, search.json()["values"]) == (200, [])
        assert stranger.get(f"{base}/project/MOBILE", timeout=5).status_code == 404
        created = stranger.post(f"{base}/issue", json={"fields": EPIC}, timeout=5)
        assert created.status_code == 401
    assert not sandbox.state.jira.issues


def test_permissions_are_per_project(jira):
    query = "/rest/api/3/mypermissions?permissions=BROWSE_PROJECTS,CREATE_ISSUES&projectKey="
    have = {
        key: jira.get(f"{query}{key}").json()["permissions"]["CREATE_ISSUES"]["havePermission"]
        for key in ("MOBILE", "READONLY")
    }
    assert have == {"MOBILE": True, "READONLY": False}
    assert jira.get("/rest/api/3/mypermissions?projectKey=MOBILE").status_code == 400
    assert jira.get(f"{query}NOTHING").status_code == 404


# Projects


@pytest.mark.parametrize(
    ("key", "style", "epic"),
    [
        ("MOBILE", "next-gen", "10011"),
        ("CLASSIC", "classic", "10000"),
        ("INTL", "next-gen", "10041"),
    ],
)
def test_the_epic_is_known_by_its_level(jira, key, style, epic):
    project = jira.get(f"/rest/api/3/project/{key}").json()
    assert project["style"] == style
    assert [t["id"] for t in project["issueTypes"] if t["hierarchyLevel"] == 1] == [epic]


@pytest.mark.parametrize("key", ["NOTHING", "HIDDEN"])
def test_missing_and_forbidden_projects_look_the_same(jira, key):
    answer = jira.get(f"/rest/api/3/project/{key}")
    assert answer.status_code == 404
    assert answer.json()["errorMessages"] == [f"No project could be found with key '{key}'."]


def test_projects_are_searched_in_pages(jira):
    page = jira.get("/rest/api/3/project/search?maxResults=2").json()
    assert ([p["key"] for p in page["values"]], page["isLast"]) == (["MOBILE", "CLASSIC"], False)
    rest = jira.get("/rest/api/3/project/search?startAt=2").json()
    assert ([p["key"] for p in rest["values"]], rest["isLast"]) == (
        [
            *("READONLY", "INTL", "FLAT", "PROGRAM", "CAPS", "TEAMED", "STRICT"),
            *("WEB", "BASIC", "ENDINGS", "OPEN"),
        ],
        True,
    )


def test_createmeta_lists_the_fields_of_an_epic(jira):
    meta = "/rest/api/3/issue/createmeta"
    types = jira.get(f"{meta}/CLASSIC/issuetypes").json()
    assert [t["name"] for t in types["issueTypes"]] == ["Epic", "Story", "Sub-task"]
    fields = jira.get(f"{meta}/CLASSIC/issuetypes/10000").json()["fields"]
    (epic_name,) = [f for f in fields if f["schema"].get("custom", "").endswith("gh-epic-label")]
    assert (epic_name["fieldId"], epic_name["required"]) == ("customfield_10011", True)
    mobile = jira.get(f"{meta}/MOBILE/issuetypes/10011").json()["fields"]
    assert "customfield_10011" not in {f["fieldId"] for f in mobile}
    assert jira.get(f"{meta}/READONLY/issuetypes").status_code == 404


# Issues


def test_an_epic_is_created(sandbox, jira):
    answer = create(jira, labels=["delivr-eff_1"])
    assert answer.status_code == 201
    assert answer.json()["key"] == "MOBILE-1"
    assert answer.json()["self"] == f"{sandbox.url}/jira/rest/api/3/issue/10100"
    (entry,) = sandbox.state.ledger.of("issue.created")
    assert (entry["key"], entry["labels"]) == ("MOBILE-1", ["delivr-eff_1"])
    assert "Release 1.5.0" in jira.get("/browse/MOBILE-1").text


def test_the_library_creates_an_epic(sandbox, library):
    issue = library.create_issue(fields={**EPIC, "labels": ["delivr-eff_2"]}, prefetch=False)
    assert issue.permalink() == f"{sandbox.url}/jira/browse/MOBILE-1"
    assert library.issue("MOBILE-1").fields.labels == ["delivr-eff_2"]


def test_version_3_takes_documents_and_version_2_text(jira):
    document = {"type": "doc", "version": 1, "content": []}
    assert create(jira, description=document).status_code == 201
    assert "Atlassian Document" in create(jira, description="text").json()["errors"]["description"]
    fields = {**EPIC, "description": "text"}
    assert jira.post("/rest/api/2/issue", json={"fields": fields}).status_code == 201
    fields["description"] = document
    answer = jira.post("/rest/api/2/issue", json={"fields": fields})
    assert answer.json()["errors"] == {"description": "Operation value must be a string"}


def test_all_errors_are_reported_at_once(sandbox, jira):
    answer = create(
        jira, summary="", labels=["two words"], priority={"id": "1"}, issuetype={"id": "9"}
    )
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"summary", "labels", "priority", "issuetype"}
    assert not sandbox.state.jira.issues


@pytest.mark.parametrize("summary", ["two\nlines", "x" * 256, None])
def test_invalid_summaries_are_refused(jira, summary):
    assert set(create(jira, summary=summary).json()["errors"]) == {"summary"}


def test_a_company_managed_epic_needs_its_name(jira):
    classic = {"project": {"key": "CLASSIC"}, "issuetype": {"id": "10000"}}
    answer = create(jira, **classic)
    assert answer.json()["errors"] == {"customfield_10011": "Epic Name is required."}
    assert create(jira, **classic, customfield_10011="Release 1.5.0").status_code == 201


def test_a_team_managed_epic_has_no_such_field(jira):
    errors = create(jira, customfield_10011="Release 1.5.0").json()["errors"]
    assert errors["customfield_10011"].startswith("Field 'customfield_10011' cannot be set.")


def test_missing_required_fields_are_reported_with_a_null_message(sandbox, jira):
    teamed = {"project": {"key": "TEAMED"}, "issuetype": {"id": "10000"}}
    answer = create(jira, **teamed).json()
    assert answer == {"errorMessages": [None], "errors": {"customfield_10050": "Team is required."}}
    assert create(jira, **teamed, customfield_10050="Mobile").status_code == 400
    assert create(jira, **teamed, customfield_10050={"id": "10100"}).status_code == 201
    (issue,) = sandbox.state.jira.issues
    assert issue.custom == {"customfield_10050": {"id": "10100"}}


def test_the_gateway_has_the_api_and_no_pages(sandbox, web):
    web.session.auth = (accounts.JIRA_EMAIL, accounts.JIRA_SCOPED_TOKEN)
    cloud_id = web.get("/jira/_edge/tenant_info").json()["cloudId"]
    gateway = f"/atlassian/ex/jira/{cloud_id}"
    assert web.get(f"{gateway}/rest/api/3/myself").status_code == 200
    assert web.get("/jira/rest/api/3/myself").status_code == 401
    info = web.get(f"{gateway}/rest/api/3/serverInfo").json()
    assert info["baseUrl"] == f"{sandbox.url}/jira"
    web.post(f"{gateway}{ISSUE}", json={"fields": EPIC})
    assert web.get(f"{gateway}/browse/MOBILE-1").status_code == 404
    assert web.get("/jira/browse/MOBILE-1").status_code == 200


def test_an_ip_address_outside_the_allowlist_is_refused_with_a_reason(web):
    web.session.auth = (accounts.JIRA_EMAIL, accounts.JIRA_BLOCKED_TOKEN)
    answer = web.get("/jira/rest/api/3/myself")
    assert answer.status_code == 403
    assert "not on the allowed list" in answer.json()["errorMessages"][0]


def test_without_permission_no_issue_is_created(sandbox, jira):
    answer = create(jira, project={"key": "READONLY"}, issuetype={"id": "10000"})
    assert answer.status_code == 403
    assert create(jira, project={"key": "HIDDEN"}).json()["errors"]["project"]
    assert not sandbox.state.jira.issues


def test_unknown_keys_and_content_types_are_refused(jira):
    assert jira.post(ISSUE, json={"fields": EPIC, "feilds": {}}).status_code == 400
    assert jira.post(ISSUE, json={"fields": [1]}).status_code == 400
    assert jira.post(ISSUE, data="{}").status_code == 415
    assert (
        jira.post(ISSUE, data="{", headers={"Content-Type": "application/json"}).status_code == 400
    )


def test_properties_are_kept(jira):
    property = {"key": "delivr.release", "value": {"id": "rel_1"}}
    jira.post(ISSUE, json={"fields": EPIC, "properties": [property]})
    assert jira.get(f"{ISSUE}/MOBILE-1/properties/delivr.release").json() == property
    assert jira.get(f"{ISSUE}/MOBILE-1/properties/other").status_code == 404
    assert jira("PUT", f"{ISSUE}/MOBILE-1/properties/other", json=[1]).status_code == 201
    keys = jira.get(f"{ISSUE}/MOBILE-1/properties").json()["keys"]
    assert [key["key"] for key in keys] == ["delivr.release", "other"]


def test_an_issue_can_be_changed(sandbox, jira):
    create(jira)
    changed = jira("PUT", f"{ISSUE}/MOBILE-1", json={"fields": {"summary": "Release 1.5.1"}})
    assert changed.status_code == 204
    assert sandbox.state.jira.issues[0].summary == "Release 1.5.1"
    assert jira("PUT", f"{ISSUE}/MOBILE-1", json={"fields": {"flavour": 1}}).status_code == 400


def test_an_unknown_issue_is_not_found(library):
    with pytest.raises(JIRAError) as caught:
        library.issue("MOBILE-99")
    assert caught.value.status_code == 404


# Search


def test_the_old_search_is_gone(jira):
    for answer in (jira.get("/rest/api/3/search?jql=x"), jira.post("/rest/api/2/search", json={})):
        assert answer.status_code == 410
        assert "/rest/api/3/search/jql" in answer.json()["errorMessages"][0]


def test_a_new_issue_is_found_only_later(sandbox, jira):
    create(jira, labels=["delivr-eff_1"])
    query = {"jql": 'labels = "delivr-eff_1"', "fields": ["key"]}
    assert jira.post("/rest/api/3/search/jql", json=query).json() == {"issues": [], "isLast": True}
    known = jira.post("/rest/api/3/search/jql", json={**query, "reconcileIssues": [10100]}).json()
    assert [i["key"] for i in known["issues"]] == ["MOBILE-1"]
    sandbox.state.advance(3)
    found = jira.post("/rest/api/3/search/jql", json=query).json()
    assert [i["key"] for i in found["issues"]] == ["MOBILE-1"]


def test_the_lag_can_be_set(sandbox, jira):
    sandbox.state.jira.search_lag = 0
    create(jira, labels=["a"])
    assert jira.get("/rest/api/3/search/jql", params={"jql": "labels = a"}).json()["issues"]


def test_only_ids_are_shown_by_default(sandbox, jira):
    create(jira, labels=["epic"])
    sandbox.state.advance(3)
    found = jira.get("/rest/api/3/search/jql", params={"jql": "labels = epic"}).json()
    assert found["issues"] == [{"id": "10100"}]
    query = {"jql": "labels = epic", "fields": "summary,labels"}
    (issue,) = jira.get("/rest/api/3/search/jql", params=query).json()["issues"]
    assert issue["fields"] == {"summary": "Release 1.5.0", "labels": ["epic"]}


def test_the_library_finds_by_project_and_label(sandbox, jira, library):
    for label in ("delivr-1", "delivr-2"):
        create(jira, labels=[label, "release"])
    sandbox.state.advance(3)
    jql = 'project = MOBILE AND labels = "delivr-2" ORDER BY created DESC'
    assert [i.key for i in library.enhanced_search_issues(jql)] == ["MOBILE-2"]
    both = library.enhanced_search_issues('labels in ("delivr-1", "delivr-2")', maxResults=False)
    assert [i.key for i in both] == ["MOBILE-2", "MOBILE-1"]


def test_results_come_in_pages(sandbox, jira):
    for _ in range(3):
        create(jira, labels=["epic"])
    sandbox.state.advance(3)
    query = {"jql": "labels = epic", "maxResults": 2}
    first = jira.get("/rest/api/3/search/jql", params=query).json()
    assert (len(first["issues"]), first["isLast"]) == (2, False)
    query["nextPageToken"] = first["nextPageToken"]
    second = jira.get("/rest/api/3/search/jql", params=query).json()
    assert (len(second["issues"]), second["isLast"]) == (1, True)
    assert "nextPageToken" not in second


@pytest.mark.parametrize(
    ("jql", "words"),
    [
        ("", "Unbounded"),
        ("ORDER BY created", "Unbounded"),
        ("project = NOTHING", "does not exist for the field 'project'"),
        ("flavour = sweet", "Field 'flavour' does not exist"),
        ("labels ~ x", "Error in the JQL Query"),
    ],
)
def test_invalid_queries_are_refused(jira, jql, words):
    answer = jira.get("/rest/api/3/search/jql", params={"jql": jql})
    assert answer.status_code == 400
    assert words in answer.json()["errorMessages"][0]


# What follows a release


def test_comments_are_documents_or_text_by_version(jira):
    create(jira)
    paths = {version: f"/rest/api/{version}/issue/MOBILE-1/comment" for version in ("2", "3")}
    document = {"type": "doc", "version": 1, "content": []}
    assert jira.post(paths["3"], json={"body": "plain"}).status_code == 400
    assert jira.post(paths["2"], json={"body": document}).status_code == 400
    assert jira.post(paths["3"], json={"body": document}).status_code == 201
    assert jira.post(paths["2"], json={"body": "plain"}).status_code == 201
    newest = jira.get(f"{paths['2']}?orderBy=-created&maxResults=1").json()
    assert (newest["total"], newest["comments"][0]["body"]) == (2, "plain")


def test_a_version_is_of_one_project_and_its_name_is_taken_once(sandbox, jira):
    body = {"name": "1.5.0", "projectId": 10001}
    assert jira.post("/rest/api/3/version", json={**body, "projectId": "10001"}).status_code == 400
    version = jira.post("/rest/api/3/version", json=body).json()
    again = jira.post("/rest/api/3/version", json=body)
    words = "A version with this name already exists in this project."
    assert (again.status_code, again.json()["errors"]["name"]) == (400, words)
    change = {"update": {"fixVersions": [{"add": {"id": version["id"]}}]}}
    assert jira.put("/rest/api/3/issue/WEB-12", json=change).status_code == 400
    assert jira.put("/rest/api/3/issue/MOBILE-121", json=change).status_code == 204
    path = f"/rest/api/3/version/{version['id']}"
    assert jira.get(f"{path}/unresolvedIssueCount").json()["issuesUnresolvedCount"] == 1
    assert jira.put(path, json={"released": True, "releaseDate": "soon"}).status_code == 400
    assert jira.put(path, json={"released": True, "releaseDate": "2026-11-29"}).json()["released"]
    assert sandbox.state.ledger.of("version.released", id=version["id"])


def test_bulkfetch_leaves_out_what_is_not_there(jira):
    body = {"issueIdsOrKeys": ["MOBILE-121", "MOBILE-99999"], "fields": ["status"]}
    (issue,) = jira.post("/rest/api/3/issue/bulkfetch", json=body).json()["issues"]
    assert issue["fields"]["status"]["statusCategory"]["key"] == "new"
    many = {"issueIdsOrKeys": ["MOBILE-1"] * 101}
    assert jira.post("/rest/api/3/issue/bulkfetch", json=many).status_code == 400


def test_data_center_has_no_version_3_and_knows_personal_tokens_alone(sandbox):
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {accounts.JIRA_PERSONAL_TOKEN}"
        base = f"{sandbox.url}/dc/jira/rest/api"
        assert session.get(f"{base}/2/myself", timeout=5).json()["name"] == "delivr"
        for path in ("3/myself", "2/search/jql", "2/issue/bulkfetch", "2/project/search"):
            assert session.get(f"{base}/{path}", timeout=5).status_code == 404
        wrong = {"jql": "key in (MOBILE-121, MOBILE-99999)"}
        assert session.post(f"{base}/2/search", json=wrong, timeout=5).status_code == 400
        right = {**wrong, "validateQuery": False}
        assert session.post(f"{base}/2/search", json=right, timeout=5).json()["total"] == 1
