"""Events that GitHub sends about runs: they make delivr ask, and move nothing by themselves."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.models import Build, WebhookDelivery
from builds.tests.actions import TRIGGER, again, dispatched, runs, started
from builds.tests.polling import polled
from builds.webhooks.deliveries import apply_delivery
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of, wire_actions
from integrations.models import PipelineIntegration

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_actions(tenant, sandbox.url)


@pytest.fixture
def build(wired: Wired) -> Build:
    return started(wired)


def post(pipeline: PipelineIntegration, body: Any, event: str, delivery: str = "1") -> Any:
    raw = json.dumps(body).encode()
    secret = pipeline.webhook_secret.reveal()
    mac = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    headers = {
        "x-github-event": event,
        "x-github-delivery": delivery,
        "x-hub-signature-256": f"sha256={mac}",
    }
    path = pipeline.webhook_url.partition("/api/")[2]
    return Client().post(f"/api/{path}", raw, content_type="application/json", headers=headers)


def taken(pipeline: PipelineIntegration, body: Any, event: str) -> WebhookDelivery:
    answer = post(pipeline, body, event)
    assert answer.status_code == 202, answer.content
    apply_delivery(answer.json()["deliveryId"])
    found: WebhookDelivery = WebhookDelivery.objects.get(pk=answer.json()["deliveryId"])
    return found


def run_event(build: Build, action: str = "completed", **run: Any) -> dict[str, Any]:
    run_id, _slash, attempt = build.external_id.partition("/")
    facts = {
        "id": int(run_id),
        "run_attempt": int(attempt),
        "run_number": build.number,
        "display_title": f"iOS {build.pk}",
        "event": "workflow_dispatch",
        "path": ".github/workflows/ios.yml",
        "status": "completed",
        "conclusion": "success",
    }
    return {"action": action, "workflow_run": {**facts, **run}}


def test_the_address_of_its_webhook_is_githubs(wired: Wired) -> None:
    pipeline = wired.pipelines["ios"]
    assert pipeline.webhook_url.endswith(f"/api/v1/webhooks/github/{pipeline.pk}")


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("workflow_run", {}),
        ("workflow_run", {"display_title": "iOS 1.5.0"}),
        ("workflow_run", {"action": "requested", "conclusion": "action_required"}),
        ("workflow_run", {"action": "in_progress", "status": "queued", "conclusion": None}),
    ],
)
def test_an_event_only_makes_us_ask(
    wired: Wired, build: Build, sandbox: Any, event: str, body: dict[str, Any]
) -> None:
    """Whatever it claims: it says success, and the run failed."""
    action = body.pop("action", "completed")
    sandbox.state.actions.finish(runs(sandbox)[0], "failure")
    delivery = taken(wired.pipelines["ios"], run_event(build, action, **body), event)
    assert (delivery.state, delivery.build) == ("APPLIED", build)
    assert fresh(build).status == "RUNNING"
    assert fresh(build).poll_at <= timezone.now()
    assert polled(build).status == "FAILURE"


def test_a_job_that_waits_makes_us_ask(wired: Wired, build: Build) -> None:
    run_id = int(build.external_id.partition("/")[0])
    body = {"action": "waiting", "workflow_job": {"run_id": run_id, "run_attempt": 1}}
    delivery = taken(wired.pipelines["ios"], body, "workflow_job")
    assert (delivery.state, delivery.build) == ("APPLIED", build)


@pytest.mark.parametrize(
    ("event", "body", "state", "words"),
    [
        ("ping", {"zen": "Speak like a human."}, "IGNORED", "ping"),
        ("push", {"ref": "refs/heads/main"}, "IGNORED", "push says nothing"),
        ("workflow_run", {"workflow_run": {"event": "push", "id": 7}}, "IGNORED", "not ours"),
        ("workflow_run", {}, "REJECTED", "no workflow_run"),
        ("workflow_run", {"workflow_run": {"id": "x"}}, "REJECTED", "whole number"),
        ("workflow_job", {"workflow_job": {}}, "REJECTED", "does not name a run"),
    ],
)
def test_an_event_about_no_build_is_kept_with_its_reason(
    wired: Wired, event: str, body: dict[str, Any], state: str, words: str
) -> None:
    delivery = taken(wired.pipelines["ios"], body, event)
    assert (delivery.state, words in delivery.reason) == (state, True)


def test_a_run_of_another_workflow_is_nobodys(wired: Wired, build: Build) -> None:
    body = run_event(build, id=99, display_title="", path=".github/workflows/other.yml")
    delivery = taken(wired.pipelines["ios"], body, "workflow_run")
    assert (delivery.state, delivery.build) == ("ORPHAN", None)


def test_an_event_of_a_re_run_stops_nothing(wired: Wired, build: Build, sandbox: Any) -> None:
    [run] = runs(sandbox)
    sandbox.state.actions.finish(run, "failure")
    build = polled(build)
    sandbox.state.actions.rerun(run, actor="priya")
    event = run_event(build, "in_progress", run_attempt=2)
    delivery = taken(wired.pipelines["ios"], event, "workflow_run")
    assert (delivery.state, "again" in delivery.reason) == ("ORPHAN", True)
    assert not Effect.objects.filter(kind="build.stop_repeat").exists()
    assert (fresh(build).status, fresh(build).poll_at <= timezone.now()) == ("FAILURE", True)


def test_an_event_before_the_triggers_answer_finds_its_build(wired: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    [run] = runs(sandbox)
    body = {
        "action": "requested",
        "workflow_run": {"id": run.id, "run_attempt": 1, "display_title": f"iOS {build.pk}"},
    }
    delivery = taken(wired.pipelines["ios"], body, "workflow_run")
    assert (delivery.state, delivery.build) == ("APPLIED", build)
    again(build)
    assert dispatched(sandbox) == 1
    assert polled(build).status == "RUNNING"
