"""Rate limits of the webhook endpoint: one sender cannot use up the limit of another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from builds.models import WebhookDelivery
from builds.tests.sending import SEED, basic, client, path, post, raw, send, signed
from builds.webhooks import views as webhooks
from delivr.tests import factories
from delivr.tests.wired import Wired, wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("way")]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _low_limits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOKS_PER_MINUTE = 3
    monkeypatch.setattr(webhooks, "REFUSALS", 3)


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


def slowed_down(answer: Any) -> None:
    assert answer.status_code == 429, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "throttled"
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_a_sender_beyond_its_limit_has_to_wait(pipeline: Any) -> None:
    assert [send(pipeline, SEED).status_code for _n in range(3)] == [202] * 3
    slowed_down(send(pipeline, SEED))
    slowed_down(post(path(pipeline), SEED, basic(pipeline.webhook_secret.reveal())))
    assert WebhookDelivery.objects.count() == 3


def test_each_pipeline_has_its_own_limit(wired: Wired) -> None:
    for _n in range(4):
        last = send(wired.pipelines["ios"], SEED)
    slowed_down(last)
    assert send(wired.pipelines["android"], SEED).status_code == 202


def test_large_bodies_count_for_the_whole_workspace(
    wired: Wired, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOKS_PER_MINUTE = 100
    monkeypatch.setattr(webhooks, "LARGE_AN_HOUR", 2)
    large = {**SEED, "log": "x" * webhooks.LARGE}
    for platform in ("ios", "android"):
        assert send(wired.pipelines[platform], large).status_code == 202
    refused = send(wired.pipelines["ios"], large)
    assert (refused.status_code, int(refused["Retry-After"]) > 60) == (429, True)
    assert send(wired.pipelines["ios"], SEED).status_code == 202
    other = wire(factories.TenantFactory(), NOWHERE)
    assert send(other.pipelines["ios"], large).status_code == 202


def test_a_sender_without_secret_is_limited_and_blocks_nobody(pipeline: Any) -> None:
    """Even from one address, as behind a proxy, the genuine sender keeps its whole limit."""
    answers = [post(path(pipeline), SEED, basic("wrong")) for _n in range(20)]
    assert [a.status_code for a in answers] == [401] * 3 + [429] * 17
    slowed_down(answers[-1])
    assert [send(pipeline, SEED).status_code for _n in range(3)] == [202] * 3


def test_refusals_are_counted_for_each_address(pipeline: Any) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        for wanted in (401, 401, 401, 429):
            answer = post(path(pipeline), SEED, basic("wrong"), REMOTE_ADDR=address)
            assert answer.status_code == wanted


def test_rate_limits_reveal_nothing_about_what_exists(wired: Wired) -> None:
    """Known and unknown pipelines share one limit for refusals."""
    known = path(wired.pipelines["ios"])
    unknown = path("pipeline_jenkins_0000000000000000")
    found = [post(url, SEED, basic("wrong")).status_code for url in (known, unknown) * 2]
    assert found == [401, 401, 401, 429]


def test_the_github_and_the_common_endpoint_count_with_the_rest(pipeline: Any) -> None:
    for _n in range(3):
        send(pipeline, SEED)
    body = raw({**SEED, "pipelineId": pipeline.pk})
    slowed_down(
        post("/api/v1/webhooks/jenkins", body, signed(pipeline.webhook_secret.reveal(), body))
    )


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_the_limit_holds_for_simultaneous_requests(tenant: Any, settings: Any) -> None:
    settings.WEBHOOKS_PER_MINUTE = 20
    pipeline = wire(tenant, NOWHERE).pipelines["ios"]
    secret = pipeline.webhook_secret.reveal()

    def send_one(number: int) -> int:
        try:
            body = raw({**SEED, "n": number})
            headers = signed(secret, body, message_id=f"msg_{number}")
            url = path(pipeline)
            answer = client().post(url, body, content_type="application/json", headers=headers)
            return int(answer.status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(send_one, range(80)))
    assert (codes.count(202), codes.count(429)) == (20, 60)
    assert WebhookDelivery.objects.count() == 20
