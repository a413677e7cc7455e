"""Methods, types, sizes and malformed bodies at the webhook endpoint: no input breaks it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory
from gunicorn.http.errors import InvalidChunkSize, NoMoreData

from builds.models import Build, WebhookDelivery
from builds.tests.sending import (
    MALFORMED,
    NOWHERE,
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
from builds.webhooks import views as webhooks
from builds.webhooks.deliveries import apply_delivery
from delivr.tests.wired import Wired, fresh, wire

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgresql, pytest.mark.usefixtures("way")]


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def build(wired: Wired) -> Build:
    build = wired.build("ios")
    Build.objects.filter(pk=build.pk).update(status="RUNNING", number=245, queue_id=1001)
    return build


# --- Methods, types, sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_only_a_post_is_taken(pipeline: Any, method: str) -> None:
    answer = getattr(Client(), method)(path(pipeline))
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", "///"]
)
def test_only_json_is_taken(pipeline: Any, kind: str) -> None:
    headers = signed(pipeline.webhook_secret.reveal(), raw(SEED))
    refused(post(path(pipeline), SEED, headers, content_type=kind), 415)


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;x", ""]
)
def test_json_may_be_called_so_in_several_ways(pipeline: Any, kind: str) -> None:
    headers = signed(pipeline.webhook_secret.reveal(), raw(SEED))
    stored(post(path(pipeline), SEED, headers, content_type=kind))


def test_a_body_of_256_kib_is_taken_and_one_byte_more_is_not(pipeline: Any) -> None:
    refused(send(pipeline, b" " * (256 * 1024 + 1)), 413)
    stored(send(pipeline, b" " * (256 * 1024)))


@pytest.mark.parametrize(
    "length", ["-5", "abc", "1e3", "²", "９", "", " ", "0x10", "9" * 5000, "1" * 12]
)
def test_an_odd_content_length_breaks_nothing(pipeline: Any, length: str) -> None:
    headers = signed(pipeline.webhook_secret.reveal(), raw(SEED))
    answer = post(path(pipeline), SEED, headers, CONTENT_LENGTH=length)
    assert answer.status_code in (401, 413)


def test_a_chunked_body_is_read_and_capped(pipeline: Any) -> None:
    for size, status in ((0, 202), (300_000, 413)):
        body = raw(SEED) + b" " * size
        request: WSGIRequest = RequestFactory().post(
            path(pipeline),
            content_type="application/json",
            headers=signed(pipeline.webhook_secret.reveal(), body),
            HTTP_TRANSFER_ENCODING="chunked",
        )
        request.META.update({"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True})
        assert webhooks.receive(request, "jenkins", pipeline.pk).status_code == status


class CutOff(io.RawIOBase):
    """gunicorn's stream of a malformed or incomplete chunked body: reading it raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


@pytest.mark.parametrize("error", [NoMoreData(), InvalidChunkSize(b"zz")])
def test_an_incomplete_body_is_refused(pipeline: Any, error: Exception) -> None:
    request: WSGIRequest = RequestFactory().post(
        path(pipeline),
        content_type="application/json",
        HTTP_TRANSFER_ENCODING="chunked",
        headers=basic(pipeline.webhook_secret.reveal()),
    )
    request.META.update({"wsgi.input": CutOff(error), "wsgi.input_terminated": True})
    assert webhooks.receive(request, "jenkins", pipeline.pk).status_code == 400
    assert not WebhookDelivery.objects.exists()


# --- Malformed bodies ----------------------------------------------------------------------------


READABLE = {"UTF-16", "parameters as text", "artifacts as list", "url broken"}
IGNORED = {"build as text"}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_stored_and_never_breaks_anything(
    pipeline: Any, build: Build, name: str
) -> None:
    delivery = stored(send(pipeline, MALFORMED[name]))
    assert bytes(delivery.body) == MALFORMED[name]
    apply_delivery(delivery.pk)
    wanted = "APPLIED" if name in READABLE else "IGNORED" if name in IGNORED else "REJECTED"
    assert (fresh(delivery).state, name) == (wanted, name)
    if name not in READABLE:
        assert fresh(build).status == "RUNNING"


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_names_no_pipeline(name: str) -> None:
    refused(post("/api/v1/webhooks/jenkins", MALFORMED[name], basic("x")))


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-id": "\x00", "webhook-signature": "v1,\x00", "webhook-timestamp": "\x00"},
        {"webhook-id": "é" * 9000, "webhook-signature": "é", "webhook-timestamp": "é"},
        {"authorization": "\x00"},
        {"authorization": "Basic " + "A" * 100_000},
        {"authorization": "Basic"},
        {"authorization": " "},
        {"webhook-signature": " " * 10_000},
        {"transfer-encoding": "chunked"},
        {"cookie": "sessionid=\x00\xff"},
        {"x-forwarded-for": "\x00"},
        {"content-encoding": "gzip"},
    ],
    ids=lambda headers: repr(headers)[:50],
)
def test_header_garbage_breaks_nothing(pipeline: Any, headers: dict[str, str]) -> None:
    refused(post(path(pipeline), SEED, headers))


@pytest.mark.parametrize("message_id", ["a\x00b", "a b", "é", "x" * 501])
def test_an_id_that_cannot_be_kept_is_refused_although_signed(
    pipeline: Any, message_id: str
) -> None:
    refused(send(pipeline, SEED, message_id=message_id))
