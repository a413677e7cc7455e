"""Epics are created and found, projects listed; scoped tokens; no answer gives the token away."""

import base64
import logging

import pytest

from integrations.providers.base import Option, Outcome, ProviderError
from integrations.providers.jira.addresses import Cloud
from integrations.providers.jira.provider import Jira
from integrations.providers.jira.tests.answers import (
    API,
    EMAIL,
    EPIC,
    FIELDS,
    TOKEN,
    TYPES,
    HastyJira,
    create,
    failed,
    make,
    payload,
)
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, everything_in
from integrations.providers.tickets import Epic, Ticket

pytestmark = pytest.mark.usefixtures("jira_is_here")


# --- create --------------------------------------------------------------------------------------


def test_an_epic_is_created_once_and_its_page_is_on_the_site(wire, jira):
    assert create(jira) == Ticket(key="MOBILE-24", url=f"{wire.url}/site/browse/MOBILE-24")
    assert wire.count(f"{API}/issue") == 1
    sent = wire.last(f"{API}/issue")
    login = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
    assert sent.headers["authorization"] == f"Basic {login}"
    assert sent.json["fields"] == {
        "project": {"key": "MOBILE"},
        "issuetype": {"id": "10001"},
        "summary": "Release 1.5.0",
        "labels": ["delivr-eff_sought", "release"],
        "description": {
            "type": "doc",
            "version": 1,
            "content": [
                {
                    "type": "paragraph",
                    "content": [
                        {"type": "text", "text": "Everything"},
                        {"type": "hardBreak"},
                        {"type": "text", "text": "for *1.5.0*"},
                    ],
                }
            ],
        },
    }


def test_an_epic_name_is_given_where_the_screen_has_one(wire, jira):
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__company_managed"))
    create(jira)
    assert wire.last(f"{API}/issue").json["fields"]["customfield_10011"] == "Release 1.5.0"


def test_fields_that_the_screen_lacks_are_not_sent(wire, jira):
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__no_labels"))
    create(jira)
    assert set(wire.last(f"{API}/issue").json["fields"]) == {"project", "issuetype", "summary"}


def test_a_summary_is_one_line_that_jira_takes(wire, jira):
    jira.create(Epic(summary="a\nb" + "c" * 300), correlation="eff_sought")
    summary = wire.last(f"{API}/issue").json["fields"]["summary"]
    assert summary.startswith("a bc")
    assert len(summary) == 255


def test_fields_that_we_cannot_fill_end_it_before_anything_is_created(wire, jira):
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__required_custom"))
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert (failure.value.code, failure.value.outcome) == ("required_fields", Outcome.REFUSED)
    assert wire.count(f"{API}/issue") == 0


def test_a_refusal_shows_both_kinds_of_jiras_words(wire, jira):
    wire.routes[f"{API}/issue"] = Reply(payload("issue__400_both_kinds"), status=400)
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is Outcome.REFUSED
    assert "Field 'priority' is required" in failure.value.message
    assert "Epic Name is required." in failure.value.message


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (Reply(status=401), Outcome.CREDENTIALS, "bad_credentials"),
        (Reply(status=403), Outcome.CREDENTIALS, "forbidden"),
        (Reply(status=404), Outcome.REFUSED, "not_found"),
        (Reply(status=500), Outcome.UNCERTAIN, "server_error"),
        (Reply(status=502), Outcome.UNCERTAIN, "server_error"),
        (Reply(status=503, headers={"Retry-After": "1"}), Outcome.UNCERTAIN, "server_error"),
        (Reply({}, status=201), Outcome.UNCERTAIN, "garbage"),
        (Reply({"key": "../../x-1"}, status=201), Outcome.UNCERTAIN, "garbage"),
        (LOGIN_PAGE, Outcome.UNCERTAIN, "garbage"),
        (Reply([]), Outcome.UNCERTAIN, "garbage"),
        (Reply(fault="reset"), Outcome.UNCERTAIN, "reset"),
    ],
)
def test_each_failure_says_what_it_means_and_is_never_sent_again(wire, jira, reply, outcome, code):
    wire.routes[f"{API}/issue"] = reply
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert (failure.value.outcome, failure.value.code) == (outcome, code)
    assert wire.count(f"{API}/issue") == 1


