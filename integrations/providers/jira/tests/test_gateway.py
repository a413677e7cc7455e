"""The API gateway as Jira's address, and tokens with scopes, which it alone takes."""

import pytest

from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.jira.addresses import Cloud
from integrations.providers.jira.tests.answers import API, EPIC, create, failed, make, payload
from integrations.providers.tests.wire import LOGIN_PAGE, Reply
from integrations.providers.tickets import Ticket

pytestmark = pytest.mark.usefixtures("jira_is_here")

GATEWAY = "/ex/jira/11111111-2222-4333-8444-555555555555"
SITE = "https://dream11.atlassian.net"
INFO = f"{GATEWAY}/rest/api/3/serverInfo"


@pytest.fixture
def moved(wire):
    """The API is at the gateway."""
    for path, script in list(wire.routes.items()):
        wire.routes[path.replace("/site/", f"{GATEWAY}/")] = script
    wire.routes[INFO] = Reply({"baseUrl": SITE, "deploymentType": "Cloud"})
    return wire


def at_gateway(wire, **changes):
    return make(wire, url=f"{wire.url}{GATEWAY}", **changes)


def test_a_verification_learns_where_the_site_is(moved):
    checks = at_gateway(moved).verify()
    assert failed(checks) == {}
    assert [check.message for check in checks if check.name == "site"] == [SITE]


@pytest.mark.parametrize(
    "reply", [Reply({}), Reply({"baseUrl": 7}), Reply(status=403), Reply(status=500), LOGIN_PAGE]
)
def test_a_site_that_is_not_told_is_a_warning_that_says_what_is_lost(moved, reply):
    moved.routes[INFO] = reply
    check = failed(at_gateway(moved).verify())["site"]
    assert (check.level, check.code) == (Level.WARNING, "site_unknown")
    assert "not linked" in check.message


def test_an_epic_is_linked_to_the_site_that_was_learned(moved):
    assert create(at_gateway(moved, site=SITE)).url == f"{SITE}/browse/MOBILE-24"
    assert moved.count(INFO, "GET") == 0


def test_an_epic_is_linked_to_the_site_although_nobody_learned_it_before(moved):
    assert create(at_gateway(moved)).url == f"{SITE}/browse/MOBILE-24"
    assert at_gateway(moved).find(EPIC, correlation="eff_sought").url == f"{SITE}/browse/MOBILE-24"


@pytest.mark.parametrize("reply", [Reply({}), Reply(status=500), Reply(fault="reset")])
def test_an_epic_is_made_without_a_link_where_no_site_is_told(moved, reply):
    moved.routes[INFO] = reply
    assert create(at_gateway(moved)) == Ticket(key="MOBILE-24", url="")


def test_the_sites_own_address_is_not_asked_for(wire, jira):
    assert failed(jira.verify()) == {}
    assert wire.count(f"{API}/serverInfo", "GET") == 0


# --- A site that takes a token with scopes for a stranger ----------------------------------------


@pytest.fixture
def stranger_at_the_site(moved):
    """No header tells that the sign-in failed: a stranger finds no project and no issue."""
    for path in [path for path in moved.routes if path.startswith(API)]:
        moved.routes[path] = Reply({"errorMessages": ["No project."], "errors": {}}, status=404)
    moved.routes[f"{API}/myself"] = Reply(b"Unauthorized", status=401)
    moved.routes[f"{API}/search/jql"] = Reply({"issues": [], "isLast": True})
    moved.routes["/site/_edge/tenant_info"] = Reply(payload("tenant_info__200"))
    return make(moved, cloud=Cloud(site_suffix="127.0.0.1", gateway=moved.url))


def test_an_epic_is_made_at_the_gateway(moved, stranger_at_the_site):
    assert create(stranger_at_the_site).key == "MOBILE-24"
    assert moved.count(f"{API}/issue") == 0


def test_an_epic_whose_answer_was_lost_is_looked_for_at_the_gateway(stranger_at_the_site):
    assert stranger_at_the_site.find(EPIC, correlation="eff_sought").key == "MOBILE-24"


def test_types_of_epics_are_offered_from_the_gateway(stranger_at_the_site):
    assert [kind.value for kind in stranger_at_the_site.epic_types()] == ["Vorhaben"]


def test_where_the_gateway_is_away_nothing_was_sent(moved, stranger_at_the_site):
    moved.routes["/site/_edge/tenant_info"] = Reply(fault="reset")
    with pytest.raises(ProviderError) as failure:
        create(stranger_at_the_site)
    assert failure.value.outcome is Outcome.NOT_SENT
