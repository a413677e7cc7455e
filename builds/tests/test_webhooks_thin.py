"""The thin path of webhooks: it answers and stores as Django's view does, or leaves it to that.

The tests of the endpoint run both ways, too (`both_ways.way`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

import delivr.wsgi
from builds.models import WebhookDelivery
from builds.tests import sending
from builds.tests.both_ways import Around, own_connection
from builds.tests.sending import (
    NOWHERE,
    SEED,
    basic,
    client,
    path,
    post,
    raw,
    refused,
    send,
    signed,
    stored,
)
from builds.webhooks import authentication, known, storing, thin
from delivr.effects import clock
from delivr.models import RateCounter
from delivr.tenants.closing import close
from delivr.tests.wired import Wired, wire
from integrations.models import PipelineIntegration
from integrations.operations import disconnect, rotate_webhook_secret

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def remembered(pipeline: PipelineIntegration, thin_path: type[Around]) -> PipelineIntegration:
    """The pipeline, of which this process received a delivery already."""
    stored(send(pipeline, SEED))
    assert known.find(pipeline.pk)
    assert thin_path.answered == 0
    return pipeline


def counted() -> int:
    """How many deliveries count towards limits."""
    return sum(RateCounter.objects.values_list("hits", flat=True))


# --- The same as Django's view -------------------------------------------------------------------

BODY = raw({**SEED, "by": "both"})


def by_signature(secret: str) -> tuple[str, dict[str, str]]:
    return "jenkins", signed(secret, BODY)


def by_password(secret: str) -> tuple[str, dict[str, str]]:
    return "builds", basic(secret)


def by_mac(secret: str) -> tuple[str, dict[str, str]]:
    mac = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    names = {"x-github-event": "workflow_run", "x-github-delivery": "72d3162e"}
    return "github", {**names, "x-hub-signature-256": f"sha256={mac}"}


def by_token(secret: str) -> tuple[str, dict[str, str]]:
    return "gitlab", {"x-gitlab-token": secret, "x-gitlab-event": "Pipeline Hook"}


def seen(answer: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The row without what differs each time, and the headers."""
    row = stored(answer)
    assert answer.content == f'{{"deliveryId": "{row.pk}"}}'.encode()
    assert timedelta(0) <= clock.now() - row.received_at < timedelta(seconds=10)
    values = {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields}
    waits = values.pop("next_at") - values.pop("received_at")
    return {**values, "id": None, "body": bytes(row.body), "waits": waits}, dict(answer.headers)


@pytest.mark.parametrize("by", [by_signature, by_password, by_mac, by_token])
def test_both_ways_store_and_answer_alike(
    remembered: PipelineIntegration,
    monkeypatch: pytest.MonkeyPatch,
    by: Callable[[str], tuple[str, dict[str, str]]],
) -> None:
    sender, headers = by(remembered.webhook_secret.reveal())
    address = f"/api/v1/webhooks/{sender}/{remembered.pk}"
    found = seen(post(address, BODY, headers))
    assert Around.answered == 1
    WebhookDelivery.objects.filter(body=BODY).delete()
    monkeypatch.setattr(sending, "around", None)
    assert found == seen(post(address, BODY, headers))


def test_both_ways_count_alike(remembered: PipelineIntegration) -> None:
    for number in range(1, 4):
        assert counted() == number
        stored(send(remembered, {**SEED, "n": number}))
    assert Around.answered == 3


def test_without_a_broker_or_on_sqlite_there_is_no_thin_path(settings: Any) -> None:
    for around, wanted in (("builds.webhooks.thin.ThinPath", True), ("", False)):
        settings.WSGI_AROUND = around
        application = importlib.reload(delivr.wsgi).application
        assert isinstance(application, thin.ThinPath) == wanted


# --- What changed since it was remembered counts at once -----------------------------------------


