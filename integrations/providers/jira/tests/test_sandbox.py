"""Against the stand-in, which keeps state: what is created is there, and found again."""

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.jira.provider import Jira
from integrations.providers.tests.sandbox import failed
from integrations.providers.tickets import Epic
from sandbox import accounts
from sandbox.providers.jira_site import GATEWAY_PREFIX

EPIC = Epic(summary="Release 1.5.0", description="Builds:\nhttps://delivr.example.com/releases/1")


class HastyJira(Jira):
    deadline = 0.6


@pytest.fixture
def state(sandbox):
    return sandbox.state


@pytest.fixture
def jira(sandbox):
    def make(kind=Jira, **changes):
        given = {
            "url": f"{sandbox.url}/jira",
            "email": accounts.JIRA_EMAIL,
            "api_token": accounts.JIRA_API_TOKEN,
            "project_key": "MOBILE",
        }
        return kind(**{**given, **changes})

    return make


def create(provider, correlation="eff_1"):
    return provider.create(EPIC, correlation=correlation)


@pytest.mark.parametrize("project", ["MOBILE", "CLASSIC", "INTL", "CAPS", "TEAMED", " mobile "])
def test_projects_of_every_kind_are_valid(jira, project):
    assert failed(jira(project_key=project).verify()) == {}


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({"api_token": "wrong"}, "credentials", "bad_credentials"),
        ({"email": "stranger@example.com"}, "credentials", "bad_credentials"),
        ({"project_key": "NOWHERE"}, "project", "not_found"),
        ({"project_key": "HIDDEN"}, "project", "not_found"),
        ({"project_key": "READONLY"}, "permission", "missing_permission"),
        ({"project_key": "FLAT"}, "issue_type", "no_epic_type"),
        ({"project_key": "PROGRAM"}, "issue_type", "choose_epic_type"),
        ({"project_key": "STRICT"}, "fields", "required_fields"),
        ({"api_token": accounts.JIRA_BLOCKED_TOKEN}, "credentials", "ip_not_allowed"),
    ],
)
def test_each_defect_of_a_connection_is_told(jira, changes, name, code):
    (check,) = failed(jira(**changes).verify()).values()
    assert (check.name, check.code, check.is_temporary) == (name, code, False)


def test_an_address_without_a_jira_is_told(sandbox, jira):
    (check,) = failed(jira(url=f"{sandbox.url}/nothing").verify()).values()
    assert (check.name, check.code) == ("address", "not_jira")


def test_projects_that_can_be_seen_are_offered(jira):
    offered = {option.value for option in jira().projects()}
    assert {"MOBILE", "CLASSIC"} <= offered
    assert "HIDDEN" not in offered


@pytest.mark.parametrize("project", ["MOBILE", "CLASSIC", "INTL"])
def test_an_epic_is_there_once_and_found_again(sandbox, state, jira, project):
    provider = jira(project_key=project)
    ticket = create(provider)
    (issue,) = state.jira.issues
    assert (issue.key, issue.summary, issue.labels) == (ticket.key, EPIC.summary, ["delivr-eff_1"])
    assert ticket.url == f"{sandbox.url}/jira/browse/{ticket.key}"
    state.advance(600)  # the search lags
    assert provider.find(EPIC, correlation="eff_1") == ticket
    assert provider.find(EPIC, correlation="eff_2") is None


def test_the_epic_type_is_chosen_by_its_name(state, jira):
    create(jira(project_key="PROGRAM", epic_type="Épopée"))
    assert [issue.issue_type for issue in state.jira.issues] == ["10062"]


def test_fields_that_the_project_requires_are_filled(state, jira):
    given = {"tier": "Silver", "Cost centre": "4711"}
    strict = jira(project_key="STRICT", fields=given)
    assert failed(strict.verify()) == {}
    create(strict)
    (issue,) = state.jira.issues
    assert issue.custom == {
        "customfield_10050": {"id": "10100"},
        "customfield_10051": {"id": "10101"},
        "customfield_10052": "4711",
    }


def test_the_gateway_as_the_address(sandbox, jira):
    gateway = f"{sandbox.url}{GATEWAY_PREFIX}"
    provider = jira(url=gateway, api_token=accounts.JIRA_SCOPED_TOKEN)
    checks = {check.name: check for check in provider.verify()}
    assert checks["site"].message == f"{sandbox.url}/jira"
    assert create(provider).url == f"{sandbox.url}/jira/browse/MOBILE-1"


def test_a_fresh_epic_may_not_be_found_yet(state, jira):
    state.jira.search_lag = 300.0
    create(jira())
    assert jira().find(EPIC, correlation="eff_1") is None


@pytest.mark.parametrize(("fault", "code"), [("drop_after", "reset"), ("timeout_after", "timeout")])
def test_an_epic_whose_answer_was_lost_is_found(state, jira, fault, code):
    state.faults.add(fault, provider="jira", method="POST", path="*/issue", count=1, seconds=2.0)
    with pytest.raises(ProviderError) as failure:
        create(jira(HastyJira))
    assert (failure.value.outcome, failure.value.code) == (Outcome.UNCERTAIN, code)
    assert len(state.jira.issues) == 1
    state.advance(600)
    assert jira().find(EPIC, correlation="eff_1").key == state.jira.issues[0].key


@pytest.mark.parametrize(
    ("fault", "settings", "outcome"),
    [
        ("status", {"status": 500}, Outcome.UNCERTAIN),
        ("status", {"status": 503, "retry_after": 1}, Outcome.UNCERTAIN),
        ("status", {"status": 429, "retry_after": 7}, Outcome.RATE_LIMITED),
        ("timeout", {"seconds": 2.0}, Outcome.UNCERTAIN),
        ("drop_before", {}, Outcome.UNCERTAIN),
        ("html_200", {}, Outcome.UNCERTAIN),
        ("garbage", {}, Outcome.UNCERTAIN),
        ("oversized", {}, Outcome.UNCERTAIN),
        ("redirect", {}, Outcome.REFUSED),
    ],
)
def test_each_fault_is_met_once_and_told_for_what_it_is(state, jira, fault, settings, outcome):
    state.faults.add(fault, provider="jira", method="POST", path="*/issue", **settings)
    with pytest.raises(ProviderError) as failure:
        create(jira(HastyJira))
    assert failure.value.outcome is outcome
    assert state.requests.count("jira", "POST", "*/issue") == 1
    assert state.jira.issues == []


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"api_token": "wrong"}, Outcome.CREDENTIALS),
        ({"project_key": "NOWHERE"}, Outcome.REFUSED),
        ({"project_key": "READONLY"}, Outcome.REFUSED),
    ],
)
def test_an_epic_that_may_not_be_made_is_not_there(state, jira, changes, outcome):
    with pytest.raises(ProviderError) as failure:
        create(jira(**changes))
    assert failure.value.outcome is outcome
    assert state.jira.issues == []