@pytest.mark.parametrize("when", ["30", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_a_rate_limit_says_for_how_long_in_both_forms(wire, jira, when):
    wire.routes[f"{API}/issue"] = Reply({}, 429, {"Retry-After": when})
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is Outcome.RATE_LIMITED
    assert failure.value.retry_after == (30.0 if when == "30" else 0.0)


def test_an_answer_that_never_comes_is_uncertain(wire):
    wire.routes[f"{API}/issue"] = Reply(fault="hang")
    with pytest.raises(ProviderError) as failure:
        create(make(wire, HastyJira))
    assert (failure.value.outcome, failure.value.code) == (Outcome.UNCERTAIN, "timeout")


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(fault="reset"), LOGIN_PAGE])
def test_a_failure_before_the_epic_is_sent_is_not_uncertain(wire, jira, reply):
    wire.routes[FIELDS] = reply
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is Outcome.NOT_SENT
    assert wire.count(f"{API}/issue") == 0


# --- find ----------------------------------------------------------------------------------------


def test_an_epic_is_found_by_its_label(wire, jira):
    found = jira.find(EPIC, correlation="eff_sought")
    assert found == Ticket(key="MOBILE-24", url=f"{wire.url}/site/browse/MOBILE-24")
    asked = wire.last(f"{API}/search/jql").query
    assert asked["jql"].startswith('project = "MOBILE" AND labels = "delivr-eff_sought"')
    assert asked["fields"] == "labels"


def test_an_epic_that_is_not_there_is_not_found(wire, jira):
    wire.routes[f"{API}/search/jql"] = Reply(payload("search_jql__empty"))
    assert jira.find(EPIC, correlation="eff_sought") is None


def test_an_epic_without_the_label_is_not_taken_for_ours(jira):
    assert jira.find(EPIC, correlation="eff_other") is None


def test_an_answer_without_a_list_is_not_an_absence(wire, jira):
    wire.routes[f"{API}/search/jql"] = Reply({})
    with pytest.raises(ProviderError) as failure:
        jira.find(EPIC, correlation="eff_sought")
    assert failure.value.code == "garbage"


def test_a_project_without_labels_cannot_be_correlated(wire, jira):
    wire.routes[f"{API}/search/jql"] = Reply(payload("search_jql__empty"))
    wire.routes[FIELDS] = Reply(payload("createmeta_fields__no_labels"))
    with pytest.raises(ProviderError) as failure:
        jira.find(EPIC, correlation="eff_sought")
    assert failure.value.code == "cannot_correlate"


def test_an_empty_search_of_a_stranger_is_not_an_absence(wire, jira):
    wire.routes[f"{API}/search/jql"] = Reply(payload("search_jql__empty"))
    wire.routes[f"{API}/myself"] = Reply(status=401)
    with pytest.raises(ProviderError) as failure:
        jira.find(EPIC, correlation="eff_sought")
    assert failure.value.outcome is Outcome.CREDENTIALS


@pytest.mark.parametrize("known", [True, False])
def test_a_project_that_strangers_do_not_see_is_told_from_one_that_is_gone(wire, jira, known):
    wire.routes[TYPES] = Reply(payload("project__404"), status=404)
    if not known:
        wire.routes[f"{API}/myself"] = Reply(status=401)
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is (Outcome.REFUSED if known else Outcome.CREDENTIALS)


def test_no_text_gets_into_the_query_as_its_language(wire):
    hostile = make(wire, project_key='X" OR project = "Y')
    with pytest.raises(ProviderError):  # there is no such project
        hostile.find(EPIC, correlation='a" OR labels = "b')
    sent = wire.last(f"{API}/search/jql").query["jql"]
    assert sent.startswith('project = "XORPROJECTY" AND labels = "delivr-a--OR-labels----b" ')


# --- projects ------------------------------------------------------------------------------------


def test_projects_that_are_in_use_are_offered(jira):
    assert jira.projects() == [Option(value="MOBILE", label="Mobile apps (MOBILE)")]


