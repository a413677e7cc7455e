"""The options of pickers, from the provider, with the values entered so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from delivr.tenants.models import Role, Tenant
from delivr.tests import factories as make
from delivr.tests.wired import wire_pipelines
from integrations.models import FAMILIES
from integrations.operations import MOST_OPTIONS
from integrations.providers.base import Option
from integrations.views.options import A_MINUTE
from sandbox import ci_files

pytestmark = pytest.mark.on_sqlite

Typed = Callable[..., dict[str, Any]]


def ask(web: Client, family: str, field: str, data: dict[str, Any]) -> Any:
    return web.post(f"/integrations/{family}/options?field={field}", data)


@pytest.mark.parametrize(
    ("family", "kind", "field", "offered"),
    [
        ("scm", "GITHUB", "repository_url", "https://github.com/dream11/app"),
        ("pipelines", "JENKINS", "jenkins_job_path", "/job/ios-prod"),
        ("communication", "SLACK", "slack_channels", "C123"),
        ("tickets", "JIRA", "jira_project_key", "MOBILE"),
    ],
)
def test_the_providers_options_are_offered(
    web: Client, typed: Typed, family: str, kind: str, field: str, offered: str
) -> None:
    answer = ask(web, family, field, typed(kind, **{field: ""}))
    assert offered in [option["value"] for option in answer.json()["options"]]
    assert not FAMILIES[family].objects.exists()


def test_credentials_have_to_be_entered_first(web: Client, typed: Typed) -> None:
    answer = ask(web, "scm", "repository_url", typed("GITHUB", access_token=""))
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Fill this in first: Access token."


def test_a_refusal_says_what_to_do(web: Client, typed: Typed) -> None:
    answer = ask(web, "scm", "repository_url", typed("GITHUB", access_token="ghp_wrong_canary"))
    assert answer.status_code == 422
    assert "GitHub refused the access token." in answer.json()["detail"]
    assert "ghp_wrong_canary" not in answer.content.decode()


def test_a_wrong_value_is_named(web: Client, typed: Typed) -> None:
    answer = ask(web, "tickets", "jira_project_key", typed("JIRA", jira_email="nobody"))
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Account email:")


def test_the_stored_secret_is_used_while_the_field_is_empty(
    web: Client, typed: Typed, tenant: Tenant
) -> None:
    web.post("/integrations/scm/new", typed("GITHUB"))
    stored = FAMILIES["scm"].objects.get()
    data = typed("GITHUB", access_token="", connection=stored.pk)
    assert ask(web, "scm", "repository_url", data).json()["options"]


def test_the_stored_secret_is_sent_to_no_other_server(
    web: Client, sandbox: Any, tenant: Tenant
) -> None:
    jira = make.JiraFactory(tenant=tenant, server_url="http://127.0.0.1:1/jira")
    data = {"connection": jira.pk, "jira_url": f"{sandbox.url}/jira", "jira_email": jira.username}
    answer = ask(web, "tickets", "jira_project_key", data)
    assert answer.status_code == 400
    assert "enter this again" in answer.json()["detail"]


def test_another_workspaces_connection_does_not_exist(web: Client) -> None:
    foreign = make.ScmFactory()
    answer = ask(web, "scm", "repository_url", {"connection": foreign.pk})
    assert answer.status_code == 404


def test_unknown_kinds_and_fields_are_refused(web: Client, typed: Typed) -> None:
    assert ask(web, "scm", "repository_url", {"kind": "SVN"}).status_code == 404
    assert ask(web, "scm", "tenant", typed("GITHUB")).json() == {"options": []}
    assert ask(web, "scm", "", {}).status_code == 400


def test_members_get_no_options(web_as: Callable[[Role], Client], typed: Typed) -> None:
    assert ask(web_as(Role.MEMBER), "scm", "repository_url", typed("GITHUB")).status_code == 403


def test_options_are_rate_limited(web: Client, typed: Typed) -> None:
    data = typed("GITHUB", access_token="")
    answers = [ask(web, "scm", "repository_url", data) for _ in range(A_MINUTE + 1)]
    assert [a.status_code for a in answers] == [400] * A_MINUTE + [429]
    assert 50 < int(answers[-1]["Retry-After"]) <= 60  # from the first one on


def test_the_providers_labels_are_cut_and_cleaned(
    web: Client, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [
        Option("C1", "two\nlines\x00 \x1b[31m\u202e"),
        Option("C2", "x" * 5000),
        Option("C\n3", "a value that is not what it was"),
        Option("C" * 400, "a value that no field takes"),
        Option("", "no value"),
        *(Option(f"C9{n}", "") for n in range(MOST_OPTIONS)),
    ]
    monkeypatch.setattr("integrations.providers.slack.provider.Slack.channels", lambda self: odd)
    answer = ask(web, "communication", "slack_channels", typed("SLACK", slack_channels=""))
    options = answer.json()["options"]
    assert options[0] == {"value": "C1", "label": "two lines [31m"}
    assert len(options[1]["label"]) == 200
    assert options[2] == {"value": "C90", "label": "C90"}
    assert len(options) == MOST_OPTIONS


def test_the_declared_parameters_are_offered_as_lines(
    web: Client, typed: Typed, tenant: Tenant
) -> None:
    make.ScmFactory(tenant=tenant)
    own = {"jenkins_job_path": "/job/ios-typed", "parameters": "TRACK=production\nFLAVOR=free"}
    answer = ask(web, "pipelines", "parameters", typed("JENKINS", **own)).json()
    assert {option["value"]: option["label"] for option in answer["options"]} == {
        "TRACK=internal": "TRACK (choice, one of: internal | production). Where it goes",
        "CLEAN=true": "CLEAN (boolean). Build from scratch",
        "NOTES=": "NOTES (text). Release notes",
        "SIGNING_KEY=": "SIGNING_KEY (password). Left empty, that of the server is used",
    }
    assert answer["note"] == "Not declared there: FLAVOR."


def test_the_inputs_of_a_workflow_are_offered_alike(
    web: Client, tenant: Tenant, sandbox: Any
) -> None:
    scm = make.ScmFactory(tenant=tenant, access_token="ghp_sandbox_push_token")
    data = {"kind": "GITHUB_ACTIONS", "workflow": "beta.yml", "scm": scm.pk}
    answer = ask(web, "pipelines", "parameters", data).json()
    offered = {option["value"]: option["label"] for option in answer["options"]}
    assert "one of:" in offered["track=internal"]
    assert not [value for value in offered if value.lower().startswith(("version", "delivr"))]


def test_the_inputs_of_a_ci_file_are_offered_alike(
    web: Client, tenant: Tenant, sandbox: Any
) -> None:
    wired = wire_pipelines(tenant, sandbox.url)
    data = {"kind": "GITLAB_CI", "scm": wired.scm.pk, "parameters": "channel=beta"}
    answer = ask(web, "pipelines", "parameters", data).json()
    assert {option["value"]: option["label"] for option in answer["options"]} == {
        "track=internal": "track (string, one of: internal | production). Where it goes",
        "upload=false": "upload (boolean)",
        "level=1": "level (number)",
        "markets=[]": "markets (array)",
    }
    assert answer["note"] == "Not declared there: channel."
    sandbox.state.pipelines.files[4201].text = ci_files.WITH_VARIABLES
    assert ask(web, "pipelines", "parameters", data).json()["note"] == "It takes any name."
