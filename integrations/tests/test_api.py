"""The API of connections: responses, roles, other tenants, and secrets that are never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Membership, Role, Tenant
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wire
from integrations.models import FAMILIES, PipelineIntegration
from integrations.setup import STEPS
from integrations.throttle import VERIFICATIONS, throttle
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

BASE = "/api/v1/integrations"
NOWHERE = "http://127.0.0.1:1"
COMMON = {
    "id",
    "tenantId",
    "displayName",
    "verificationStatus",
    "verificationError",
    "lastVerifiedAt",
    "credentialChangedAt",
    "credentialExpiresAt",
    "checks",
    "createdAt",
    "updatedAt",
}
OWN = {
    "scm": {
        "scmType",
        "repositoryUrl",
        "hasAccessToken",
        "githubAppId",
        "githubInstallationId",
        "hasGithubPrivateKey",
    },
    "targets": {
        "targetType",
        "appIdentifier",
        "appleIssuerId",
        "appleKeyId",
        "hasAppleApiKey",
        "webhookUrl",
    },
    "pipelines": {
        "pipelineType",
        "scmIntegrationId",
        "targetIntegrationId",
        "jenkinsUrl",
        "jenkinsUsername",
        "hasJenkinsApiToken",
        "jenkinsJobPath",
        "jenkinsUnstable",
        "parameters",
        "webhookUrl",
    },
    "communication": {"communicationType", "hasSlackAppToken", "hasSlackBotToken", "slackChannels"},
    "tickets": {
        "ticketType",
        "jiraUrl",
        "jiraEmail",
        "hasJiraApiToken",
        "jiraProjectKey",
        "jiraEpicTypeName",
        "jiraFields",
        "jiraDoneStatus",
        "jiraDeployment",
    },
    "health": {
        "healthType",
        "sentryUrl",
        "hasSentryToken",
        "sentryOrganization",
        "sentryProject",
    },
}
PREFIX = {
    "scm": "scm_github_",
    "targets": "target_appstore_",
    "pipelines": "pipeline_jenkins_",
    "communication": "comm_slack_",
    "tickets": "ticket_jira_",
    "health": "health_sentry_",
}
CHANGE = {
    "scm": {"repositoryUrl": "https://github.com/dream11/other"},
    "targets": {"appIdentifier": "com.dream11.other"},
    "pipelines": {"jenkinsJobPath": "/job/other"},
    "communication": {"slackChannels": ["C777"]},
    "tickets": {"jiraProjectKey": "OTHER"},
    "health": {"sentryProject": "website"},
}


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant, Role.ADMIN)
    return client


@pytest.fixture
def bodies(sandbox_values: dict[str, Any], tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The request bodies that connect the sandbox, by family."""
    wired = wire(tenant, NOWHERE)
    return {
        **sandbox_values,
        "targets": sandbox_values["targets"][0],
        "pipelines": {
            **sandbox_values["pipelines"][0],
            "scmIntegrationId": wired.scm.pk,
            "targetIntegrationId": wired.targets["ios"].pk,
        },
    }


def rows_of(wired: Wired) -> dict[str, Any]:
    return {
        "scm": wired.scm,
        "targets": wired.targets["ios"],
        "pipelines": wired.pipelines["ios"],
        "communication": wired.slack,
        "tickets": wired.jira,
        "health": factories.SentryFactory(tenant=wired.tenant),
    }


def secrets_in(body: Any) -> list[str]:
    """The secret values of a request."""
    found = []
    for name, value in body.items():
        if name.endswith(("Token", "ApiKey")):
            found.append(value)
        elif name == "googleServiceAccount":
            found.append(value["private_key"])
    return found


