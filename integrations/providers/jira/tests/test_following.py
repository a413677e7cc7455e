"""Links, comments, moves and versions, at the sandbox's Jira Cloud and its Data Center."""

from datetime import date

import pytest

from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.jira.provider import Jira
from integrations.providers.jira.tests.answers import failed
from integrations.providers.tickets import Comment, Epic, Link
from sandbox import accounts

LINK = Link(name="rel_1", url="http://d.example/releases/rel_1", title="Release 1.5.0")
COMMENT = Comment(text="All {builds} are *complete*.", url=LINK.url, label="Open it")
MINE = {"path": "*/issue/MOBILE-1/*", "provider": "jira"}


def jira_at(sandbox, kind="cloud", project="MOBILE", **changes):
    given = {"project_key": project, "site": ""}
    if kind == "cloud":
        login = {"email": accounts.JIRA_EMAIL, "api_token": accounts.JIRA_API_TOKEN}
        return Jira(**{**given, "url": f"{sandbox.url}/jira", **login, **changes})
    login = {"email": "", "api_token": accounts.JIRA_PERSONAL_TOKEN}
    return Jira(**{**given, "url": f"{sandbox.url}/dc/jira", **login, **changes})


@pytest.fixture(params=["cloud", "data_center"])
def jira(sandbox, request):
    return jira_at(sandbox, request.param)


@pytest.fixture
def epic(jira):
    made = jira.create(Epic(summary="Release 1.5.0", description="of {it}"), correlation="eff_1")
    return made.key


def test_both_deployments_are_verified_and_told_apart(sandbox, jira):
    checks = {check.name: check for check in jira.verify()}
    assert failed(checks.values()) == {}
    assert checks["deployment"].message in ("Cloud", "Data Center")
    assert len(jira.projects()) == 13
    assert [option.value for option in jira.epic_types()] == ["Epic"]


@pytest.mark.parametrize(("project", "epic"), [("CLASSIC", "Epic"), ("CAPS", "EPIC")])
def test_data_center_tells_an_epic_by_its_name(sandbox, project, epic):
    (option,) = jira_at(sandbox, "data_center", project).epic_types()
    assert option.value == epic


@pytest.mark.parametrize(
    ("kind", "changes", "name"),
    [
        ("cloud", {"email": "", "api_token": "x"}, "This is Jira Cloud 1001.0.0-SNAPSHOT."),
        ("data_center", {"email": "a@b.example"}, "This is Jira Data Center."),
    ],
)
def test_the_other_deployment_says_what_to_enter(sandbox, kind, changes, name):
    check = failed(jira_at(sandbox, kind, **changes).verify())["address"]
    assert (check.code, check.message) == ("wrong_deployment", name)


def test_a_refused_personal_token_is_called_so(sandbox):
    check = failed(jira_at(sandbox, "data_center", api_token="x").verify())["credentials"]
    assert (check.code, "personal access token" in check.message) == ("bad_credentials", True)


def test_an_epic_is_found_again_by_its_label(sandbox, jira, epic):
    sandbox.state.advance(5)
    assert jira.find(Epic(summary=""), correlation="eff_1").key == epic
    assert jira.find(Epic(summary=""), correlation="eff_2") is None


# --- Links, comments ------------------------------------------------------------------------------


def test_a_link_is_put_once_and_changed_in_place(sandbox, jira, epic):
    later = Link(**{**vars(LINK), "summary": "Ready", "is_resolved": True})
    assert not jira.has_link(epic, LINK)
    for link in (LINK, LINK, later):
        jira.put_link(epic, link)
    assert (jira.has_link(epic, later), jira.has_link(epic, LINK)) == (True, False)
    (issue,) = sandbox.state.jira.issues
    (there,) = issue.links.values()
    assert (there["title"], there["summary"]) == ("Release 1.5.0", "Ready")
    assert there["status"] == {"resolved": True}


def test_a_comment_is_found_by_its_correlation(sandbox, jira, epic):
    assert jira.find_comment(epic, correlation="eff_7") is None
    number = jira.comment(epic, COMMENT, correlation="eff_7")
    assert jira.find_comment(epic, correlation="eff_7") == number
    assert jira.find_comment(epic, correlation="eff_8") is None
    (issue,) = sandbox.state.jira.issues
    body = str(issue.comments[0]["body"])
    assert f"{LINK.url}#eff_7" in body
    is_wiki = isinstance(issue.comments[0]["body"], str)
    assert (r"All \{builds\} are \*complete\*." if is_wiki else "All {builds} are") in body


