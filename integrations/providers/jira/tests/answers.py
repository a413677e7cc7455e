"""What a Jira answers, and how the tests ask it."""

from integrations.providers.jira.provider import Jira
from integrations.providers.tests.wire import payloads
from integrations.providers.tickets import Epic

TOKEN = "ATATT-canary-0123456789-token"
EMAIL = "release@example.com"
API = "/site/rest/api/3"
TYPES = f"{API}/issue/createmeta/MOBILE/issuetypes"
FIELDS = f"{TYPES}/10001"
EPIC = Epic(summary="Release 1.5.0", description="Everything\nfor *1.5.0*", labels=["release"])
payload = payloads(__file__)


class HastyJira(Jira):
    deadline = 0.5


def make(wire, kind=Jira, **changes):
    given = {"url": f"{wire.url}/site", "email": EMAIL, "api_token": TOKEN, "project_key": "MOBILE"}
    return kind(**{**given, **changes})


def create(jira):
    return jira.create(EPIC, correlation="eff_sought")


def failed(checks):
    return {check.name: check for check in checks if not check.ok}