# --- The way through -----------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connection_is_created_edited_verified_and_deleted(
    api: APIClient, bodies: dict[str, Any], tenant: Tenant, family: str
) -> None:
    made = api.post(f"{BASE}/{family}", bodies[family])
    assert made.status_code == 201, made.json()
    body = made.json()
    once = {"webhookSecret"} if family == "pipelines" else set()
    assert set(body) == COMMON | OWN[family] | once
    assert body["id"].startswith(PREFIX[family])
    assert (body["tenantId"], body["verificationStatus"]) == (tenant.pk, "PENDING")
    url = f"{BASE}/{family}/{body['id']}"
    assert set(api.get(url).json()) == COMMON | OWN[family]
    listed = api.get(f"{BASE}/{family}").json()["results"]
    assert body["id"] in [row["id"] for row in listed]
    verified = api.post(f"{url}/verify")
    assert verified.status_code == 200
    assert verified.json()["verificationStatus"] == "VALID", verified.json()["checks"]
    check = verified.json()["checks"][0]
    assert set(check) >= {"name", "ok", "code", "message", "hint", "level"}
    changed = api.patch(url, CHANGE[family])
    assert changed.status_code == 200, changed.json()
    assert changed.json()["verificationStatus"] == "PENDING"
    ((name, value),) = CHANGE[family].items()
    assert api.get(url).json()[name] == value
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404
    events = AuditEvent.objects.filter(subject_id=body["id"]).order_by("id")
    assert [e.action for e in events] == [
        "integration.connected",
        "integration.verified",
        "integration.edited",
        "integration.disconnected",
    ]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_service_account_is_sent_as_an_object_or_as_text(
    api: APIClient, sandbox_values: dict[str, Any], as_text: bool
) -> None:
    body = dict(sandbox_values["targets"][1])
    if as_text:
        body["googleServiceAccount"] = json.dumps(body["googleServiceAccount"])
    made = api.post(f"{BASE}/targets", body)
    assert made.status_code == 201, made.json()
    assert made.json()["id"].startswith("target_playstore_")
    assert made.json()["hasGoogleServiceAccount"] is True


def test_the_setup_requires_verified_connections(api: APIClient, tenant: Tenant) -> None:
    for row in rows_of(wire(tenant, NOWHERE)).values():
        type(row).objects.update(verification_status="PENDING")
    wire(factories.TenantFactory(), NOWHERE)
    answer = api.get("/api/v1/setup").json()
    assert [s["key"] for s in answer["steps"]] == [step.key for step in STEPS]
    assert [s["state"] for s in answer["steps"]] == ["CURRENT", "TODO", "TODO", "TODO", "TODO"]
    assert [s["optional"] for s in answer["steps"]] == [False, False, False, True, True]
    assert answer["complete"] is False


# --- Secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_no_response_contains_a_secret(api: APIClient, bodies: dict[str, Any], family: str) -> None:
    made = api.post(f"{BASE}/{family}", bodies[family])
    url = f"{BASE}/{family}/{made.json()['id']}"
    answers = [
        made,
        api.get(url),
        api.get(f"{BASE}/{family}"),
        api.post(f"{url}/verify"),
        api.patch(url, {**CHANGE[family], **bodies[family], "extra": 1}),
        api.patch(url, CHANGE[family]),
        api.post(f"{BASE}/{family}", {**bodies[family], "extra": 1}),
    ]
    text = "\n".join(a.content.decode() for a in answers)
    secrets = secrets_in(bodies[family])
    assert secrets
    for secret in secrets:
        assert json.dumps(secret)[1:-1] not in text
        assert secret not in text


def test_the_webhook_secret_is_shown_once(api: APIClient, bodies: dict[str, Any]) -> None:
    made = api.post(f"{BASE}/pipelines", bodies["pipelines"])
    secret = made.json()["webhookSecret"]
    assert secret.startswith("whsec_")
    assert made["Cache-Control"] == "no-store"
    url = f"{BASE}/pipelines/{made.json()['id']}"
    later = [api.get(url), api.patch(url, {"displayName": "x"}), api.get(f"{BASE}/pipelines")]
    assert not [a for a in later if "webhookSecret" in a.content.decode()]
    rotated = api.post(f"{url}/rotate-webhook-secret")
    assert rotated.status_code == 200
    assert rotated["Cache-Control"] == "no-store"
    assert rotated.json()["webhookSecret"] not in ("", secret)
    assert secret not in rotated.content.decode()
    assert made.json()["webhookUrl"].endswith(f"/api/v1/webhooks/jenkins/{made.json()['id']}")