def test_without_permission_jiras_own_reason_is_told(sandbox):
    jira = jira_at(sandbox, project="BASIC")
    made = jira.create(Epic(summary="Release"), correlation="eff_1").key
    for call in (
        lambda: jira.put_link(made, LINK),
        lambda: jira.comment(made, COMMENT, correlation="eff_2"),
        lambda: jira.create_version("1.5.0", description=""),
    ):
        with pytest.raises(ProviderError) as refused:
            call()
        assert "permission" in refused.value.message
    check = failed(jira.verify())["following"]
    assert (check.level, "link epics" in check.message) == (Level.WARNING, True)


# --- Moves ----------------------------------------------------------------------------------------


def test_an_epic_is_moved_by_the_category_and_only_once(sandbox, jira, epic):
    assert [jira.finish_ticket(epic) for _ in range(2)] == ["Done", "Done"]
    assert [e["kind"] for e in sandbox.state.ledger.tail(9) if e["kind"] == "issue.moved"] == [
        "issue.moved"
    ]


@pytest.mark.parametrize(
    ("project", "wanted", "result"),
    [
        ("ENDINGS", "", "choose_status"),
        ("ENDINGS", "gone", "choose_status"),
        ("ENDINGS", "released", "Released"),
        ("OPEN", "", "no_transition"),
    ],
)
def test_which_status_counts_is_told_or_asked(sandbox, project, wanted, result):
    jira = jira_at(sandbox, project=project, done_status=wanted)
    made = jira.create(Epic(summary="Release"), correlation="eff_1").key
    if result == "Released":
        assert jira.finish_ticket(made) == result
        return
    with pytest.raises(ProviderError) as refused:
        jira.finish_ticket(made)
    assert (refused.value.code, refused.value.outcome) == (result, Outcome.REFUSED)
    assert {i.status for i in sandbox.state.jira.issues} == {"To Do"}


# --- Versions -------------------------------------------------------------------------------------


def test_a_version_is_created_once_filled_and_released(sandbox, jira):
    assert jira.find_version("1.5.0") is None
    other = jira.create_version("1.5.0-beta", description="")
    version = jira.create_version("1.5.0", description="by delivr")
    assert version.id != other.id
    assert jira.create_version("1.5.0", description="again").id == version.id
    assert version.url.endswith(f"/projects/MOBILE/versions/{version.id}")
    keys = ["MOBILE-101", "MOBILE-110", "MOBILE-121", "MOBILE-9", "WEB-12"]
    for _ in range(2):
        planned = jira.plan(version.id, keys)
        assert (planned.added, planned.elsewhere, planned.unknown) == (
            ["MOBILE-101", "MOBILE-110", "MOBILE-121"],
            ["WEB-12"],
            ["MOBILE-9"],
        )
    assert sum(e["kind"] == "issue.planned" for e in sandbox.state.ledger.tail(50)) == 3
    readiness = jira.readiness(version, most=1)
    assert (readiness.total, readiness.not_done) == (3, 2)
    assert [(t.key, t.status) for t in readiness.tickets] == [("MOBILE-121", "To Do")]
    for day in (1, 2):
        assert jira.release_version(version.id, on=date(2026, 11, day)).is_released
    assert sandbox.state.jira.version(version.id).release_date == "2026-11-01"


def test_tickets_keep_their_other_versions(sandbox, jira):
    for name in ("1.4.9", "1.5.0"):
        jira.plan(jira.create_version(name, description="").id, ["MOBILE-101"])
    assert len(sandbox.state.jira.issue("MOBILE-101").versions) == 2


def test_a_project_without_the_field_says_so(sandbox):
    jira = jira_at(sandbox, project="ENDINGS")
    made = jira.create(Epic(summary="Release"), correlation="eff_1").key
    version = jira.create_version("1.5.0", description="")
    with pytest.raises(ProviderError) as refused:
        jira.plan(version.id, [made])
    assert (refused.value.code, refused.value.outcome) == ("version_refused", Outcome.REFUSED)
    assert "fixVersions" in refused.value.message


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_lost_responses_lose_and_double_nothing(sandbox, jira, fault):
    version = jira.create_version("1.5.0", description="")
    sandbox.state.faults.add(fault, provider="jira", method="PUT", count=1)
    with pytest.raises(ProviderError) as lost:
        jira.plan(version.id, ["MOBILE-101", "MOBILE-102"])
    assert lost.value.outcome is Outcome.NOT_SENT
    assert jira.plan(version.id, ["MOBILE-101", "MOBILE-102"]).added == ["MOBILE-101", "MOBILE-102"]
    assert sum(e["kind"] == "issue.planned" for e in sandbox.state.ledger.tail(50)) == 2
