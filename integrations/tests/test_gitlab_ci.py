"""Connections of GitLab CI: project and token, in the API, the form and on pages."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wire_pipelines
from integrations.models import PipelineIntegration
from integrations.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PATH = "/api/v1/integrations/pipelines"


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_pipelines(tenant, sandbox.url)


def new(wired: Wired, **changes: Any) -> dict[str, Any]:
    given = {
        "pipelineType": "GITLAB_CI",
        "scmIntegrationId": wired.scm.pk,
        "targetIntegrationId": wired.targets["ios"].pk,
        "parameters": {"track": "production"},
    }
    return {**given, **changes}


def test_it_is_connected_with_the_projects_token(wired: Wired, api_for: Any) -> None:
    api = api_for(wired.tenant)
    answer = api.post(PATH, new(wired), format="json")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["id"].startswith("pipeline_gitlabci_")
    assert (body["hasAccessToken"], body["displayName"]) == (False, "iOS · GitLab CI")
    assert body["webhookUrl"].endswith(f"/webhooks/gitlab/{body['id']}")
    verified = api.post(f"{PATH}/{body['id']}/verify").json()
    assert verified["verificationStatus"] == "VALID", verified["checks"]
    assert [check["name"] for check in verified["checks"]][-2:] == ["correlation", "webhook"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"parameters": {"Version": "1"}}, "parameters", "Leave out Version: delivr sets it"),
        ({"parameters": {f"a{n}": "" for n in range(101)}}, "parameters", "At most 100"),
        ({"parameters": {"track": "{{ x }}"}}, "parameters", "does not know {{ x }}"),
        ({"parameters": {"a=b": "c"}}, "parameters", "not a valid parameter name"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    wired: Wired, api_for: Any, changes: dict[str, Any], field: str, words: str
) -> None:
    answer = api_for(wired.tenant).post(PATH, new(wired, **changes), format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert words in answer.json()["errors"][field][0]


def test_it_builds_projects_on_gitlab_alone(wired: Wired, api_for: Any) -> None:
    elsewhere = factories.ScmFactory(tenant=wired.tenant)
    answer = api_for(wired.tenant).post(PATH, new(wired, scmIntegrationId=elsewhere.pk))
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["scmIntegrationId"])
    words = answer.json()["errors"]["scmIntegrationId"]
    assert words == ["GitLab CI only builds repositories on GitLab."]


def test_its_own_token_never_goes_to_another_server(wired: Wired, api_for: Any) -> None:
    """Neither by choosing another project, nor by changing the project's address."""
    api, token = api_for(wired.tenant), "glpat-own-canary"
    made = api.post(PATH, new(wired, accessToken=token), format="json").json()
    pipeline = PipelineIntegration.objects.get(pk=made["id"])
    elsewhere = factories.ScmFactory(
        tenant=wired.tenant, scm_type="GITLAB", repository_url="https://evil.example.com/a/b"
    )
    change = {"scmIntegrationId": elsewhere.pk}
    refused = api.patch(f"{PATH}/{pipeline.pk}", change, format="json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["accessToken"])
    moved = {"repositoryUrl": "https://evil.example.com/a/b", "accessToken": "glpat-new"}
    scm = f"/api/v1/integrations/scm/{wired.scm.pk}"
    refused = api.patch(scm, moved, format="json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["repositoryUrl"])
    assert (fresh(pipeline).scm_id, fresh(wired.scm).repository_url) == (
        wired.scm.pk,
        wired.scm.repository_url,
    )
    change["accessToken"] = "glpat-for-there"
    assert api.patch(f"{PATH}/{pipeline.pk}", change, format="json").status_code == 200
    tried = api.patch(scm, moved, format="json")  # there is no such server
    assert [check["code"] for check in tried.json()["checks"]] == ["dns"]


def test_form_secret_page_and_dry_run_are_shown(
    wired: Wired, member_of: Any, client_for: Any
) -> None:
    web = client_for(member_of(wired.tenant, Role.ADMIN))
    form = web.get("/integrations/pipelines/new?kind=GITLAB_CI").content.decode()
    assert "What GitLab CI needs" in form
    assert "$[[ inputs.delivr_build_id ]]" in form
    pipeline = verify(wired.pipelines["ios"])
    rotated = web.post(f"/integrations/pipelines/{pipeline.pk}/rotate-secret")
    assert "Secret token" in rotated.content.decode()
    page = web.get(f"/integrations/pipelines/{pipeline.pk}").content.decode()
    assert "iOS · GitLab CI" in page
    assert "not testable" in page.lower()
