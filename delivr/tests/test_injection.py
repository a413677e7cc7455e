"""What people and other systems write never becomes markup, a query, a formula, a mention, a link
or another request: each place with the texts that are dangerous there."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from builds.addresses import safe_artifact_url, safe_build_url
from delivr.audit.operations import record
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.pages.spreadsheet import safe_cell
from delivr.tenants.models import Role, Tenant, User
from delivr.tests.sample_workspace import changed, everything
from delivr.tests.test_walk import body_of
from delivr.tests.test_walk import signed_in as session_of
from delivr.tests.wired import Wired, trigger_of, wire
from integrations.models import PipelineIntegration
from integrations.operations import edit
from integrations.providers.jira.adf import document
from releases.operations import create_release
from releases.wording import web_address
from sandbox.ci_jobs import Parameter
from sandbox.server import SandboxServer

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgresql]


@pytest.fixture
def wired(tenant: Tenant, sandbox: SandboxServer) -> Wired:
    return wire(tenant, sandbox.url)


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.OWNER)
    return client


@pytest.fixture
def pages(owner: User) -> Client:
    client: Client = session_of(owner)
    return client


# --- Jenkins: what would split a line, a header or a path -----------------------------------------

BREAKS = ("\r", "\n", "\r\nX-Injected: 1", "\x00", "\x7f", "\x1b[2J")
PARTS = [f"a{text}b" for text in BREAKS]


def release_body(wired: Wired, **changes: Any) -> dict[str, Any]:
    return {
        "version": "9.9.9",
        "scmIntegrationId": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
        **changes,
    }


def pipeline_body(wired: Wired, **changes: Any) -> dict[str, Any]:
    return {
        "pipelineType": "JENKINS",
        "scmIntegrationId": wired.scm.pk,
        "targetIntegrationId": wired.targets["ios"].pk,
        "jenkinsUrl": wired.pipelines["ios"].server_url,
        "jenkinsUsername": "u",
        "jenkinsApiToken": "t",
        "jenkinsJobPath": "/job/x",
        **changes,
    }


# Values of parameters may have several lines: they are sent encoded, in a form.
LINES = ["a\nb", "a\r\nX-Injected: 1b"]

REFUSED = [
    *[("version", "version", text) for text in PARTS],
    *[("branchRelease", "branch", text) for text in PARTS],
    *[("jenkinsJobPath", "jenkins_job_path", text) for text in PARTS],
    *[("jenkinsUsername", "jenkins_username", text) for text in PARTS],
    *[("parameters", "parameters", {"TRACK": text}) for text in PARTS if text not in LINES],
    *[("parameters", "parameters", {text: "x"}) for text in PARTS],
    ("jenkinsJobPath", "jenkins_job_path", "/job/a%0d%0ab"),
    ("jenkinsJobPath", "jenkins_job_path", "/job/a/../../script"),
    ("jenkinsJobPath", "jenkins_job_path", "/job/%2e%2e/job/x"),
    ("jenkinsJobPath", "jenkins_job_path", "/job/x?token=1"),
    ("jenkinsJobPath", "jenkins_job_path", "//attacker.example/job/x"),
]


@pytest.mark.parametrize(("field", "_name", "value"), REFUSED)
def test_api_refuses_what_would_split_a_request(
    api: APIClient, wired: Wired, sandbox: SandboxServer, field: str, _name: str, value: Any
) -> None:
    is_release = field in ("version", "branchRelease")
    path = "releases" if is_release else "integrations/pipelines"
    make = release_body if is_release else pipeline_body
    before = everything()
    answer = api.post(f"/api/v1/{path}", make(wired, **{field: value}))
    assert answer.status_code == 400
    assert [name.split(".")[0] for name in answer.json()["errors"]] == [field]
    assert all(words and words[0] for words in answer.json()["errors"].values())
    assert changed(before) == {}
    assert list(sandbox.state.requests) == []


@pytest.mark.parametrize("text", LINES)
def test_a_value_of_several_lines_stays_one_parameter(
    wired: Wired, sandbox: SandboxServer, text: str
) -> None:
    sandbox.state.jenkins.job("ios-prod").parameters.append(Parameter("NOTES"))
    pipeline = edit(wired.pipelines["ios"], actor=None, values={"parameters": {"NOTES": text}})
    PipelineIntegration.objects.filter(pk=pipeline.pk).update(verification_status="VALID")
    run_effect(trigger_of(wired.build("ios")).pk)
    [item] = sandbox.state.jenkins.queue.values()
    assert item.parameters["NOTES"] == text.replace("\r\n", "\n")
    assert "X-Injected" not in item.parameters


@pytest.mark.parametrize("field", ["version", "branch"])
@pytest.mark.parametrize("text", PARTS)
def test_form_of_a_release_refuses_what_would_split_a_request(
    pages: Client, wired: Wired, sandbox: SandboxServer, field: str, text: str
) -> None:
    body = release_body(wired)
    sent = {"version": "9.9.9", "scm": wired.scm.pk, field: text}
    chosen = {"targets": body["targets"], "pipelines": body["pipelines"]}
    before = everything()
    answer = pages.post("/releases/new", {**sent, **chosen})
    assert answer.status_code == 200
    assert answer.context["form"].errors[field]
    assert changed(before) == {}
    assert list(sandbox.state.requests) == []


# Releases have their own form; a form splits parameters by lines.
OF_A_PIPELINE = [(n, v) for _f, n, v in REFUSED if n.startswith("jenkins")]


@pytest.mark.parametrize(("name", "value"), OF_A_PIPELINE)
def test_form_of_a_pipeline_refuses_what_would_split_a_request(
    pages: Client, wired: Wired, sandbox: SandboxServer, name: str, value: str
) -> None:
    body = {
        "kind": "JENKINS",
        "jenkins_url": wired.pipelines["ios"].server_url,
        "jenkins_username": "u",
        "jenkins_api_token": "t",
        "jenkins_job_path": "/job/x",
        "scm": wired.scm.pk,
        "target": wired.targets["ios"].pk,
    }
    before = everything()
    answer = pages.post("/integrations/pipelines/new", {**body, name: value})
    assert answer.status_code == 200
    assert answer.context["form"].errors[name]
    assert changed(before) == {}
    assert list(sandbox.state.requests) == []


# --- Slack: mentions, links, formatting -----------------------------------------------------------

PINGS = "feature/<!channel>&<@U1>@here"


def test_slack_gets_names_as_plain_text(wired: Wired, sandbox: SandboxServer) -> None:
    create_release(
        tenant=wired.tenant,
        actor=None,
        version="9.9.9",
        branch=PINGS,
        scm_id=wired.scm.pk,
        target_ids=[wired.targets["ios"].pk],
        pipeline_ids=[wired.pipelines["ios"].pk],
        communication_ids=[wired.slack.pk],
    )
    sweep_until_idle()
    messages = sandbox.state.slack.messages
    assert {message.channel for message in messages} == {"C123", "C456"}
    for message in messages:
        assert message.link_names is False
        words = list(_texts(message.blocks))
        heading, *lines = words  # a heading is no markup: it mentions nobody, whatever it says
        assert heading["type"] == "plain_text"
        assert all(part["verbatim"] is True for part in lines)
        shown = " ".join([message.text, *(part["text"] for part in words)])
        assert "feature/&lt;!channel&gt;&amp;&lt;@U1&gt;@here" in shown
        assert "<!" not in shown
        assert "<@" not in shown


def _texts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node
        node = list(node.values())
    for part in node if isinstance(node, list) else ():
        yield from _texts(part)


# --- Jira: nodes, never markup --------------------------------------------------------------------

MARKUP = (
    "h1. *bold* {html}<script>alert(1)</script>{html}",
    "[click|javascript:alert(1)] javascript:alert(1) data:text/html,x",
    '{"type": "mention", "attrs": {"id": "1"}} @everyone [~accountid:1]',
    '!https://attacker.example/x.png! <a href="//attacker.example">x</a>',
)


@pytest.mark.parametrize("text", MARKUP)
def test_jira_gets_text_as_nodes(text: str) -> None:
    nodes = list(_texts(document(text)))
    assert "".join(node["text"] for node in nodes) == text
    assert {node["type"] for node in nodes} == {"text"}
    links = [mark["attrs"]["href"] for node in nodes for mark in node.get("marks", [])]
    assert all(link.startswith("https://") for link in links)


def test_jira_gets_the_branch_as_text(wired: Wired, sandbox: SandboxServer) -> None:
    branch = "x{html}<script>alert(1)</script>|javascript=a@everyone"
    create_release(
        tenant=wired.tenant,
        actor=None,
        version="9.9.9",
        branch=branch,
        scm_id=wired.scm.pk,
        target_ids=[wired.targets["ios"].pk],
        pipeline_ids=[wired.pipelines["ios"].pk],
        ticket_id=wired.jira.pk,
    )
    sweep_until_idle()
    (issue,) = sandbox.state.jira.dump()["issues"]
    assert {node["type"] for node in _texts(issue["description"])} == {"text"}
    assert branch in "".join(node["text"] for node in _texts(issue["description"]))


# --- Addresses from other systems -----------------------------------------------------------------

JENKINS = "https://ci.example.com/jenkins"
UNLINKABLE = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "//attacker.example/x",
    "/\\attacker.example",
    "x",
    "",
)


@pytest.mark.parametrize("url", UNLINKABLE)
def test_unsafe_address_is_no_link(url: str) -> None:
    assert safe_artifact_url(url) == safe_build_url(url, JENKINS) == web_address(url) == ""


@pytest.mark.parametrize(
    ("url", "kept", "link"),
    [
        ("https://files.example.com/app.ipa", True, True),
        ("http://files.example.com/app.ipa", True, True),
        ("s3://bucket/app.ipa", True, False),
        ("gs://bucket/app.ipa", True, False),
        ("https://files.example.com/a b", False, True),
        ("https://files.example.com/a\r\nb", False, True),
    ],
)
def test_artifact_is_a_link_or_text(url: str, kept: bool, link: bool) -> None:
    assert safe_artifact_url(url) == (url if kept else "")
    assert bool(web_address(url)) is link


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (f"{JENKINS}/job/x/1/", True),
        ("https://ci.example.com:443/jenkins/job/x/1/", True),
        ("http://ci.example.com/jenkins/job/x/1/", False),
        ("https://ci.example.com.attacker.example/jenkins/job/x/1/", False),
        ("https://ci.example.com@attacker.example/jenkins/job/x/1/", False),
        ("https://attacker.example/?https://ci.example.com/jenkins", False),
        ("https://ci.example.com:8443/jenkins/job/x/1/", False),
    ],
)
def test_build_is_only_a_link_on_its_own_jenkins(url: str, kept: bool) -> None:
    assert safe_build_url(url, JENKINS) == (url if kept else "")


# --- Files for spreadsheets -----------------------------------------------------------------------

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff20SUM(A1)")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["1.5.0", "a=b", "", 7, -7, None, 1.5])
def test_other_cells_stay_as_they_are(value: Any) -> None:
    assert safe_cell(value) == value


@pytest.mark.parametrize("text", FORMULAS)
def test_audit_file_has_no_formula(pages: Client, tenant: Tenant, text: str) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(name=text)
    tenant.refresh_from_db()
    record(tenant=tenant, actor=None, action="tenant.renamed", subject=tenant)
    written = body_of(pages.get("/settings/audit/export.csv"))
    cells = [cell for row in csv.reader(io.StringIO(written, newline="")) for cell in row]
    assert f"'{text}" in cells
    assert not [cell for cell in cells if cell.startswith(FORMULAS)]


# --- Redirects ------------------------------------------------------------------------------------

ELSEWHERE = (
    "//attacker.example/",
    "///attacker.example/",
    "/\\attacker.example/",
    "\\\\attacker.example",
    "/\t/attacker.example/",
    "\t//attacker.example",
    "https://attacker.example/",
    "https:attacker.example",
    "http://testserver@attacker.example/",
    "javascript:alert(1)",
    "data:text/html,x",
)


@pytest.mark.parametrize("wanted", ELSEWHERE)
@pytest.mark.parametrize("path", ["{connection}/verify", "{connection}/disconnect", "{switch}"])
def test_next_only_redirects_within_this_site(
    pages: Client, wired: Wired, path: str, wanted: str
) -> None:
    at = {
        "connection": f"/integrations/communication/{wired.slack.pk}",
        "switch": "/settings/switch",
    }
    answer = pages.post(path.format(**at), {"next": wanted, "tenant": wired.tenant.pk})
    assert answer.status_code == 302
    assert answer["Location"] in ("/", "/integrations", at["connection"])


@pytest.mark.parametrize("wanted", ELSEWHERE)
@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/logout/", "/accounts/signup/"])
def test_signing_in_or_out_only_redirects_within_this_site(
    owner: User, path: str, wanted: str
) -> None:
    client = session_of(owner) if "logout" in path else Client()
    page = body_of(client.get(path, {"next": wanted}))
    assert f'href="{html.escape(wanted)}' not in page
    password = "correct-horse-battery-staple"
    typed = {"login": owner.email, "password": password, "next": wanted}
    answer = client.post(path, typed)
    assert "attacker.example" not in answer.get("Location", "")
    assert not answer.get("Location", "").startswith(("javascript:", "data:"))