@pytest.mark.parametrize("size", [100, 50])  # Jira may put fewer on a page than it is asked for
def test_of_thousands_of_projects_the_first_are_offered_and_the_rest_can_be_typed(wire, jira, size):
    def page(seen):
        start = int(seen.query["startAt"])
        values = [{"key": f"P{n}", "name": f"Project {n}"} for n in range(start, start + size)]
        return Reply({"values": values, "total": 3000})

    wire.routes[f"{API}/project/search"] = page
    offered = jira.projects()
    assert [offered[0].value, offered[-1].value, len(offered)] == ["P0", "P999", 1000]
    assert "1,000" in offered.note


# --- tokens with scopes --------------------------------------------------------------------------


GATEWAY = "/ex/jira/11111111-2222-4333-8444-555555555555/rest/api/3"


@pytest.fixture
def scoped(wire):
    """A site that lets the token in at the gateway only."""
    for path, script in list(wire.routes.items()):
        wire.routes[path.replace(API, GATEWAY)] = script
        wire.routes[path] = Reply(b"Unauthorized", status=401)
    wire.routes["/site/_edge/tenant_info"] = Reply(payload("tenant_info__200"))
    return make(wire, cloud=Cloud(site_suffix="127.0.0.1", gateway=wire.url))


def test_a_token_with_scopes_is_let_in_at_the_gateway(scoped):
    assert failed(scoped.verify()) == {}


def test_an_epic_made_at_the_gateway_has_its_page_on_the_site(wire, scoped):
    assert create(scoped).url == f"{wire.url}/site/browse/MOBILE-24"
    assert wire.count(f"{GATEWAY}/issue") == 1


def test_the_site_is_asked_for_its_id_without_the_token(wire, scoped):
    scoped.verify()
    assert "authorization" not in wire.last("/site/_edge/tenant_info").headers
    assert wire.count("/site/_edge/tenant_info", "GET") == 1


@pytest.mark.parametrize(
    "reply", [Reply(status=404), LOGIN_PAGE, Reply({"cloudId": "../../evil"}), Reply({})]
)
def test_a_site_without_an_id_just_refused_the_token(wire, scoped, reply):
    wire.routes["/site/_edge/tenant_info"] = reply
    assert failed(scoped.verify())["credentials"].code == "bad_credentials"


def test_a_token_that_the_gateway_refuses_too_is_refused(wire, scoped):
    wire.routes[f"{GATEWAY}/myself"] = Reply(status=401)
    assert failed(scoped.verify())["credentials"].code == "bad_credentials"
    assert wire.count(f"{GATEWAY}/myself", "GET") == 1


def test_the_token_of_a_site_elsewhere_is_never_shown_to_the_gateway(wire, scoped):
    other = make(wire, cloud=Cloud(site_suffix=".atlassian.net", gateway=wire.url))
    assert failed(other.verify())["credentials"].code == "bad_credentials"
    assert wire.count(f"{GATEWAY}/myself", "GET") == 0


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        lambda seen: Reply({"errorMessages": [seen.headers["authorization"]]}, status=400),
        lambda seen: Reply({"errors": {"x": f"{EMAIL} {TOKEN}"}}, status=400),
        lambda seen: Reply(seen.headers["authorization"].encode(), status=500),
        lambda seen: Reply({"key": seen.headers["authorization"]}, status=201),
        lambda seen: Reply(fault="reset"),
    ],
)
def test_no_failure_shows_the_token_even_if_jira_echoes_it(wire, jira, caplog, script):
    caplog.set_level(logging.DEBUG)
    wire.routes[f"{API}/issue"] = script
    with pytest.raises(ProviderError) as failure:
        create(jira)
    login = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
    shown = everything_in(failure.value) + caplog.text
    assert TOKEN not in shown
    assert login not in shown
    assert failure.value.__context__ is None


def test_a_field_whose_name_echoes_the_token_is_not_shown(wire, jira):
    named = payload("createmeta_fields__required_custom")
    named["fields"][-1]["name"] = f"Basic {TOKEN}"
    wire.routes[FIELDS] = Reply(named)
    assert TOKEN not in repr(jira.verify())


def test_from_connection_reads_the_fields_of_the_model(wire):
    class Secret:
        def reveal(self):
            return TOKEN

    class Connection:
        server_url = f"{wire.url}/site"
        username = EMAIL
        api_token = Secret()
        project = "MOBILE"
        options: dict[str, str] = {}

    assert failed(Jira.from_connection(Connection()).verify()) == {}
