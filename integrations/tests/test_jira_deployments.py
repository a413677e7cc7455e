"""Connections of Jira: with an email address for Jira Cloud, without one for Data Center."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PATH = "/api/v1/integrations/tickets"
CLOUD = {"jiraEmail": accounts.JIRA_EMAIL, "jiraApiToken": accounts.JIRA_API_TOKEN}
PERSONAL = {"jiraApiToken": accounts.JIRA_PERSONAL_TOKEN}


@pytest.mark.parametrize(
    ("place", "login", "deployment"),
    [("/jira", CLOUD, "Cloud"), ("/dc/jira", PERSONAL, "Data Center")],
)
def test_the_deployment_is_read_and_never_asked(
    tenant: Any, api_for: Any, sandbox: Any, place: str, login: dict[str, str], deployment: str
) -> None:
    api = api_for(tenant)
    given = {"ticketType": "JIRA", "jiraUrl": f"{sandbox.url}{place}", "jiraProjectKey": "MOBILE"}
    made = api.post(PATH, {**given, **login}, format="json")
    assert made.status_code == 201, made.content
    found = api.post(f"{PATH}/{made.json()['id']}/verify").json()
    assert found["verificationStatus"] == "VALID", found["checks"]
    assert (found["jiraDeployment"], found["jiraEmail"]) == (deployment, login.get("jiraEmail", ""))
    assert api.get(f"{PATH}/{found['id']}").json()["jiraDeployment"] == deployment
