"""The page that shows a webhook secret polls until the first delivery arrives."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.webhooks.deliveries import apply_delivery
from delivr.tenants.models import Role
from delivr.tests import factories as make
from integrations.models import PipelineIntegration
from integrations.views.webhook_secret import try_command

pytestmark = pytest.mark.django_db


def part(pipeline: PipelineIntegration, since: Any) -> str:
    moment = since if isinstance(since, str) else since.isoformat().replace("+", "%2B")
    return f"/integrations/pipelines/{pipeline.pk}/listening?since={moment}"


@pytest.fixture
def pipeline(tenant: Any) -> PipelineIntegration:
    return make.PipelineFactory(tenant=tenant)


def test_polling_continues_without_a_delivery(web: Any, pipeline: PipelineIntegration) -> None:
    make.DeliveryFactory(pipeline=pipeline)  # before the page was made
    answer = web.get(part(pipeline, timezone.now()))
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_first_delivery_is_shown_and_ends_polling(
    web: Any, pipeline: PipelineIntegration
) -> None:
    since = timezone.now()
    make.DeliveryFactory(pipeline=pipeline)
    answer = web.get(part(pipeline, since))
    html = answer.content.decode()
    assert answer.status_code == 286
    assert "Received: the webhook works." in html
    assert "hx-get" not in html


def test_after_the_time_limit_possible_causes_are_shown(
    web: Any, pipeline: PipelineIntegration
) -> None:
    answer = web.get(part(pipeline, timezone.now() - timedelta(minutes=11)))
    assert answer.status_code == 286
    assert "its secret is wrong" in answer.content.decode()


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-01T00:00:00", "2026-99-99T00:00:00Z"])
def test_an_invalid_time_is_treated_as_now(
    web: Any, pipeline: PipelineIntegration, since: str
) -> None:
    assert web.get(part(pipeline, since)).status_code == 204


def test_a_stranger_gets_not_found(client_for: Any, stranger: Any, pipeline: Any) -> None:
    assert client_for(stranger).get(part(pipeline, timezone.now())).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_command_on_the_page_is_a_delivery_that_changes_no_build(
    live_server: Any, pipeline: PipelineIntegration, tenant: Any, member_of: Any, client_for: Any
) -> None:
    url = f"{live_server.url}/api/v1/webhooks/jenkins/{pipeline.pk}"
    command = try_command(url, pipeline.webhook_secret.reveal())
    answer = subprocess.run(
        ["sh", "-c", f"{command} -s"], check=True, capture_output=True, text=True
    )
    delivery_id = json.loads(answer.stdout)["deliveryId"]
    apply_delivery(delivery_id)
    assert pipeline.deliveries.get(pk=delivery_id).state == "IGNORED"
    page = client_for(member_of(tenant, Role.VIEWER)).get(
        part(pipeline, timezone.now() - timedelta(minutes=1))
    )
    assert "Received: the webhook works." in page.content.decode()
