"""The webhook endpoint for GitHub: its signature, its ids, and that an event only causes a poll."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from builds.models import Build, BuildEvent, WebhookDelivery
from builds.polling.poller import poll_build
from builds.tests.sending import client
from builds.webhooks.authentication import authenticate
from builds.webhooks.deliveries import apply_delivery
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of, wire, wired_to
from integrations.models import PipelineIntegration
from integrations.operations import rotate_webhook_secret

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.usefixtures("way")]
SECRET = "It's a Secret to Everybody"  # GitHub's own example
NOWHERE = "http://127.0.0.1:1"
RUN = {"id": 7, "name": "Beta", "status": "completed", "conclusion": "success", "run_number": 245}


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def build(wired: Wired) -> Build:
    build = wired.build("ios")
    Build.objects.filter(pk=build.pk).update(status="RUNNING", number=245, poll_at=None)
    return build


def signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(pipeline: Any, body: Any, event: str = "push", **kwargs: Any) -> Any:
    """Post a delivery as GitHub does, by default signed with the pipeline's secret."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature-256": signature(pipeline.webhook_secret.reveal(), raw),
        **kwargs.pop("headers", {}),
    }
    kind = kwargs.pop("content_type", "application/json")
    url = f"/api/v1/webhooks/github/{pipeline.pk}"
    return client().post(url, raw, content_type=kind, headers=headers)


def taken(answer: Any) -> WebhookDelivery:
    """The delivery of a 202 response, applied."""
    assert answer.status_code == 202, answer.content
    delivery_id = answer.json()["deliveryId"]
    apply_delivery(delivery_id)
    found: WebhookDelivery = WebhookDelivery.objects.get(pk=delivery_id)
    return found


def workflow_run(action: str, title: str = "Beta", **run: Any) -> dict[str, Any]:
    return {"action": action, "workflow_run": {**RUN, "display_title": title, **run}}


# --- Authentication ------------------------------------------------------------------------------


def test_the_signature_is_the_one_that_github_documents() -> None:
    """The values are from GitHub's page on validating deliveries."""
    sent = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = RequestFactory().post("/", headers={"x-hub-signature-256": sent}).headers
    assert authenticate("github", headers, b"Hello, World!", ["other", SECRET])
    assert authenticate("github", headers, b"Hello, World?", [SECRET]) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": signature("whsec_other", b'{"a": 1}')},
        {"x-hub-signature-256": "sha256=\xff\xe9"},
        {"x-hub-signature-256": "sha256=" + "0" * 90_000},
        {"x-hub-signature-256": "sha1=aa", "x-hub-signature": "sha1=aa"},
    ],
    ids=lambda headers: repr(headers)[:50],
)
def test_who_cannot_sign_is_refused(pipeline: Any, headers: dict[str, str]) -> None:
    answer = post(pipeline, {"a": 1}, headers=headers)
    assert answer.status_code == 401
    assert not WebhookDelivery.objects.exists()


def test_a_body_that_was_changed_on_the_way_is_refused(pipeline: Any) -> None:
    genuine = signature(pipeline.webhook_secret.reveal(), b'{"a": 1}')
    headers = {"x-hub-signature-256": genuine}
    assert post(pipeline, b'{"a":1}', headers=headers).status_code == 401
    assert post(pipeline, b'{"a": 1}', headers=headers).status_code == 202


def test_another_pipelines_secret_is_refused(wired: Wired) -> None:
    rotate_webhook_secret(wired.pipelines["ios"], actor=None)
    strange = signature(fresh(wired.pipelines["ios"]).webhook_secret.reveal(), b"{}")
    android = wired.pipelines["android"]
    assert post(android, b"{}", headers={"x-hub-signature-256": strange}).status_code == 401


def test_a_password_is_refused_at_the_github_endpoint(pipeline: Any) -> None:
    password = base64.b64encode(f"delivr:{pipeline.webhook_secret.reveal()}".encode()).decode()
    headers = {"authorization": f"Basic {password}", "x-hub-signature-256": ""}
    assert post(pipeline, b"{}", headers=headers).status_code == 401


def test_both_secrets_work_for_a_day_after_a_rotation(pipeline: Any) -> None:
    old = pipeline.webhook_secret.reveal()
    rotated = rotate_webhook_secret(pipeline, actor=None)
    by_the_old = {"x-hub-signature-256": signature(old, b"{}")}
    assert post(rotated, b"{}").status_code == 202
    assert post(rotated, b"{}", headers=by_the_old).status_code == 202
    past = timezone.now() - timedelta(seconds=1)
    PipelineIntegration.objects.update(previous_webhook_secret_until=past)
    assert post(rotated, b"{}", headers=by_the_old).status_code == 401


@pytest.mark.parametrize(
    ("kind", "status"),
    [("application/x-www-form-urlencoded", 415), ("application/json; charset=utf-8", 202)],
)
def test_only_json_is_taken(pipeline: Any, kind: str, status: int) -> None:
    assert post(pipeline, b"{}", content_type=kind).status_code == status


def test_a_body_beyond_256_kib_is_refused(pipeline: Any) -> None:
    assert post(pipeline, b" " * (256 * 1024 + 1)).status_code == 413


# --- Duplicates ----------------------------------------------------------------------------------


def test_a_redelivery_is_recognised_by_its_id(pipeline: Any) -> None:
    first, again = (post(pipeline, {"a": 1}).json() for _n in range(2))
    assert first == again
    other = post(pipeline, {"a": 1}, headers={"x-github-delivery": "another"}).json()
    assert other != first
    assert WebhookDelivery.objects.count() == 2


