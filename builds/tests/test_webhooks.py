"""The webhook endpoint: which senders are accepted, and what is stored."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import Build, WebhookDelivery
from builds.tests.sending import (
    NOWHERE,
    PLUGIN,
    SEED,
    basic,
    path,
    post,
    raw,
    refused,
    send,
    signed,
    stored,
)
from builds.webhooks.deliveries import apply_delivery
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wire
from integrations.models import PipelineIntegration
from integrations.operations import disconnect, rotate_webhook_secret

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("way")]


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def build(wired: Wired) -> Build:
    build = wired.build("ios")
    Build.objects.filter(pk=build.pk).update(status="RUNNING", number=245, queue_id=1001)
    return build


# --- Accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [SEED, PLUGIN], ids=["seed", "plugin"])
def test_a_signed_report_is_kept_raw_and_applied_after(
    pipeline: Any, build: Build, body: dict[str, Any]
) -> None:
    delivery = stored(send(pipeline, body))
    assert (delivery.state, delivery.trust) == ("NEW", "SIGNED")
    assert bytes(delivery.body) == raw(body)
    assert fresh(build).status == "RUNNING"
    apply_delivery(delivery.pk)
    assert fresh(build).status == "SUCCESS"
    assert fresh(build).artifact_url == "s3://builds/ios-245.ipa"


def test_the_common_address_takes_the_pipeline_from_the_body(pipeline: Any) -> None:
    body = raw({**SEED, "pipelineId": pipeline.pk})
    headers = signed(pipeline.webhook_secret.reveal(), body)
    assert stored(post("/api/v1/webhooks/jenkins", body, headers)).pipeline == pipeline


@pytest.mark.parametrize(
    "named", [None, "", "pipeline_jenkins_x", 7, [], {}, "\ud800", "a\x00b", "x" * 5000, True]
)
def test_the_common_address_refuses_who_names_no_pipeline(pipeline: Any, named: Any) -> None:
    body = raw({**SEED, "pipelineId": named} if named is not None else SEED)
    refused(post("/api/v1/webhooks/jenkins", body, signed(pipeline.webhook_secret.reveal(), body)))


def test_a_password_is_accepted_as_a_hint(pipeline: Any) -> None:
    answer = post(path(pipeline), PLUGIN, basic(pipeline.webhook_secret.reveal()))
    assert stored(answer).trust == "BASIC"


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_the_schemes_name_may_be_written_in_any_case(pipeline: Any, scheme: str) -> None:
    headers = basic(pipeline.webhook_secret.reveal())
    headers["authorization"] = headers["authorization"].replace("Basic", scheme)
    stored(post(path(pipeline), PLUGIN, headers))


def test_both_secrets_work_for_a_day_after_a_rotation(pipeline: Any) -> None:
    old = pipeline.webhook_secret.reveal()
    new = rotate_webhook_secret(pipeline, actor=None).webhook_secret.reveal()
    for number, secret in enumerate((old, new)):
        body = raw({**SEED, "n": number})
        stored(post(path(pipeline), body, signed(secret, body)))
        stored(post(path(pipeline), {**SEED, "n": [number]}, basic(secret)))
    WebhookDelivery.objects.all().delete()
    past = timezone.now() - timedelta(seconds=1)
    PipelineIntegration.objects.update(previous_webhook_secret_until=past)
    refused(post(path(pipeline), SEED, signed(old, raw(SEED))))
    refused(post(path(pipeline), SEED, basic(old)))
    stored(post(path(pipeline), SEED, signed(new, raw(SEED))))


def test_several_signatures_may_come_while_a_sender_rotates(pipeline: Any) -> None:
    headers = signed(pipeline.webhook_secret.reveal(), raw(SEED))
    genuine = headers["webhook-signature"]
    headers["webhook-signature"] = f"v1a,AAAA v1,{'A' * 43}= {genuine} v2,x"
    stored(post(path(pipeline), SEED, headers))


# --- Refused -------------------------------------------------------------------------------------


def spoiled(secret: str) -> dict[str, dict[str, str]]:
    """Headers that do not authenticate, by what is wrong with them."""
    other = "whsec_" + base64.b64encode(b"another-secret-another-secret-12").decode()
    good = signed(secret, raw(SEED))
    return {
        "nothing": {},
        "another secret": signed(other, raw(SEED)),
        "another body": signed(secret, raw({**SEED, "status": "FAILURE"})),
        "too old": signed(secret, raw(SEED), at=time.time() - 400),
        "from the future": signed(secret, raw(SEED), at=time.time() + 400),
        "another id": {**good, "webhook-id": "msg_other"},
        "no id": {**good, "webhook-id": ""},
        "empty id, signed so": signed(secret, raw(SEED), message_id=""),
        "another time": {**good, "webhook-timestamp": str(int(time.time()) - 5)},
        "no time": {**good, "webhook-timestamp": ""},
        "odd time": {**good, "webhook-timestamp": "١٢٣"},
        "superscript time": {**good, "webhook-timestamp": "1²"},
        "huge time": {**good, "webhook-timestamp": "9" * 5000},
        "negative time": {**good, "webhook-timestamp": "-1"},
        "fractional time": {**good, "webhook-timestamp": f"{time.time()}"},
        "no version": {**good, "webhook-signature": good["webhook-signature"][3:]},
        "another version": {**good, "webhook-signature": "v2" + good["webhook-signature"][2:]},
        "empty signature": {**good, "webhook-signature": ""},
        "empty v1": {**good, "webhook-signature": "v1,"},
        "odd signature": {**good, "webhook-signature": "v1,\xff\xfe"},
        "many signatures": {**good, "webhook-signature": " ".join(["v1,AAAA"] * 5000)},
        "wrong password": basic("wrong"),
        "empty password": basic(""),
        "another user": basic(secret, user="admin"),
        "no base64": {"authorization": "Basic !!!"},
        "odd base64": {"authorization": "Basic \xe9\xe8"},
        "no colon": {"authorization": "Basic " + base64.b64encode(b"delivr").decode()},
        "bearer": {"authorization": f"Bearer {secret}"},
        "bare": {"authorization": secret},
        "wrong signature, right password": {
            **basic(secret),
            "webhook-signature": "v1,AAAA",
            "webhook-id": "msg_x",
            "webhook-timestamp": str(int(time.time())),
        },
    }


@pytest.mark.parametrize("name", spoiled("whsec_AAAA"))
def test_an_unauthenticated_sender_is_refused(pipeline: Any, build: Build, name: str) -> None:
    refused(post(path(pipeline), SEED, spoiled(pipeline.webhook_secret.reveal())[name]))
    assert fresh(build).status == "RUNNING"


def test_a_tampered_body_is_refused(pipeline: Any) -> None:
    headers = signed(pipeline.webhook_secret.reveal(), raw(SEED))
    refused(post(path(pipeline), raw(SEED).replace(b"SUCCESS", b"FAILURE"), headers))


@pytest.mark.parametrize("whose", ["same tenant", "another tenant", "nobody", "garbage"])
def test_a_secret_is_valid_for_its_own_pipeline_only(wired: Wired, whose: str) -> None:
    other = {
        "same tenant": wired.pipelines["android"].pk,
        "another tenant": factories.PipelineFactory().pk,
        "nobody": "pipeline_jenkins_0000000000000000",
        "garbage": "%00%ff%F0%9F%94%91",
    }[whose]
    secret = rotate_webhook_secret(wired.pipelines["ios"], actor=None).webhook_secret.reveal()
    refused(post(path(other), SEED, signed(secret, raw(SEED))))
    refused(post(path(other), SEED, basic(secret)))


def test_refusals_reveal_nothing_about_what_exists(pipeline: Any) -> None:
    known, unknown = (
        post(path(which), SEED, basic("wrong")) for which in (pipeline, "pipeline_jenkins_x")
    )
    assert known.content == unknown.content
    assert known["WWW-Authenticate"] == unknown["WWW-Authenticate"]


def test_a_disconnected_pipeline_receives_nothing(pipeline: Any) -> None:
    secret = pipeline.webhook_secret.reveal()
    disconnect(pipeline, actor=None)
    refused(post(path(pipeline), SEED, signed(secret, raw(SEED))))


def test_with_a_lost_key_every_sender_is_refused(pipeline: Any) -> None:
    secret = pipeline.webhook_secret.reveal()
    with connection.cursor() as cursor:
        damaged = connection.Database.Binary(b"gAAAAA-damaged")
        cursor.execute("UPDATE tenant_pipeline_integrations SET webhook_secret = %s", [damaged])
    refused(post(path(pipeline), SEED, signed(secret, raw(SEED))))
    refused(post(path(pipeline), SEED, basic(secret)))


# --- Duplicates ----------------------------------------------------------------------------------


def test_the_same_delivery_again_is_answered_alike_and_kept_once(pipeline: Any) -> None:
    answers = [send(pipeline, SEED, message_id="msg_same") for _n in range(3)]
    assert {a.status_code for a in answers} == {202}
    assert len({a.json()["deliveryId"] for a in answers}) == 1
    assert WebhookDelivery.objects.count() == 1


def test_two_long_ids_that_begin_alike_are_two_deliveries(pipeline: Any) -> None:
    for end in "ab":
        stored(send(pipeline, SEED, message_id="x" * 300 + end))
    assert WebhookDelivery.objects.count() == 2


def test_one_id_at_two_pipelines_is_two_deliveries(wired: Wired) -> None:
    for pipeline in wired.pipelines.values():
        stored(send(pipeline, SEED, message_id="msg_same"))
    assert WebhookDelivery.objects.count() == 2


def test_the_endpoint_makes_few_queries_however_many_rows_there_are(pipeline: Any) -> None:
    counts = []
    send(pipeline, SEED)  # counts its pipeline for the first time, and has it remembered
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            answer = send(pipeline, SEED)
        assert answer.status_code == 202
        clock = [q for q in queries if "clock_timestamp" in q["sql"]]
        assert len(clock) <= 2  # on PostgreSQL: for the timestamp, and for the time of receipt
        counts.append(len(queries) - len(clock))
        factories.DeliveryFactory.create_batch(30, pipeline=pipeline)
    assert counts[0] == counts[1] <= 6  # pipeline, counter, savepoint, row, its id, release


def test_the_endpoint_opens_no_session(pipeline: Any) -> None:
    answer = send(pipeline, SEED)
    assert not answer.cookies
