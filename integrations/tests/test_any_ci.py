"""Connections of Any CI: in the API, the form and the demo."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from builds.testbuilds.operations import start_test
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, wire_any_ci
from integrations.models import PipelineIntegration
from integrations.operations import edit
from integrations.providers.registry import provider_for
from integrations.verification import verify
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PATH = "/api/v1/integrations/pipelines"
CANARY = "canary-of-a-header"


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_any_ci(tenant, sandbox.url)


def test_it_is_connected_verified_and_shows_no_header(
    wired: Wired, sandbox: Any, api_for: Any
) -> None:
    api = api_for(wired.tenant)
    given = {
        "pipelineType": "WEBHOOK",
        "scmIntegrationId": wired.scm.pk,
        "targetIntegrationId": wired.targets["ios"].pk,
        "triggerUrl": f"{sandbox.url}/anyci/hooks/ios",
        "triggerHeaders": {"Authorization": f"Bearer {accounts.ANY_CI_TOKEN}", "X-Team": CANARY},
        "parameters": {"LANE": "beta"},
    }
    answer = api.post(PATH, given, format="json")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["id"].startswith("pipeline_webhook_")
    assert (body["hasTriggerHeaders"], body["statusUrl"]) == (True, "")
    assert body["webhookUrl"].endswith(f"/webhooks/builds/{body['id']}")
    verified = api.post(f"{PATH}/{body['id']}/verify")
    states = {check["name"]: check["state"] for check in verified.json()["checks"]}
    assert verified.json()["verificationStatus"] == "VALID"
    assert states == {"address": "PASSED", "credentials": "NOT_TESTABLE", "status": "WARNING"}
    status = f"{sandbox.url}/anyci/status/{{buildId}}"
    changed = api.patch(f"{PATH}/{body['id']}", {"statusUrl": status}, format="json")
    assert changed.json()["statusUrl"] == status
    for one in (answer, verified, changed):
        assert CANARY not in one.content.decode()
    pipeline = PipelineIntegration.objects.get(pk=body["id"])
    assert CANARY.encode() not in bytes(pipeline.api_token.ciphertext)


def test_its_pages_say_what_differs(wired: Wired, sandbox: Any, web: Client) -> None:
    pipeline = verify(wired.pipelines["ios"])
    assert pipeline.is_valid, pipeline.checks
    page = f"/integrations/pipelines/{pipeline.pk}"
    shown = web.get(page).content.decode()
    assert f"iOS · {sandbox.url.partition('://')[2]}/anyci/hooks/ios" in shown
    assert "delivr polls Any CI" in shown
    assert accounts.ANY_CI_TOKEN not in web.get(f"{page}?edit=1").content.decode()
    start_test(pipeline=pipeline, actor=None, version="0.0.1", branch="main")
    sweep_until_idle()
    assert "cannot be told to stop" in web.get(page).content.decode()
    PipelineIntegration.objects.update(options={})
    assert "reports nothing for 3 h" in web.get(page).content.decode()


def test_headers_are_asked_for_again_for_another_server_only(wired: Wired) -> None:
    pipeline = wired.pipelines["ios"]
    edit(pipeline, actor=None, values={"trigger_url": f"{pipeline.server_url}?team=a"})
    with pytest.raises(ValidationError) as refused:
        edit(pipeline, actor=None, values={"trigger_url": "https://thief.example.com"})
    assert list(refused.value.message_dict) == ["trigger_headers"]
    PipelineIntegration.objects.update(api_token=None)
    edit(pipeline, actor=None, values={"trigger_url": "https://ci.example.com"})
    assert fresh(pipeline).server_url == "https://ci.example.com"


def test_the_demos_receiver_is_given_the_secret(
    wired: Wired, sandbox: Any, settings: Any, web: Client
) -> None:
    settings.SANDBOX_URL = sandbox.url
    pipeline = wired.pipelines["ios"]
    pipeline.webhook_secret = "whsec_b2YtdGhlLWRlbW8tb2YtdGhlLWRlbW8="
    pipeline.save()
    assert [check.ok for check in provider_for(fresh(pipeline)).verify()] == [True, True, False]
    answer = web.post(reverse("give_to_sandbox", args=[pipeline.pk]), follow=True)
    assert "sends the webhook of" in answer.content.decode()
    provider = provider_for(fresh(pipeline))
    assert [check.ok for check in provider.verify()] == [True, True, True]
