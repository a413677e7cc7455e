"""Builds on GitLab CI, from the trigger to the release's status, against the sandbox."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from builds import effects
from builds.adopting import adopt_build
from builds.cancelling import cancel_build
from builds.logs.reading import read_log
from builds.models import Build, WebhookDelivery
from builds.testbuilds.operations import start_test
from builds.tests.polling import lost, offers, polled
from builds.tests.rerunning import rerun_when_settled
from builds.tests.sending import basic
from builds.webhooks import views as webhooks
from builds.webhooks.deliveries import apply_delivery
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.ids import webhook_secret
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wire_pipelines
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildState, BuildStatus
from integrations.verification import verify
from releases.blockers import blockers
from releases.models import Release
from sandbox import ci_files
from sandbox.project_hooks import ProjectHook, told_from
from sandbox.webhooks import signed_headers

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
TRIGGER = {"provider": "gitlab", "method": "POST", "path": "*/pipeline"}


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_pipelines(tenant, sandbox.url)


@pytest.fixture
def build(wired: Wired) -> Build:
    """An iOS build whose pipeline runs."""
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    return polled(build)


def pipeline_of(build: Build, sandbox: Any) -> Any:
    return sandbox.state.pipelines.pipelines[build.number]


def end(build: Build, sandbox: Any, result: str = "success") -> Build:
    sandbox.state.pipelines.finish(pipeline_of(build, sandbox), result)
    return polled(build)


def test_a_build_is_triggered_followed_and_complete(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    build = fresh(build)
    pipeline = pipeline_of(build, sandbox)
    assert (build.status, build.external_id) == ("QUEUED", f"{pipeline.id}/1")
    assert pipeline.build_id == build.pk
    build = polled(build)
    assert build.status == "RUNNING"
    assert build.url.endswith(f"/gitlab/dream11/mobile/app/-/pipelines/{pipeline.id}")
    build = end(build, sandbox)
    assert (build.status, build.poll_at, build.commit) == ("SUCCESS", None, pipeline.sha)
    assert build.artifacts[0]["name"] == "build (artifacts.zip)"
    assert Release.objects.get().status == "BUILD_COMPLETE"
    sweep_until_idle()
    texts = [message.text for message in sandbox.state.slack.messages]
    assert any(f"iOS build #{pipeline.id} complete" in text for text in texts)


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after", "drop_before", "status"])
def test_a_lost_answer_starts_one_pipeline(wired: Wired, sandbox: Any, kind: str) -> None:
    sandbox.state.faults.add(kind, count=1, seconds=0.5, status=502, **TRIGGER)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    for _n in range(2):
        rerun_when_settled(trigger_of(build))
    assert len(sandbox.state.ledger.of("build.queued")) == 1
    assert fresh(trigger_of(build)).state == EffectState.DONE
    assert polled(build).status == "RUNNING"


def test_a_manual_job_is_waited_for_in_words(wired: Wired, sandbox: Any) -> None:
    sandbox.state.pipelines.files[4201].text = ci_files.MANUAL
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    build = end(polled(build), sandbox)
    words = "Waits until somebody starts “approve” in GitLab (stage publish)."
    assert (build.status, build.queue_reason) == ("WAITING", words)
    [blocker] = blockers(Release.objects.get(), [], [], None, timezone.now())
    assert (blocker.code, words in blocker.message) == ("waiting_for_a_person", True)
    pipeline = pipeline_of(build, sandbox)
    sandbox.state.pipelines.play(pipeline.now[-1], user="priya")
    assert polled(build).status == "RUNNING"
    assert end(build, sandbox).status == "SUCCESS"


def test_a_deleted_pipeline_is_lost(build: Build, sandbox: Any) -> None:
    sandbox.state.pipelines.delete(pipeline_of(build, sandbox))
    assert lost(build).status == "LOST"


def test_a_retry_never_overwrites_the_verdict_and_can_be_adopted(
    build: Build, sandbox: Any
) -> None:
    pipeline, engine = pipeline_of(build, sandbox), sandbox.state.pipelines
    sandbox.state.advance(60)
    assert end(build, sandbox, "failed").status == "FAILURE"
    sandbox.state.advance(60)
    engine.retry(pipeline, user="priya")
    assert polled(build).status == "FAILURE"
    build = end(build, sandbox)
    assert (pipeline.status, build.status) == ("success", "FAILURE")
    [retry] = offers(build)
    assert (retry["number"], retry["startedBy"]) == (pipeline.id, "priya")
    adopt_build(effect=trigger_of(build), number=pipeline.id, actor=None)
    first, second = Build.objects.order_by("attempt")
    assert (first.status, second.status) == ("FAILURE", "SUCCESS")
    assert second.external_id == f"{pipeline.id}/2"
    assert Release.objects.get().status == "BUILD_COMPLETE"


def test_why_a_pipeline_failed_is_shown(build: Build, sandbox: Any) -> None:
    build = end(build, sandbox, "failed")
    read_log(build.pk)
    lines = fresh(build).log_excerpt.split("\n")
    assert lines[0] == "Job “build” (stage build) failed: one of its commands failed."
    assert any("Checkout.swift:118:27: error: cannot find" in line for line in lines)


def test_a_cancelled_build_is_stopped_there(build: Build, sandbox: Any) -> None:
    cancel_build(build=build, actor=None)
    run_effect(Effect.objects.get(kind="build.cancel").pk)
    assert pipeline_of(build, sandbox).status == "canceled"


def test_a_test_build_takes_the_same_way(wired: Wired, sandbox: Any) -> None:
    pipeline = verify(wired.pipelines["ios"])
    assert pipeline.verification_status == "VALID", pipeline.checks
    test = start_test(pipeline=pipeline, actor=None, version="0.0.1", branch="develop")
    run_effect(Effect.objects.get(kind="build.test").pk)
    assert fresh(test).external_id == f"{fresh(test).number}/1"


def test_members_download_its_files(
    build: Build, sandbox: Any, member_of: Any, client_for: Any
) -> None:
    build = end(build, sandbox)
    client = client_for(member_of(build.tenant))
    page = client.get(f"/releases/{build.release_pipeline.release_id}").content.decode()
    assert f"/builds/{build.pk}/artifacts/0" in page
    answer = client.get(f"/builds/{build.pk}/artifacts/0")
    assert (answer.status_code, b"".join(answer.streaming_content)[:2]) == (200, b"PK")


# --- Webhooks -------------------------------------------------------------------------------------


def post(pipeline: PipelineIntegration, body: Any, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = pipeline.webhook_url.partition("/api/")[2]
    return Client().post(f"/api/{path}", raw, content_type="application/json", headers=headers)


def token(pipeline: PipelineIntegration, event_id: str = "1") -> dict[str, str]:
    secret = pipeline.webhook_secret.reveal()
    return {"x-gitlab-token": secret, "idempotency-key": event_id}


def event_of(build: Build, sandbox: Any, **about: Any) -> dict[str, Any]:
    project = sandbox.state.gitlab.projects[4201]
    told = told_from(pipeline_of(build, sandbox), project, sandbox.url)
    told["object_attributes"] |= about
    return told


def taken(pipeline: PipelineIntegration, body: Any, **headers: str) -> WebhookDelivery:
    answer = post(pipeline, body, **(headers or token(pipeline)))
    assert answer.status_code == 202, answer.content
    apply_delivery(answer.json()["deliveryId"])
    found: WebhookDelivery = WebhookDelivery.objects.get(pk=answer.json()["deliveryId"])
    return found


@pytest.mark.parametrize("about", [{}, {"variables": [], "name": None}, {"status": "canceling"}])
def test_an_event_only_makes_us_ask(
    wired: Wired, build: Build, sandbox: Any, about: dict[str, Any]
) -> None:
    """Whatever it claims: it says success, and the pipeline failed."""
    body = event_of(build, sandbox, **{"status": "success", **about})
    sandbox.state.pipelines.finish(pipeline_of(build, sandbox), "failed")
    delivery = taken(wired.pipelines["ios"], body)
    assert (delivery.state, delivery.build, delivery.trust) == ("APPLIED", build, "BASIC")
    assert (fresh(build).status, fresh(build).poll_at <= timezone.now()) == ("RUNNING", True)
    assert polled(build).status == "FAILURE"


def test_an_event_of_a_retried_pipeline_is_about_the_attempt_that_was_adopted(
    wired: Wired, build: Build, sandbox: Any
) -> None:
    """Its events do not tell which attempt they mean."""
    pipeline, engine = pipeline_of(build, sandbox), sandbox.state.pipelines
    sandbox.state.advance(60)
    first = end(build, sandbox, "failed")
    sandbox.state.advance(60)
    engine.retry(pipeline, user="priya")
    delivery = taken(wired.pipelines["ios"], event_of(first, sandbox))
    assert (delivery.build, fresh(first).poll_at <= timezone.now()) == (first, True)
    [retry] = offers(polled(first))
    adopt_build(effect=trigger_of(first), number=retry["number"], actor=None)
    second = Build.objects.get(attempt=2)
    engine.finish(pipeline, "failed")
    delivery = taken(
        wired.pipelines["ios"], event_of(first, sandbox), **token(second.pipeline, "2")
    )
    assert (delivery.state, delivery.build) == ("APPLIED", second)
    assert polled(second).status == "FAILURE"


def test_a_signed_event_is_a_hint_as_well(wired: Wired, build: Build, sandbox: Any) -> None:
    """Its status may be that of a retry."""
    pipeline = wired.pipelines["ios"]
    body = json.dumps(event_of(build, sandbox, status="success")).encode()
    secret = pipeline.webhook_secret.reveal()
    headers = signed_headers(secret, body, timestamp=int(time.time()), message_id="evt_1")
    delivery = taken(pipeline, body, **headers)
    assert (delivery.state, delivery.trust) == ("APPLIED", "SIGNED")
    assert fresh(build).status == "RUNNING"
    assert post(pipeline, body, **headers).json()["deliveryId"] == delivery.pk  # a repeat
    changed = body.replace(b"success", b"failed")
    assert post(pipeline, changed, **headers).status_code == 401


def test_a_wrong_token_is_refused_and_changes_nothing(
    wired: Wired, build: Build, sandbox: Any
) -> None:
    body, other = event_of(build, sandbox), wired.pipelines["android"]
    other.webhook_secret = webhook_secret()
    other.save()
    for headers in ({}, {"x-gitlab-token": "whsec_wrong"}, token(other)):
        assert post(wired.pipelines["ios"], body, **headers).status_code == 401
    assert not WebhookDelivery.objects.exists()


def test_the_command_on_the_page_of_the_secret_is_heard(wired: Wired) -> None:
    pipeline = wired.pipelines["ios"]
    password = basic(pipeline.webhook_secret.reveal())
    delivery = taken(pipeline, {"buildNumber": 1, "status": "TEST"}, **password)
    assert (delivery.state, delivery.trust) == ("IGNORED", "BASIC")


@pytest.mark.parametrize(
    ("body", "state", "words"),
    [
        ({"object_kind": "push"}, "IGNORED", "push says nothing"),
        ({"object_kind": "build", "pipeline_id": 7}, "IGNORED", "build says nothing"),
        ({}, "IGNORED", "did not say"),
        (
            {"object_kind": "pipeline", "object_attributes": {"id": 7, "source": "push"}},
            "IGNORED",
            "none of ours",
        ),
        ({"object_kind": "pipeline"}, "REJECTED", "no object_attributes"),
        ({"object_kind": "pipeline", "object_attributes": {"id": "x"}}, "REJECTED", "whole number"),
        (b"nothing", "REJECTED", "not JSON"),
    ],
)
def test_an_event_about_no_build_is_accepted_and_kept_with_its_reason(
    wired: Wired, body: Any, state: str, words: str
) -> None:
    delivery = taken(wired.pipelines["ios"], body)
    assert (delivery.state, words in delivery.reason) == (state, True)


def test_an_authentic_event_is_never_refused(
    wired: Wired, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitLab would switch the webhook off. What is too much is dropped."""
    pipeline, large = wired.pipelines["ios"], b" " * (webhooks.MAX_BYTES + 1)
    assert post(pipeline, large, **token(pipeline)).json() == {"deliveryId": None}
    settings.WEBHOOKS_PER_MINUTE = 1
    answers = [post(pipeline, {"n": n}, **token(pipeline, str(n))) for n in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert [bool(answer.json()["deliveryId"]) for answer in answers] == [True, False, False]
    assert WebhookDelivery.objects.count() == 1
    assert post(pipeline, large).status_code == 401


class Untouched:
    """A body that nobody may read."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("it was read")


def test_a_wrong_token_is_refused_before_the_body_is_read(wired: Wired) -> None:
    pipeline = wired.pipelines["ios"]
    for headers in ({}, {"x-gitlab-token": "whsec_wrong"}):
        request: Any = RequestFactory().post(
            "/", b"", content_type="application/json", headers=headers
        )
        request.META["CONTENT_LENGTH"] = "2000000"
        request._stream = Untouched()
        assert webhooks.receive(request, "gitlab", pipeline.pk).status_code == 401
        assert webhooks.receive(request, "gitlab", "pipeline_none").status_code == 401


def test_two_gitlabs_may_give_pipelines_the_same_id(wired: Wired, build: Build) -> None:
    """A build that is found without our id is not taken for one of another server."""
    other, ours = wired.build("android"), wired.build("ios")
    scm = factories.ScmFactory(
        tenant=wired.tenant, scm_type="GITLAB", repository_url="https://gitlab.com/a/b"
    )
    PipelineIntegration.objects.filter(pk=other.pipeline.pk).update(scm=scm)
    Build.objects.filter(pk=other.pk).update(external_id="7/1", status="RUNNING")
    state = BuildState(status=BuildStatus.RUNNING, external_id="7/1")
    assert not effects._is_contested(fresh(ours), state)
    Build.objects.filter(pk=build.pk).update(external_id="7/1")
    assert effects._is_contested(fresh(ours), state)


def test_an_event_before_the_triggers_answer_finds_its_build(wired: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    [made] = sandbox.state.pipelines.pipelines.values()
    build.number = made.id
    assert taken(wired.pipelines["ios"], event_of(build, sandbox)).build == build
    assert rerun_when_settled(trigger_of(build)).state == EffectState.DONE
    assert len(sandbox.state.ledger.of("build.queued")) == 1


def test_the_sandbox_reports_and_switches_a_refused_webhook_off(
    wired: Wired, build: Build, sandbox: Any
) -> None:
    """Its own events, to a server that refuses them: the verification tells."""
    pipeline = wired.pipelines["ios"]
    where = f"{sandbox.url}/nowhere/webhooks/gitlab/{pipeline.pk}"
    hook = ProjectHook(701, 4201, where, pipeline.webhook_secret.reveal())
    sandbox.state.pipelines.hooks[hook.id] = hook
    for _n in range(4):
        sandbox.state.pipelines.retry(pipeline_of(build, sandbox), user="priya")
        end(build, sandbox, "failed")
    deadline = time.monotonic() + 10
    while hook.failures < 4 and time.monotonic() < deadline:
        time.sleep(0.02)  # it is sent in the background
    [check] = [c for c in verify(pipeline).checks if c["name"] == "webhook"]
    assert check["code"] == "webhook_switched_off"
