"""Every webhook secret that was handed out stays valid for the promised day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from builds.retention import delete_expired, due
from builds.tests.sending import NOWHERE, SEED, basic, path, post, raw, refused, signed, stored
from builds.tests.test_locks import in_threads
from builds.tests.test_webhooks_github import post as post_as_github
from builds.tests.test_webhooks_github import signature
from builds.webhooks.authentication import live_secrets
from delivr.failures import Conflict
from delivr.tests.wired import Wired, fresh, wire
from integrations import webhook_secrets
from integrations.models import EarlierWebhookSecret, PipelineIntegration
from integrations.operations import disconnect, rotate_webhook_secret
from integrations.redaction import secrets_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("way")]


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


def rotate(pipeline: Any, times: int = 1) -> list[str]:
    """The secret before the rotations, and those that were handed out; the newest last."""
    found = [fresh(pipeline).webhook_secret.reveal()]
    for _n in range(times):
        found.append(rotate_webhook_secret(pipeline, actor=None).webhook_secret.reveal())
    return found


def assert_accepted(pipeline: Any, secret: str, number: int) -> None:
    """The secret is accepted in each of the three ways of authentication."""
    body = {**SEED, "n": number, "of": "signed"}
    stored(post(path(pipeline), body, signed(secret, raw(body))))
    stored(post(path(pipeline), {**SEED, "n": number}, basic(secret)))
    by_it = {"x-hub-signature-256": signature(secret, b"{}"), "x-github-delivery": f"d{number}"}
    assert post_as_github(pipeline, b"{}", headers=by_it).status_code == 202


def test_each_secret_works_however_often_it_was_rotated(pipeline: Any) -> None:
    secrets = rotate(pipeline, times=6)
    assert len(set(secrets)) == 7
    for number, secret in enumerate(secrets):
        assert_accepted(pipeline, secret, number)


def test_each_secret_ends_at_its_own_time(pipeline: Any) -> None:
    first, second, third = rotate(pipeline, times=2)
    EarlierWebhookSecret.objects.update(until=timezone.now() - timedelta(seconds=1))
    refused(post(path(pipeline), SEED, basic(first)))
    assert_accepted(pipeline, second, 2)
    assert_accepted(pipeline, third, 3)


def test_each_secret_lasts_for_the_promised_day(pipeline: Any) -> None:
    rotate(pipeline, times=3)
    row = fresh(pipeline)
    ends = [row.previous_webhook_secret_until, *row.earlier_secrets.values_list("until", flat=True)]
    assert len(ends) == 3
    for end in ends:
        assert timedelta(hours=23, minutes=59) < end - timezone.now() <= timedelta(hours=24)


def test_another_pipeline_does_not_take_them(wired: Wired) -> None:
    first = rotate(wired.pipelines["ios"], times=3)[1]
    refused(post(path(wired.pipelines["android"]), SEED, basic(first)))


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_six_rotations_at_once_hand_out_six_secrets_that_work(pipeline: Any) -> None:
    before = pipeline.webhook_secret.reveal()
    found = in_threads(
        lambda: rotate_webhook_secret(pipeline, actor=None).webhook_secret.reveal(), 6
    )
    assert len({before, *found}) == 7
    for number, secret in enumerate([before, *found]):
        assert_accepted(pipeline, secret, number)


def test_rotating_too_often_is_refused_and_loses_nothing(pipeline: Any) -> None:
    secrets = rotate(pipeline, times=webhook_secrets.MAX_EARLIER)
    with pytest.raises(Conflict) as caught:
        rotate_webhook_secret(pipeline, actor=None)
    assert caught.value.code == "rotated_too_often"
    assert "Try again in" in caught.value.message
    assert sorted(live_secrets(fresh(pipeline))) == sorted(secrets)
    EarlierWebhookSecret.objects.order_by("until").first().delete()
    assert rotate(pipeline)[-1] in live_secrets(fresh(pipeline))


def test_the_page_and_the_api_say_that_it_was_too_often(
    pipeline: Any, owner: Any, api_for: Any, client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(webhook_secrets, "MAX_EARLIER", 2)
    rotate(pipeline, times=2)
    secret = fresh(pipeline).webhook_secret.reveal()
    url = f"/api/v1/integrations/pipelines/{pipeline.pk}/rotate-webhook-secret"
    answer = api_for(pipeline.tenant).post(url)
    assert (answer.status_code, answer.json()["code"]) == (409, "rotated_too_often")
    client.force_login(owner)
    page = client.post(f"/integrations/pipelines/{pipeline.pk}/rotate-secret", follow=True)
    assert "Try again in" in page.content.decode()
    assert fresh(pipeline).webhook_secret.reveal() == secret


def test_disconnecting_forgets_them_all(pipeline: Any) -> None:
    rotate(pipeline, times=3)
    disconnect(pipeline, actor=None)
    assert not EarlierWebhookSecret.objects.exists()
    row = PipelineIntegration.objects.get(pk=pipeline.pk)
    assert (row.webhook_secret, row.previous_webhook_secret) == (None, None)


def test_what_has_ended_is_not_kept(pipeline: Any) -> None:
    rotate(pipeline, times=3)
    delete_expired()
    assert EarlierWebhookSecret.objects.count() == 2
    assert due() == []
    past = timezone.now() - timedelta(seconds=1)
    EarlierWebhookSecret.objects.filter(pk=EarlierWebhookSecret.objects.first().pk).update(
        until=past
    )
    assert due() == ["all"]
    delete_expired()
    assert EarlierWebhookSecret.objects.count() == 1
    PipelineIntegration.objects.update(previous_webhook_secret_until=past)
    assert due() == ["all"]
    delete_expired()
    assert fresh(pipeline).previous_webhook_secret is None
    assert due() == []


def test_an_undecryptable_secret_authenticates_nobody(pipeline: Any) -> None:
    first, second, third = rotate(pipeline, times=2)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhook_secrets SET secret = %s", [b"damaged"])
    refused(post(path(pipeline), SEED, basic(first)))
    assert_accepted(pipeline, second, 2)
    assert_accepted(pipeline, third, 3)


def test_they_are_kept_out_of_the_logs_that_are_shown(pipeline: Any) -> None:
    assert set(rotate(pipeline, times=3)) <= set(secrets_of(pipeline.tenant))