def test_a_replayed_webhook_secret_is_not_cached_either(
    api: APIClient, bodies: dict[str, Any]
) -> None:
    for _n in range(2):
        answer = api.post(
            f"{BASE}/pipelines", bodies["pipelines"], headers={"idempotency-key": "k"}
        )
    assert answer["Idempotent-Replayed"] == "true"
    assert answer["Cache-Control"] == "no-store"
    stored = PipelineIntegration.objects.get(pk=answer.json()["id"]).webhook_secret
    assert answer.json()["webhookSecret"] == stored.reveal()


def test_a_rotation_repeated_under_its_key_rotates_once(api: APIClient, tenant: Tenant) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    url = f"{BASE}/pipelines/{pipeline.pk}/rotate-webhook-secret"
    first, second = (api.post(url, headers={"idempotency-key": "k"}) for _n in range(2))
    assert first.json()["webhookSecret"] == second.json()["webhookSecret"]
    assert AuditEvent.objects.filter(action="webhook_secret.rotated").count() == 1


def test_an_omitted_secret_is_kept_and_a_new_address_requires_it(
    api: APIClient, tenant: Tenant
) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    url = f"{BASE}/pipelines/{pipeline.pk}"
    assert api.patch(url, {"jenkinsUsername": "other"}).status_code == 200
    assert fresh(pipeline).api_token.reveal() == "factory jenkins token"
    moved = api.patch(url, {"jenkinsUrl": "https://jenkins.example.com"})
    assert moved.status_code == 400
    assert set(moved.json()["errors"]) == {"jenkinsApiToken"}
    assert fresh(pipeline).server_url == pipeline.server_url


# --- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [None, "", "BITBUCKET", 7, [], {}, True, "GITHUB "])
def test_an_unknown_type_is_refused_with_the_known_ones(
    api: APIClient, family: str, kind: Any
) -> None:
    name = next(n for n in OWN[family] if n.endswith("Type"))
    answer = api.post(f"{BASE}/{family}", {name: kind} if kind is not None else {})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {name}
    assert "Choose one of" in answer.json()["errors"][name][0]


def test_a_connections_type_cannot_be_changed(api: APIClient, tenant: Tenant) -> None:
    target = factories.AppStoreFactory(tenant=tenant)
    answer = api.patch(f"{BASE}/targets/{target.pk}", {"targetType": "PLAY_STORE"})
    assert answer.json()["errors"] == {"targetType": ["There is no such field."]}


@pytest.mark.parametrize(
    "name", ["id", "tenantId", "verificationStatus", "checks", "webhookSecret", "hasAccessToken"]
)
def test_read_only_fields_cannot_be_sent(api: APIClient, tenant: Tenant, name: str) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    answer = api.patch(f"{BASE}/scm/{scm.pk}", {name: "VALID"})
    assert answer.json()["errors"] == {name: ["There is no such field."]}


@pytest.mark.parametrize("act", ["verify", "new credential"])
def test_providers_are_asked_20_times_a_minute(
    api: APIClient, tenant: Tenant, sandbox: Any, act: str
) -> None:
    """A PATCH with a new credential counts as a verification; one without does not."""
    scm = factories.ScmFactory(tenant=tenant)
    where, asked = f"/api/v1/integrations/scm/{scm.pk}", len(sandbox.state.requests)
    user = Membership.objects.get(tenant=tenant).user
    for _n in range(VERIFICATIONS):
        throttle("verify", user=user)
    body = {"accessToken": "ghp_another"}
    answer = api.post(f"{where}/verify") if act == "verify" else api.patch(where, body)
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert int(answer["Retry-After"]) > 0
    assert len(sandbox.state.requests) == asked
    assert api.patch(where, {"displayName": "Another"}).status_code == 200


def test_a_connection_in_use_is_not_deleted(api: APIClient, tenant: Tenant) -> None:
    wired = wire(tenant, NOWHERE)
    release = wired.release(slack=True, jira=True)
    for family, row in rows_of(wired).items():
        if family == "health":  # no release refers to it
            continue
        answer = api.delete(f"{BASE}/{family}/{row.pk}")
        assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
        assert f"release {release.version}" in answer.json()["detail"]
        assert fresh(row).disconnected_at is None
    Release.objects.update(status="CANCELLED")
    assert api.delete(f"{BASE}/tickets/{wired.jira.pk}").status_code == 204