def test_a_rotated_secret_ends_at_its_time(remembered: PipelineIntegration) -> None:
    old = remembered.webhook_secret.reveal()
    new = rotate_webhook_secret(remembered, actor=None).webhook_secret.reveal()
    for secret in (old, new):
        stored(post(path(remembered), SEED, signed(secret, raw(SEED))))
    past = timezone.now() - timedelta(seconds=1)
    PipelineIntegration.objects.update(previous_webhook_secret_until=past)
    WebhookDelivery.objects.all().delete()
    refused(post(path(remembered), SEED, signed(old, raw(SEED))))
    assert Around.answered == 0
    for _n in range(2):
        stored(post(path(remembered), SEED, signed(new, raw(SEED))))
    assert Around.answered == 1  # once there is only one secret, it is remembered again


def test_a_replaced_secret_is_refused_at_once(remembered: PipelineIntegration) -> None:
    old = remembered.webhook_secret.reveal()
    rotate_webhook_secret(remembered, actor=None)
    PipelineIntegration.objects.update(previous_webhook_secret_until=None)
    WebhookDelivery.objects.all().delete()
    refused(post(path(remembered), SEED, signed(old, raw(SEED))))


def test_a_disconnected_pipeline_is_refused_at_once(remembered: PipelineIntegration) -> None:
    secret = remembered.webhook_secret.reveal()
    disconnect(remembered, actor=None)
    WebhookDelivery.objects.all().delete()
    refused(post(path(remembered), SEED, signed(secret, raw(SEED))))


def test_a_closed_workspace_is_refused_at_once(remembered: PipelineIntegration, owner: Any) -> None:
    secret = remembered.webhook_secret.reveal()
    close(tenant=remembered.tenant, confirmation=remembered.tenant.name, actor=owner)
    WebhookDelivery.objects.all().delete()
    refused(post(path(remembered), SEED, signed(secret, raw(SEED))))


def test_any_other_change_is_read_by_django(remembered: PipelineIntegration) -> None:
    PipelineIntegration.objects.update(revision=remembered.revision + 1)
    stored(send(remembered, SEED))
    assert Around.answered == 0
    stored(send(remembered, SEED))
    assert Around.answered == 1


def test_a_minute_later_the_pipeline_is_read_again(
    remembered: PipelineIntegration, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = known.time.monotonic() + known.REMEMBERED
    monkeypatch.setattr(known.time, "monotonic", lambda: later)
    stored(send(remembered, SEED))
    assert Around.answered == 0


def test_a_pipeline_in_use_is_kept(
    remembered: PipelineIntegration, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = known.time.monotonic()
    for seconds in (40, 80, 120):
        monkeypatch.setattr(known.time, "monotonic", lambda later=seconds: start + later)
        stored(send(remembered, SEED))
    assert Around.answered == 3


def test_secrets_are_not_shown(remembered: PipelineIntegration) -> None:
    assert remembered.webhook_secret.reveal() not in repr(known.find(remembered.pk))


# --- Left to Django ------------------------------------------------------------------------------


def test_a_repeated_delivery_is_answered_alike_and_counted_as_by_django(
    remembered: PipelineIntegration,
) -> None:
    answers = [send(remembered, SEED, message_id="msg_same") for _n in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert WebhookDelivery.objects.count() == 2
    assert Around.answered == 1
    assert counted() == 4


@pytest.mark.parametrize("is_ahead", [True, False])
def test_only_the_databases_clock_counts(remembered: PipelineIntegration, is_ahead: bool) -> None:
    secret, right = remembered.webhook_secret.reveal(), clock.now()
    wrong = right + timedelta(minutes=10 if is_ahead else -10)
    WebhookDelivery.objects.all().delete()
    with time_machine.travel(wrong):
        refused(post(path(remembered), SEED, signed(secret, raw(SEED), at=wrong.timestamp())))
        stored(post(path(remembered), SEED, signed(secret, raw(SEED), at=right.timestamp())))
    assert Around.answered == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"HTTP_COOKIE": "sessionid=x"},
        {"CONTENT_TYPE": "application/json;x"},
        {"HTTP_HOST": "localhost"},
    ],
    ids=str,
)
def test_an_unusual_request_is_left_to_django(
    remembered: PipelineIntegration, extra: dict[str, str]
) -> None:
    headers = signed(remembered.webhook_secret.reveal(), raw(SEED))
    stored(post(path(remembered), SEED, headers, **extra))
    assert Around.answered == 0


