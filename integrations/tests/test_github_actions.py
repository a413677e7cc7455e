"""Connections of GitHub Actions: repository and token, in the API, the form and the picker."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.failures import ProviderError
from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wire_actions
from integrations.models import PipelineIntegration, ScmIntegration
from integrations.operations import disconnect
from integrations.providers.github_actions.provider import GitHubActions
from integrations.providers.registry import provider_for
from integrations.verification import verify
from releases.models import Release
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PATH = "/api/v1/integrations/pipelines"


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_actions(tenant, sandbox.url)


def new(wired: Wired, **changes: Any) -> dict[str, Any]:
    given = {
        "pipelineType": "GITHUB_ACTIONS",
        "scmIntegrationId": wired.scm.pk,
        "targetIntegrationId": wired.targets["ios"].pk,
        "workflow": ".github/workflows/beta.yml",
        "parameters": {"track": "production"},
    }
    return {**given, **changes}


def test_it_is_connected_with_the_repositorys_token(wired: Wired, api_for: Any) -> None:
    api = api_for(wired.tenant)
    answer = api.post(PATH, new(wired), format="json")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["id"].startswith("pipeline_githubactions_")
    assert (body["workflow"], body["hasAccessToken"]) == ("beta.yml", False)
    assert body["webhookUrl"].endswith(f"/webhooks/github/{body['id']}")
    assert body["webhookSecret"].startswith("whsec_")
    verified = api.post(f"{PATH}/{body['id']}/verify").json()
    assert verified["verificationStatus"] == "VALID", verified["checks"]
    names = [check["name"] for check in verified["checks"]]
    assert names[-4:] == ["parameters", "correlation", "concurrency", "expiry"]


def test_its_own_token_is_used_where_there_is_one(wired: Wired, api_for: Any) -> None:
    wrong = "ghp_of_nobody_canary"
    answer = api_for(wired.tenant).post(PATH, new(wired, accessToken=wrong), format="json")
    assert answer.json()["hasAccessToken"] is True
    assert wrong not in answer.content.decode()
    pipeline = verify(PipelineIntegration.objects.get(pk=answer.json()["id"]))
    assert pipeline.verification_status == "INVALID"
    assert "refused the access token" in pipeline.verification_error


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"workflow": "ios"}, "workflow", "ends in .yml"),
        ({"workflow": ""}, "workflow", "Fill this in"),
        ({"parameters": {"Version": "1"}}, "parameters", "Leave out Version: delivr sets it"),
        ({"parameters": {"track": "{{ x }}"}}, "parameters", "does not know {{ x }}"),
        ({"parameters": {f"a{n}": "" for n in range(26)}}, "parameters", "At most 25"),
        ({"scmIntegrationId": "scm_github_x"}, "scmIntegrationId", ""),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    wired: Wired, api_for: Any, changes: dict[str, Any], field: str, words: str
) -> None:
    answer = api_for(wired.tenant).post(PATH, new(wired, **changes), format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert words in answer.json()["errors"][field][0]


def test_a_repository_elsewhere_is_refused(
    wired: Wired, api_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the vendors today there is one; the rule is that of the provider."""
    monkeypatch.setattr(GitHubActions, "scm_kinds", ("GITHUB",))
    elsewhere = factories.ScmFactory(tenant=wired.tenant)
    ScmIntegration.objects.filter(pk=elsewhere.pk).update(scm_type="GITLAB")
    api = api_for(wired.tenant)
    answer = api.post(PATH, new(wired, scmIntegrationId=elsewhere.pk), format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["scmIntegrationId"])
    assert answer.json()["errors"]["scmIntegrationId"] == [
        "GitHub Actions only builds repositories on GitHub."
    ]
    pipeline = wired.pipelines["ios"]
    edited = api.patch(f"{PATH}/{pipeline.pk}", {"scmIntegrationId": elsewhere.pk}, format="json")
    assert (edited.status_code, fresh(pipeline).scm_id) == (400, wired.scm.pk)


def test_a_disconnected_pipeline_does_not_use_the_repositorys_token(wired: Wired) -> None:
    pipeline = wired.pipelines["ios"]
    disconnect(pipeline, actor=None)
    with pytest.raises(ProviderError, match="credential is missing"):
        provider_for(fresh(pipeline))
    assert not Release.objects.exists()


def test_the_picker_needs_the_repository_alone(
    wired: Wired, member_of: Any, client_for: Any
) -> None:
    web = client_for(member_of(wired.tenant, Role.ADMIN))
    address = "/integrations/pipelines/options?field=workflow"
    form = {"kind": "GITHUB_ACTIONS", "scm": wired.scm.pk}
    offered = [one["value"] for one in web.post(address, form).json()["options"]]
    assert "ios.yml" in offered
    assert "checks.yml" not in offered
    stranger = factories.ScmFactory(access_token=accounts.GITHUB_PUSH_TOKEN)
    refused = web.post(address, {**form, "scm": stranger.pk})
    assert refused.status_code in (400, 422)
    assert "ios.yml" not in refused.content.decode()


def test_the_form_and_the_page_are_shown(wired: Wired, member_of: Any, client_for: Any) -> None:
    web = client_for(member_of(wired.tenant, Role.ADMIN))
    form = web.get("/integrations/pipelines/new?kind=GITHUB_ACTIONS").content.decode()
    assert "What GitHub Actions needs" in form
    assert "${{ inputs.delivr_build_id }}" in form
    page = web.get(f"/integrations/pipelines/{wired.pipelines['ios'].pk}").content.decode()
    assert "GitHub Actions" in page