# --- Roles and strangers -------------------------------------------------------------------------

WRITES = [
    ("post", "{base}/{family}", {}),
    ("patch", "{base}/{family}/{id}", {"displayName": "changed"}),
    ("delete", "{base}/{family}/{id}", None),
    ("post", "{base}/{family}/{id}/verify", {}),
]


def ask(client: APIClient, method: str, path: str, family: str, pk: str, body: Any) -> Any:
    url = path.format(base=BASE, family=family, id=pk)
    return getattr(client, method)(url, body) if body is not None else getattr(client, method)(url)


def state(row: Any) -> Any:
    return type(row).objects.filter(pk=row.pk).values().get()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
@pytest.mark.parametrize("family", FAMILIES)
def test_only_admins_change_connections(
    tenant: Tenant, api_for: Any, role: Role, family: str
) -> None:
    row = rows_of(wire(tenant, NOWHERE))[family]
    client, before = api_for(tenant, role), str(state(row))
    assert client.get(f"{BASE}/{family}").status_code == 200
    assert client.get(f"{BASE}/{family}/{row.pk}").status_code == 200
    for method, path, body in WRITES:
        answer = ask(client, method, path, family, row.pk, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert str(state(row)) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stranger_gets_the_same_answer_as_for_an_unknown_id(
    tenant: Tenant, api_for: Any, family: str
) -> None:
    row = rows_of(wire(tenant, NOWHERE))[family]
    client, before = api_for(factories.TenantFactory(), Role.OWNER), str(state(row))
    for method, path, body in [("get", "{base}/{family}/{id}", None), *WRITES[1:]]:
        theirs = ask(client, method, path, family, row.pk, body)
        nobodys = ask(client, method, path, family, row.pk[:-4] + "none", body)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.content == nobodys.content
    assert client.get(f"{BASE}/{family}").json()["results"] == []
    assert str(state(row)) == before


def test_a_stranger_cannot_rotate_a_webhook_secret(tenant: Tenant, api_for: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    before = str(state(pipeline))
    client = api_for(factories.TenantFactory(), Role.OWNER)
    url = f"{BASE}/pipelines/{pipeline.pk}/rotate-webhook-secret"
    assert client.post(url).status_code == 404
    assert api_for(tenant, Role.MEMBER).post(url).status_code == 403
    assert str(state(pipeline)) == before


@pytest.mark.parametrize("field", ["scmIntegrationId", "targetIntegrationId"])
def test_a_reference_to_another_tenant_is_answered_like_an_unknown_one(
    api: APIClient, bodies: dict[str, Any], field: str
) -> None:
    other = wire(factories.TenantFactory(), NOWHERE)
    theirs = {"scmIntegrationId": other.scm.pk, "targetIntegrationId": other.targets["ios"].pk}
    said = [
        api.post(f"{BASE}/pipelines", {**bodies["pipelines"], field: pk}).json()
        for pk in (theirs[field], theirs[field][:-4] + "none")
    ]
    assert said[0] == said[1]
    assert said[0]["errors"] == {field: ["This connection does not exist."]}


def test_a_disconnected_connection_is_gone(api: APIClient, tenant: Tenant) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    assert api.delete(f"{BASE}/scm/{scm.pk}").status_code == 204
    answers = [
        api.get(f"{BASE}/scm/{scm.pk}"),
        api.patch(f"{BASE}/scm/{scm.pk}", {"displayName": "x"}),
        api.delete(f"{BASE}/scm/{scm.pk}"),
        api.post(f"{BASE}/scm/{scm.pk}/verify"),
    ]
    assert {a.status_code for a in answers} == {404}
    assert api.get(f"{BASE}/scm").json()["results"] == []


def test_an_id_of_another_family_is_unknown(api: APIClient, tenant: Tenant) -> None:
    scm = factories.ScmFactory(tenant=tenant)
    assert api.get(f"{BASE}/tickets/{scm.pk}").status_code == 404