def test_a_large_body_is_left_to_django(remembered: PipelineIntegration) -> None:
    stored(send(remembered, b" " * (thin.LARGE + 1)))
    assert Around.answered == 0
    stored(send(remembered, b" " * thin.LARGE))
    assert Around.answered == 1


def test_what_the_database_refuses_is_left_to_django(
    remembered: PipelineIntegration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(storing, "connection", fail)
    stored(send(remembered, SEED))
    assert Around.answered == 0


def test_a_foreign_host_is_refused(remembered: PipelineIntegration) -> None:
    headers = signed(remembered.webhook_secret.reveal(), raw(SEED))
    for _n in range(2):
        answer = post(path(remembered), SEED, headers, HTTP_HOST="evil.example")
        assert answer.status_code == 400


# --- Timing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", ["jenkins", "github"])
def test_a_refusal_costs_as_many_proofs_for_an_unknown_pipeline(
    remembered: PipelineIntegration, monkeypatch: pytest.MonkeyPatch, sender: str
) -> None:
    other = "whsec_" + base64.b64encode(b"another-secret-another-secret-12").decode()
    headers = {**signed(other, raw(SEED)), "x-hub-signature-256": "sha256=00"}
    proofs: list[int] = []
    new = hmac.new

    def count(*arguments: Any) -> Any:
        proofs[-1] += 1
        return new(*arguments)

    monkeypatch.setattr(authentication.hmac, "new", count)
    for pipeline_id in (remembered.pk, "pipeline_jenkins_0000000000000000"):
        proofs.append(0)
        post(f"/api/v1/webhooks/{sender}/{pipeline_id}", SEED, headers)
    assert proofs == [2, 2]  # here and in Django's view


def test_a_stranger_gets_nothing_remembered(
    pipeline: PipelineIntegration, thin_path: type[Around]
) -> None:
    refused(post(path(pipeline), SEED, basic("wrong")))
    assert known.find(pipeline.pk) is None


# --- At once, on connections of its own ----------------------------------------------------------


@pytest.fixture
def own_connections(thin_path: type[Around], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "connection", own_connection)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("own_connections")
@pytest.mark.parametrize("are_same", [True, False], ids=["one delivery", "many deliveries"])
def test_many_at_once_are_each_kept_once(tenant: Any, settings: Any, are_same: bool) -> None:
    settings.WEBHOOKS_PER_MINUTE = 1000
    pipeline = wire(tenant, NOWHERE).pipelines["ios"]
    secret = pipeline.webhook_secret.reveal()
    stored(post(path(pipeline), SEED, signed(secret, raw(SEED))))
    barrier = Barrier(8)

    def send_some(thread: int) -> list[tuple[int, str]]:
        found = []
        try:
            for number in range(10):
                name = f"msg {number}" if are_same else f"msg {thread} {number}"
                headers = signed(secret, raw(SEED), message_id=name.replace(" ", "_"))
                barrier.wait(timeout=60)
                answer = client().post(
                    path(pipeline), raw(SEED), content_type="application/json", headers=headers
                )
                found.append((answer.status_code, answer.json()["deliveryId"]))
        finally:
            own_connection().close()
            connection.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = [one for some in pool.map(send_some, range(8)) for one in some]
    assert {status for status, _id in answers} == {202}
    assert len(set(answers)) == WebhookDelivery.objects.count() - 1 == (10 if are_same else 80)
    assert counted() == 81
    assert Around.answered >= 10
