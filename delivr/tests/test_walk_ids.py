"""Ids of another workspace in bodies, filters, forms and query strings: the response equals that
for an unknown id, byte for byte, and nothing changes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from delivr.tenants.models import Role, Tenant
from delivr.tests.sample_workspace import (
    NOWHERE,
    OURS,
    THEIRS,
    SampleWorkspace,
    build_workspace,
    everything,
)
from delivr.tests.test_walk import body_of, same, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]


@pytest.fixture
def ours(db: None) -> SampleWorkspace:
    return build_workspace(OURS)


@pytest.fixture
def theirs(db: None) -> SampleWorkspace:
    return build_workspace(THEIRS)


@pytest.fixture
def api(ours: SampleWorkspace, api_for: Any) -> APIClient:
    client: APIClient = api_for(ours.tenant, Role.OWNER)
    return client


@pytest.fixture
def pages(ours: SampleWorkspace) -> Client:
    return signed_in(ours.users["OWNER"])


def nobodys(pk: str) -> str:
    return f"{pk[:-6]}zzzzzz"


def status_and_text(answer: Any, pk: str) -> tuple[int, str]:
    """Status and text of a response, without the requested id."""
    text = re.sub(r'form_token" value="[^"]*', "", same(body_of(answer), pk))
    return answer.status_code, text


RELEASE = {"version": "9.9.9", "targets": ["targets"], "pipelines": ["pipelines"]}
BODIES: list[tuple[str, str, str, dict[str, Any]]] = (
    [
        (
            "releases",
            family,
            field,
            {
                **RELEASE,
                "scmIntegrationId": "scm",
                "communicationId": "communication",
                "ticketId": "tickets",
            },
        )
        for family, field in (
            ("scm", "scmIntegrationId"),
            ("targets", "targets"),
            ("pipelines", "pipelines"),
            ("communication", "communicationId"),
            ("tickets", "ticketId"),
        )
    ]
    + [
        (
            "integrations/pipelines",
            family,
            field,
            {
                "pipelineType": "JENKINS",
                "scmIntegrationId": "scm",
                "targetIntegrationId": "targets",
                "jenkinsUrl": NOWHERE,
                "jenkinsUsername": "u",
                "jenkinsApiToken": "t",
                "jenkinsJobPath": "/job/x",
            },
        )
        for family, field in (("scm", "scmIntegrationId"), ("targets", "targetIntegrationId"))
    ]
    + [
        (
            "integrations/health",
            "targets",
            "targetIntegrationId",
            {"healthType": "PLAY_VITALS", "targetIntegrationId": "targets"},
        )
    ]
)


def filled(body: dict[str, Any], workspace: SampleWorkspace) -> dict[str, Any]:
    """The body with the workspace's ids instead of the families' names."""

    def own(value: Any) -> Any:
        if isinstance(value, list):
            return [own(part) for part in value]
        return workspace.connections.get(value, value)

    return {name: own(value) for name, value in body.items()}


@pytest.mark.parametrize(("path", "family", "field", "body"), BODIES)
@pytest.mark.parametrize("dry", ["", "?dryRun=true"])
def test_foreign_id_in_a_body(
    api: APIClient,
    ours: SampleWorkspace,
    theirs: SampleWorkspace,
    path: str,
    family: str,
    field: str,
    body: dict[str, Any],
    dry: str,
) -> None:
    foreign = theirs.connections[family]
    answers = []
    before = everything()
    for pk in (foreign, nobodys(foreign)):
        wrong: Any = [pk] if isinstance(body[field], list) else pk
        answer = api.post(f"/api/v1/{path}{dry}", {**filled(body, ours), field: wrong})
        answers.append(status_and_text(answer, pk))
    assert answers[0] == answers[1]
    assert answers[0][0] == 400
    assert theirs.word not in answers[0][1]
    assert everything() == before


@pytest.mark.parametrize("field", ["scmIntegrationId", "targetIntegrationId"])
def test_foreign_id_in_an_edit(
    api: APIClient, ours: SampleWorkspace, theirs: SampleWorkspace, field: str
) -> None:
    family = {"scmIntegrationId": "scm", "targetIntegrationId": "targets"}[field]
    foreign = theirs.connections[family]
    path = f"/api/v1/integrations/pipelines/{ours.connections['pipelines']}"
    before = everything()
    answers = [
        status_and_text(api.patch(path, {field: pk}), pk) for pk in (foreign, nobodys(foreign))
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 400
    assert everything() == before


FILTERS = [
    ("effects", "releaseId", "release_id"),
    ("webhook-deliveries", "pipelineId", "pipeline_id"),
    ("audit-events", "subjectId", "release_id"),
]


@pytest.mark.parametrize(("path", "name", "row"), FILTERS)
def test_foreign_id_in_a_filter(
    api: APIClient, theirs: SampleWorkspace, path: str, name: str, row: str
) -> None:
    foreign = theirs.ids[row]
    answers = [
        status_and_text(api.get(f"/api/v1/{path}", {name: pk}), pk)
        for pk in (foreign, nobodys(foreign))
    ]
    assert answers[0] == answers[1]
    assert answers[0] == (200, '{"results":[],"next":null}')


def test_cursor_of_another_workspace_stays_in_ones_own(
    api: APIClient, api_for: Any, ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    other: APIClient = api_for(theirs.tenant, Role.OWNER)
    following = other.get("/api/v1/effects", {"limit": 1}).json()["next"]
    assert following
    text = body_of(api.get(following))
    assert theirs.word not in text
    assert theirs.ids["effect_id"] not in text


def test_idempotency_key_of_another_workspace_is_a_new_one(
    api: APIClient, api_for: Any, ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    other: APIClient = api_for(theirs.tenant, Role.OWNER)
    body = {"scmType": "GITHUB", "repositoryUrl": "https://github.com/a/b", "accessToken": "t"}
    first = other.post("/api/v1/integrations/scm", body, headers={"idempotency-key": "shared"})
    second = api.post("/api/v1/integrations/scm", body, headers={"idempotency-key": "shared"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["tenantId"] == theirs.tenant.pk
    assert second.json()["tenantId"] == ours.tenant.pk
    assert "Idempotent-Replayed" not in second


def test_key_of_another_member_is_not_replayed(
    api: APIClient, api_for: Any, ours: SampleWorkspace
) -> None:
    """The first response may show a secret, so only the first member gets it."""
    path = f"/api/v1/integrations/pipelines/{ours.connections['pipelines']}/rotate-webhook-secret"
    assert api.post(path, headers={"idempotency-key": "mine"}).status_code == 200
    other: APIClient = api_for(ours.tenant, Role.OWNER)
    answer = other.post(path, headers={"idempotency-key": "mine"})
    assert answer.status_code == 422
    assert "whsec_" not in body_of(answer)


# --- Forms and query strings ----------------------------------------------------------------------


def test_foreign_connection_in_a_form(pages: Client, theirs: SampleWorkspace) -> None:
    before = everything()
    for family, foreign in theirs.connections.items():
        for method, path, name in (
            (pages.post, f"/setup/{family}", "connection"),
            (pages.get, f"/setup/{family}", "edit"),
            (pages.post, f"/integrations/{family}/options", "connection"),
        ):
            answers = [
                status_and_text(method(path, {name: pk}), pk) for pk in (foreign, nobodys(foreign))
            ]
            assert answers[0] == answers[1]
            assert answers[0][0] == 404
    assert everything() == before


def test_foreign_ids_in_the_form_of_a_pipeline(
    pages: Client, ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    before = everything()
    for name, family in (("scm", "scm"), ("target", "targets")):
        answers = []
        foreign = theirs.connections[family]
        for pk in (foreign, nobodys(foreign)):
            sent = {"jenkins_url": NOWHERE, "jenkins_job_path": "/job/x", name: pk}
            answers.append(status_and_text(pages.post("/integrations/pipelines/new", sent), pk))
        assert answers[0] == answers[1]
        assert theirs.word not in answers[0][1]
    assert everything() == before


@pytest.mark.parametrize(
    ("field", "family"),
    [
        ("scm", "scm"),
        ("targets", "targets"),
        ("pipelines", "pipelines"),
        ("communications", "communication"),
        ("ticket", "tickets"),
    ],
)
def test_foreign_ids_in_the_form_of_a_release(
    pages: Client, ours: SampleWorkspace, theirs: SampleWorkspace, field: str, family: str
) -> None:
    before = everything()
    foreign = theirs.connections[family]
    own = {
        "version": "9.9.9",
        "scm": ours.connections["scm"],
        "targets": ours.connections["targets"],
        "pipelines": ours.connections["pipelines"],
    }
    answers = [
        status_and_text(pages.post("/releases/new", {**own, field: pk}), pk)
        for pk in (foreign, nobodys(foreign))
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 200
    assert theirs.word not in answers[0][1]
    assert everything() == before


def test_foreign_pipeline_in_a_trigger(
    pages: Client, api: APIClient, ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    release, foreign = ours.ids["release_id"], theirs.connections["pipelines"]
    before = everything()
    answers = []
    for pk in (foreign, nobodys(foreign)):
        by_form = pages.post(f"/releases/{release}/builds", {"pipeline": pk})
        by_api = api.post(f"/api/v1/releases/{release}/builds", {"pipelineId": pk})
        answers.append((status_and_text(by_form, pk), status_and_text(by_api, pk)))
    assert answers[0] == answers[1]
    assert (answers[0][0][0], answers[0][1][0]) == (404, 400)
    assert everything() == before


def test_nobody_switches_to_another_users_workspace(
    pages: Client, ours: SampleWorkspace, theirs: SampleWorkspace
) -> None:
    answers = [
        status_and_text(pages.post("/settings/switch", {"tenant": pk}), pk)
        for pk in (theirs.tenant.pk, "zzzzzzzzzz")
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert theirs.word not in body_of(pages.get("/releases"))
    assert pages.post("/settings/switch", {"tenant": ours.tenant.pk}).status_code == 302


def test_session_of_a_former_member_loses_access(pages: Client, ours: SampleWorkspace) -> None:
    owner = ours.users["OWNER"]
    elsewhere = Tenant.objects.create(name="Elsewhere")
    owner.memberships.update(tenant=elsewhere)
    pages.post("/settings/switch", {"tenant": ours.tenant.pk})
    assert ours.word not in body_of(pages.get("/releases"))
    assert pages.get(f"/releases/{ours.ids['release_id']}").status_code == 404


def test_role_counts_from_the_next_request_on(pages: Client, ours: SampleWorkspace) -> None:
    path = "/settings/tokens"
    assert pages.get(path).status_code == 200
    ours.users["OWNER"].memberships.update(role=Role.VIEWER)
    assert pages.get(path).status_code == 403