@pytest.mark.parametrize("odd", ["", " ", "é", "a b", "\x00", "x" * 9000])
def test_an_odd_id_breaks_nothing_and_duplicates_are_still_recognised(
    pipeline: Any, odd: str
) -> None:
    answers = [post(pipeline, b"{}", headers={"x-github-delivery": odd}) for _n in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert WebhookDelivery.objects.count() == 1


# --- Outcome --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "body", "words"),
    [
        ("ping", {"zen": "Speak like a human.", "hook_id": 1, "hook": {}}, "ping"),
        ("push", {"ref": "refs/heads/release/1.5.0", "commits": []}, "push says nothing"),
        ("create", {"ref": "v1.5.0", "ref_type": "tag"}, "create says nothing"),
        ("pull_request", {"action": "closed", "pull_request": {}}, "pull_request says nothing"),
        ("workflow_dispatch", {"inputs": None}, "workflow_dispatch says nothing"),
        ("workflow_run", workflow_run("completed"), "contains no build id"),
        ("workflow_run", workflow_run("completed", title=None, name=""), "contains no build id"),
        (
            "workflow_run",
            workflow_run("completed", title=["bld_x"], name=7),
            "contains no build id",
        ),
        ("projects_v2_item", {"action": "edited"}, "projects_v2_item says nothing"),
        ("repository-advisory.2", {}, "repository-advisory.2 says nothing"),
        ("x" * 60, {}, f"{'x' * 60} says nothing"),
        ("", {}, "did not name the event"),
        ("two words", {}, "did not name the event"),
        ("\xe9vent", {}, "did not name the event"),
        ("x" * 61, {}, "did not name the event"),
    ],
)
def test_an_event_about_no_build_is_stored_and_ignored_with_its_reason(
    pipeline: Any, build: Build, event: str, body: dict[str, Any], words: str
) -> None:
    delivery = taken(post(pipeline, body, event))
    assert (delivery.state, delivery.trust) == ("IGNORED", "GITHUB")
    assert words in delivery.reason
    assert not BuildEvent.objects.exists()


MALFORMED = {
    "empty": b"",
    "no JSON": b"payload=%7B%7D",
    "a list": b"[]",
    "deep": b'{"workflow_run":' * 10_000,
    "NaN": b'{"workflow_run": NaN}',
    "huge number": b'{"workflow_run": {"id": ' + b"7" * 5000 + b"}}",
    "no run": b"{}",
    "run as text": b'{"workflow_run": "bld_x"}',
    "NUL": b"\x00",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_an_unreadable_body_is_kept_as_rejected(pipeline: Any, build: Build, name: str) -> None:
    delivery = taken(post(pipeline, MALFORMED[name], "workflow_run"))
    assert bytes(delivery.body) == MALFORMED[name]
    assert (delivery.state, bool(delivery.reason)) == ("REJECTED", True)


def test_a_lone_surrogate_in_a_title_breaks_nothing(pipeline: Any) -> None:
    body = b'{"action": "\\udfff", "workflow_run": {"display_title": "\\ud800", "name": "\\u0000"}}'
    assert taken(post(pipeline, body, "workflow_run")).state == "IGNORED"


@pytest.mark.parametrize(
    "body",
    [
        workflow_run("completed"),
        workflow_run("completed", status="queued"),
        workflow_run("requested", conclusion="action_required"),
        workflow_run("in_progress", conclusion=None),
        workflow_run("never heard of", conclusion={}),
        {"workflow_run": {"conclusion": 7}},
    ],
    ids=lambda body: str(body)[:60],
)
@pytest.mark.parametrize("field", ["display_title", "name"])
def test_a_run_with_a_build_id_only_causes_a_poll(
    pipeline: Any, build: Build, body: dict[str, Any], field: str
) -> None:
    """Whatever it claims, nothing changes until Jenkins was polled."""
    body = {**body, "workflow_run": {**body["workflow_run"], field: f"Beta ({build.pk}) again"}}
    delivery = taken(post(pipeline, body, "workflow_run"))
    assert (delivery.state, delivery.build) == ("APPLIED", build)
    assert "read from the CI server" in delivery.reason
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 245)
    assert fresh(build).poll_at <= timezone.now()
    assert BuildEvent.objects.get().step == "ask"


def test_a_run_of_another_pipelines_build_does_not_reach_it(wired: Wired, build: Build) -> None:
    body = workflow_run("completed", title=build.pk)
    delivery = taken(post(wired.pipelines["android"], body, "workflow_run"))
    assert (delivery.state, delivery.build) == ("UNMATCHED", None)
    assert fresh(build).poll_at is None


def test_the_number_of_a_run_is_not_that_of_a_build(pipeline: Any, build: Build) -> None:
    delivery = taken(post(pipeline, workflow_run("completed", run_number=245), "workflow_run"))
    assert (delivery.state, delivery.build) == ("IGNORED", None)


def test_the_poll_after_a_run_reads_the_result_from_jenkins(tenant: Any, sandbox: Any) -> None:
    wired = wired_to(tenant, sandbox)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    sandbox.state.advance(5)
    poll_build(build.pk)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    body = workflow_run("completed", title=f"Beta {build.pk}", conclusion="success")
    taken(post(wired.pipelines["ios"], body, "workflow_run"))
    poll_build(build.pk)
    assert fresh(build).status == "FAILURE"
