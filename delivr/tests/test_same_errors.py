"""The same rule in form and API: both give the same errors for the same fields."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.http import QueryDict
from rest_framework.test import APIClient

from delivr.api.problems import camel
from delivr.tenants.models import Role, Tenant
from delivr.tests.wired import Wired, wire
from integrations import operations
from integrations.forms import ConnectionForm
from integrations.providers.registry import fields_of
from integrations.tests.keys import key_of, model_of

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

NOWHERE = "http://127.0.0.1:1"
PIPELINES = ("JENKINS", "WEBHOOK")
REFERENCE = {"scm": "scmIntegrationId", "target": "targetIntegrationId"}

GOOD: dict[str, dict[str, Any]] = {
    "GITHUB": {"repository_url": "https://github.com/a/b", "access_token": "t"},
    "APP_STORE": {
        "app_identifier": "com.example.app",
        "apple_issuer_id": "57246542-96fe-1a63-e053-0824d011072a",
        "apple_key_id": "2X9R4HXF34",
        "apple_api_key": "no key at all",
    },
    "PLAY_STORE": {"app_identifier": "com.example.app", "google_service_account": "{}"},
    "JENKINS": {
        "jenkins_url": "https://jenkins.example.com",
        "jenkins_username": "delivr",
        "jenkins_api_token": "t",
        "jenkins_job_path": "/job/ios",
    },
    "WEBHOOK": {"trigger_url": "https://ci.example.com/hook"},
    "SLACK": {"slack_bot_token": "xoxb-t", "slack_channels": ["C123"]},
    "JIRA": {
        "jira_url": "https://jira.example.com",
        "jira_email": "a@example.com",
        "jira_api_token": "t",
        "jira_project_key": "MOBILE",
    },
}
BAD: list[tuple[str, dict[str, Any]]] = [
    ("GITHUB", {"repository_url": "nonsense"}),
    ("GITHUB", {"repository_url": "https://github.com/a"}),
    ("GITHUB", {"repository_url": "", "access_token": ""}),
    ("GITHUB", {"repository_url": "  ", "access_token": " "}),
    ("GITHUB", {"access_token": "two\nlines"}),
    ("GITHUB", {"repository_url": "x" * 301}),
    ("GITHUB", {"display_name": "x" * 81}),
    ("APP_STORE", {}),
    ("APP_STORE", {"app_identifier": "a b", "apple_issuer_id": "x", "apple_key_id": "-"}),
    ("APP_STORE", {"apple_api_key": ""}),
    ("PLAY_STORE", {}),
    ("PLAY_STORE", {"app_identifier": "com", "google_service_account": "not json"}),
    ("PLAY_STORE", {"google_service_account": "[]"}),
    ("JENKINS", {"jenkins_url": "ftp://jenkins.example.com"}),
    ("JENKINS", {"jenkins_url": "http://169.254.169.254/"}),
    ("JENKINS", {"jenkins_url": "https://u:p@jenkins.example.com"}),
    ("JENKINS", {"jenkins_url": "https://jenkins.example.com/?x=1"}),
    ("JENKINS", {"jenkins_url": "http://[::1"}),
    ("JENKINS", {"jenkins_job_path": "/job/../x"}),
    ("JENKINS", {"jenkins_job_path": "https://jenkins.example.com/job/x"}),
    ("JENKINS", {"jenkins_job_path": "/job/" + "é" * 100}),
    ("JENKINS", {"parameters": {"VERSION": "1", "BRANCH": "x"}}),
    ("JENKINS", {"parameters": {"n" * 101: "1"}}),
    ("JENKINS", {"scm": "", "target": ""}),
    ("JENKINS", {"scm": "scm_github_none"}),
    ("JENKINS", {"target": "target_appstore_none", "jenkins_url": "nonsense://"}),
    ("WEBHOOK", {"trigger_url": "http://169.254.169.254/", "status_url": "https://x.example"}),
    ("WEBHOOK", {"trigger_headers": "no colon", "parameters": {"BRANCH": "x"}}),
    ("SLACK", {"slack_channels": []}),
    ("SLACK", {"slack_channels": ["#general"]}),
    ("SLACK", {"slack_channels": [f"C{n:03}" for n in range(21)]}),
    ("SLACK", {"slack_bot_token": "a b", "slack_channels": ["x"]}),
    ("JIRA", {"jira_email": "nobody", "jira_project_key": "lower"}),
    ("JIRA", {"jira_url": "", "jira_api_token": ""}),
    ("JIRA", {"jira_url": "http://127.0.0.1:99999"}),
    ("JIRA", {"jira_project_key": "X" * 41}),
]


@pytest.fixture
def wired(tenant: Tenant) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.ADMIN)
    return client


def values_for(wired: Wired, kind: str, bad: dict[str, Any]) -> dict[str, Any]:
    parts = {"scm": wired.scm.pk, "target": wired.targets["ios"].pk} if kind in PIPELINES else {}
    return {**GOOD[kind], **parts, **bad}


def api_name(name: str) -> str:
    return REFERENCE.get(name, camel(name))


def by_form(wired: Wired, kind: str, values: dict[str, Any]) -> dict[str, list[str]]:
    """The form's errors, with the API's names."""
    form = ConnectionForm(as_typed(values), tenant=wired.tenant, key=key_of(kind))
    connect = partial(operations.connect, form.model, tenant=wired.tenant, actor=None, kind=kind)
    assert form.submit(connect) is None
    return {api_name(name): [str(m) for m in words] for name, words in form.errors.items()}


def as_typed(values: dict[str, Any]) -> QueryDict:
    """What a browser sends for these values."""
    typed = QueryDict(mutable=True)
    typed.update({name: _typed(value) for name, value in values.items()})
    return typed


def _typed(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}={text}" for name, text in value.items())
    return "\n".join(value) if isinstance(value, list) else str(value)


def by_api(api: APIClient, kind: str, values: dict[str, Any]) -> dict[str, list[str]]:
    model = model_of(kind)
    body = {camel(model.type_field): kind, **{api_name(n): v for n, v in values.items()}}
    answer = api.post(f"/api/v1/integrations/{model.family}", body)
    assert answer.status_code == 400, answer.json()
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


@pytest.mark.parametrize(("kind", "bad"), BAD, ids=lambda x: str(x)[:60])
def test_form_and_api_give_the_same_errors(
    wired: Wired, api: APIClient, kind: str, bad: dict[str, Any]
) -> None:
    values = values_for(wired, kind, bad)
    said = by_form(wired, kind, values)
    assert said == by_api(api, kind, values)
    assert set(said) <= {api_name(name) for name in values} | {"displayName"}


@pytest.mark.parametrize("kind", GOOD)
def test_form_and_api_require_the_same_fields(wired: Wired, api: APIClient, kind: str) -> None:
    assert by_form(wired, kind, {}) == by_api(api, kind, {})


def test_both_ask_for_the_secret_when_the_address_changes(wired: Wired, api: APIClient) -> None:
    pipeline = wired.pipelines["ios"]
    moved = {"jenkins_url": "https://elsewhere.example.com"}
    shown = {f.name: f.read(pipeline) for f in fields_of(pipeline.provider_key) if not f.secret}
    parts = {"scm": pipeline.scm_id, "target": pipeline.target_id}
    typed = as_typed({**shown, **parts, **moved})
    form = ConnectionForm(
        typed, tenant=wired.tenant, key=pipeline.provider_key, connection=pipeline
    )
    assert form.submit(partial(operations.edit, pipeline, actor=None)) is None
    answer = api.patch(
        f"/api/v1/integrations/pipelines/{pipeline.pk}", {"jenkinsUrl": moved["jenkins_url"]}
    )
    assert {camel(n): list(w) for n, w in form.errors.items()} == answer.json()["errors"]
