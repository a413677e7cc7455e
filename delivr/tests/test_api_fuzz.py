"""Odd JSON in every field of every request: always an error in words, never a 500."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from rest_framework.test import APIClient

from builds.triggering import trigger_builds
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from delivr.tests.wired import Wired, trigger_of, wire

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgresql]

NOWHERE = "http://127.0.0.1:1"
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    7,
    1.5,
    10**18,
    10**400,
    "",
    " ",
    "x",
    "x" * 400,
    "x" * 30_000,
    "a\x00b",
    "\n",
    "é🔑",
    "<script>alert(1)</script>",
    "%s %d {0}",
    "../../etc/passwd",
    "http://[::1",
    "http://169.254.169.254/",
    "https://user:pw@example.com/",
    "1e5",
    [],
    {},
    [[]],
    [{}],
    [None],
    [7],
    ["x"],
    ["a\x00b"],
    ["x"] * 300,
    {"a": 1},
    {"": ""},
    {"a": {"b": []}},
    {"a\x00": "b\x00"},
    {"VERSION": "1"},
    {"a": None},
]

FIELDS = {
    "integrations/scm": {
        "scmType": "GITHUB",
        "displayName": "x",
        "repositoryUrl": "https://github.com/a/b",
        "accessToken": "t",
    },
    "integrations/targets": {
        "targetType": "APP_STORE",
        "displayName": "x",
        "appIdentifier": "com.example.app",
        "appleIssuerId": "57246542-96fe-1a63-e053-0824d011072a",
        "appleKeyId": "2X9R4HXF34",
        "appleApiKey": "t",
    },
    "integrations/targets#play": {
        "targetType": "PLAY_STORE",
        "appIdentifier": "com.example.app",
        "googleServiceAccount": {},
    },
    "integrations/pipelines": {
        "pipelineType": "JENKINS",
        "displayName": "x",
        "scmIntegrationId": "scm_github_x",
        "targetIntegrationId": "target_appstore_x",
        "jenkinsUrl": "https://jenkins.example.com",
        "jenkinsUsername": "u",
        "jenkinsApiToken": "t",
        "jenkinsJobPath": "/job/x",
        "parameters": {"TRACK": "x"},
    },
    "integrations/communication": {
        "communicationType": "SLACK",
        "displayName": "x",
        "slackBotToken": "xoxb-t",
        "slackChannels": ["C123"],
    },
    "integrations/tickets": {
        "ticketType": "JIRA",
        "displayName": "x",
        "jiraUrl": "https://jira.example.com",
        "jiraEmail": "a@example.com",
        "jiraApiToken": "t",
        "jiraProjectKey": "MOBILE",
        "jiraEpicTypeName": "Epic",
        "jiraFields": {"Team": "Mobile"},
    },
    "integrations/health": {
        "healthType": "SENTRY",
        "displayName": "x",
        "sentryUrl": "https://sentry.example.com",
        "sentryToken": "t",
        "sentryOrganization": "example",
        "sentryProject": "app",
    },
    "releases": {
        "version": "1.5.0",
        "branchRelease": "main",
        "scmIntegrationId": "scm_github_x",
        "targets": ["target_appstore_x"],
        "pipelines": ["pipeline_jenkins_x"],
        "communicationId": "comm_slack_x",
        "ticketId": "ticket_jira_x",
    },
}


@pytest.fixture
def wired(tenant: Tenant) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.OWNER)
    client.raise_request_exception = False
    return client


def sane(answer: Any, odd: Any) -> None:
    assert answer.status_code < 500, (odd, answer.content[:500])
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert isinstance(answer.json()["errors"], dict)


def refused_together(send: Any, path: str, odd: Any) -> set[str]:
    """The fields that refuse the value by themselves: the response names each of them.

    The kind of a connection stays as it is, since it decides which fields there are.
    """
    kind = [name for name in FIELDS[path] if name.endswith("Type")]
    body = {**dict.fromkeys(FIELDS[path], odd), **{name: FIELDS[path][name] for name in kind}}
    answer = send(body)
    sane(answer, odd)
    return set(answer.json()["errors"]) - set(kind) if answer.status_code == 400 else set()


def try_each_field(send: Any, path: str) -> None:
    """Each odd value in each field: in all at once, then beside valid ones where that refused
    nothing."""
    for odd in ODD:
        refused = refused_together(send, path, odd)
        for field in [name for name in FIELDS[path] if name not in refused]:
            sane(send({**FIELDS[path], field: odd}), odd)


@pytest.mark.parametrize("path", FIELDS)
def test_odd_values_in_a_new_object(api: APIClient, path: str) -> None:
    keys = count()

    def create(body: dict[str, Any]) -> Any:
        key = {"idempotency-key": f"k{next(keys)}"}
        return api.post(f"/api/v1/{path.split('#')[0]}", body, headers=key)

    try_each_field(create, path)


@pytest.mark.parametrize("path", [path for path in FIELDS if path.startswith("integrations/")])
def test_odd_values_in_an_edited_object(api: APIClient, wired: Wired, path: str) -> None:
    row = {
        "integrations/scm": wired.scm,
        "integrations/targets": wired.targets["ios"],
        "integrations/targets#play": wired.targets["android"],
        "integrations/pipelines": wired.pipelines["ios"],
        "integrations/communication": wired.slack,
        "integrations/tickets": wired.jira,
        "integrations/health": factories.SentryFactory(tenant=wired.tenant),
    }[path]

    def edit(body: dict[str, Any]) -> Any:
        changed = {name: body[name] for name in body if body[name] != FIELDS[path][name]}
        return api.patch(f"/api/v1/{path.split('#')[0]}/{row.pk}", changed)

    try_each_field(edit, path)


@pytest.mark.parametrize("field", ["pipelineId", "platform", "x"])
def test_odd_values_in_a_trigger(api: APIClient, wired: Wired, field: str) -> None:
    release = wired.release()
    for odd in ODD:
        sane(api.post(f"/api/v1/releases/{release.pk}/builds", {field: odd}), odd)


def test_odd_values_in_an_adoption(api: APIClient, wired: Wired) -> None:
    (build,) = trigger_builds(release=wired.release("ios"), actor=None)
    effect = trigger_of(build)
    type(effect).objects.filter(pk=effect.pk).update(state="DEAD")
    for odd in [*ODD, {}]:
        if odd == 7:
            continue  # a valid number: Jenkins would be asked
        sane(api.post(f"/api/v1/effects/{effect.pk}/adopt", {"number": odd}), odd)
        for field in ("pipelineId", "offerId"):
            body = {"pipelineId": wired.pipelines["ios"].pk, "offerId": "7", field: odd}
            sane(api.post(f"/api/v1/releases/{effect.release_id}/adopt", body), odd)


ODD_IDS = ["x", "%00", "a%00b", "é", "%ff", "x" * 3000, "..%2f..", "rel_", "%E2%80%AE", "'--", "0"]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_odd_ids_are_unknown(api: APIClient, odd: str) -> None:
    for path in (
        "releases/{}",
        "integrations/scm/{}",
        "integrations/pipelines/{}",
        "integrations/tickets/{}/verify",
        "integrations/pipelines/{}/rotate-webhook-secret",
        "releases/{}/builds",
        "releases/{}/cancel",
        "releases/{}/adopt",
        "releases/{}/try-now",
        "releases/{}/marks/submitted",
        "builds/{}/cancel",
        "integrations/pipelines/{}/test-builds",
        "test-builds/{}",
        "test-builds/{}/cancel",
        "effects/{}/retry",
        "effects/{}/adopt",
        "effects/{}/cancel",
        "webhook-deliveries/{}/replay",
    ):
        method = api.get if path.count("/") == path.startswith("integ") + 1 else api.post
        answer = method(f"/api/v1/{path.format(odd)}")
        assert answer.status_code in (404, 405), (path, answer.content[:300])


@pytest.mark.parametrize("name", ["state", "releaseId", "kind", "pipelineId", "cursor", "limit"])
def test_odd_filters_break_nothing(api: APIClient, tenant: Tenant, name: str) -> None:
    factories.EffectFactory(tenant=tenant)
    for odd in [*filter(lambda o: isinstance(o, str), ODD), "cj0xJnA9YQ==", "cD0yMDI0LTAxLTAx"]:
        for path in ("effects", "webhook-deliveries", "releases", "integrations/scm"):
            sane(api.get(f"/api/v1/{path}", {name: odd}), odd)
