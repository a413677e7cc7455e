"""Builds of Any CI, from the trigger to the release's status, against the sandbox's receivers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from builds.adopting import adopt_build
from builds.cancelling import cancel_build
from builds.models import Build, BuildEvent, TestBuild, WebhookDelivery
from builds.testbuilds.operations import start_test
from builds.tests.polling import lost, polled
from builds.webhooks.deliveries import apply_delivery
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of, wire_any_ci
from releases.blockers import blockers
from releases.models import Release
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
TRIGGER = {"provider": "any_ci", "method": "POST"}
STATUS = {"provider": "any_ci", "method": "GET"}


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wire_any_ci(tenant, sandbox.url)


@pytest.fixture
def silent(tenant: Any, sandbox: Any) -> Wired:
    """Receivers that cannot be asked."""
    return wire_any_ci(tenant, sandbox.url, has_status=False)


def built(sandbox: Any) -> int:
    return len(sandbox.state.ledger.of("build.queued"))


def triggered(wired: Wired, **kwargs: Any) -> Build:
    build = wired.build("ios", **kwargs)
    run_effect(trigger_of(build).pk)
    found: Build = fresh(build)
    return found


def again(effect: Effect, *, minutes: int = 10) -> Effect:
    """Run it once more, as if it had last been sent so long ago."""
    past = timezone.now() - timedelta(minutes=minutes)
    rows = Effect.objects.filter(pk=effect.pk)
    rows.update(next_at=past)
    rows.exclude(dispatched_at=None).update(dispatched_at=past)
    rows.exclude(lease_until=None).update(lease_until=past)
    run_effect(effect.pk)
    found: Effect = fresh(effect)
    return found


def report(client: Client, build: Build | TestBuild, *, basic: bool = False, **body: Any) -> Any:
    """Send a report of the build, and apply it."""
    content = json.dumps({"buildId": build.pk, **body}).encode()
    headers = _basic() if basic else _signed(content)
    path = f"/api/v1/webhooks/builds/{build.pipeline.pk}"
    answer = client.post(path, content, content_type="application/json", headers=headers)
    assert answer.status_code == 202, answer.content
    apply_delivery(answer.json()["deliveryId"])
    return WebhookDelivery.objects.get(pk=answer.json()["deliveryId"])


def _signed(content: bytes) -> dict[str, str]:
    message = f"msg_{uuid.uuid4().hex}.{int(time.time())}."
    key = base64.b64decode(accounts.ANY_CI_SECRET.removeprefix("whsec_"))
    mac = hmac.new(key, message.encode() + content, hashlib.sha256).digest()
    message_id, timestamp, _end = message.split(".")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def _basic() -> dict[str, str]:
    words = base64.b64encode(f"delivr:{accounts.ANY_CI_SECRET}".encode()).decode()
    return {"authorization": f"Basic {words}"}


def blocker_of(release: Release, code: str) -> Any:
    release = Release.objects.with_everything().get(pk=release.pk)
    effects = list(Effect.objects.filter(release_id=release.pk))
    found = blockers(release, effects, [], None, timezone.now())
    return next(blocker for blocker in found if blocker.code == code)


# --- With a status address ------------------------------------------------------------------------


def test_a_build_is_triggered_followed_and_complete(wired: Wired, sandbox: Any) -> None:
    build = triggered(wired, slack=True)
    [there] = sandbox.state.receivers.builds
    assert there.data == {
        "buildId": build.pk,
        "version": "1.5.1",
        "branch": "release/1.5.1",
        "commit": Release.objects.get().branch_commit,
        "platform": "IOS",
        "parameters": {},
        "callbackUrl": build.pipeline.webhook_url,
    }
    assert build.pipeline.webhook_url.endswith(f"/api/v1/webhooks/builds/{build.pipeline.pk}")
    assert (build.status, build.number) == ("QUEUED", there.number)
    build = polled(build)
    assert build.status == "RUNNING"
    sandbox.state.receivers.finish(there)
    build = polled(build)
    assert (build.status, build.poll_at) == ("SUCCESS", None)
    assert build.url == f"{sandbox.url}/anyci/builds/{there.number}"
    assert build.artifact_url == f"s3://builds/ios-{there.number}.zip"
    assert Release.objects.get().status == "BUILD_COMPLETE"
    sweep_until_idle()
    texts = [message.text for message in sandbox.state.slack.messages]
    assert any(f"iOS build #{there.number} complete" in text for text in texts)


def test_a_dry_run_tells_what_would_be_sent(wired: Wired, sandbox: Any, api_for: Any) -> None:
    given = {
        "version": "2.0.0",
        "scmIntegrationId": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
    }
    answer = api_for(wired.tenant).post("/api/v1/releases?dryRun=true", given, format="json")
    [job] = answer.json()["jobs"]
    assert (job["jenkinsUrl"], job["jobPath"]) == (wired.pipelines["ios"].server_url, "")
    assert job["parameters"]["VERSION"] == "2.0.0"
    assert built(sandbox) == 0


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after", "html_200", "oversized"])
def test_a_lost_answer_starts_no_second_build(wired: Wired, sandbox: Any, kind: str) -> None:
    """Also by a receiver that would build a repeat."""
    sandbox.state.receivers.all["ios"].builds_repeats = True
    sandbox.state.faults.add(kind, count=1, seconds=0.2, **TRIGGER)
    build = triggered(wired)
    effect = trigger_of(build)
    assert effect.dispatched_at is not None
    assert again(effect).state == EffectState.DONE
    assert built(sandbox) == 1
    assert polled(build).status == "RUNNING"


def test_a_trigger_that_never_arrived_is_sent_again_under_its_id(
    wired: Wired, sandbox: Any
) -> None:
    sandbox.state.faults.add("status", count=1, status=502, **TRIGGER)
    effect = trigger_of(triggered(wired))
    assert again(effect, minutes=0).state == EffectState.PENDING  # it may still appear
    assert built(sandbox) == 0
    assert again(effect).state == EffectState.DONE
    [there] = sandbox.state.receivers.builds
    assert there.build_id == effect.build_id


def test_a_refusal_is_told_and_can_be_retried(wired: Wired, sandbox: Any) -> None:
    sandbox.state.receivers.all["ios"].secret = "another"
    build = triggered(wired)
    effect = trigger_of(build)
    assert (build.status, effect.state) == ("TRIGGER_FAILED", EffectState.DEAD)
    assert "refused the trigger (HTTP 401)" in effect.last_error
    assert "webhook secret" in effect.last_error_hint
    assert wired.pipelines["ios"].verification_status == "VALID"
    sandbox.state.receivers.all["ios"].secret = accounts.ANY_CI_SECRET
    retry_effect(effect=effect, actor=None)
    run_effect(effect.pk)
    assert (fresh(build).status, built(sandbox)) == ("QUEUED", 1)


def test_a_receiver_that_repeats_the_headers_leaks_nothing(wired: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add("echo", count=1, status=400, **TRIGGER)
    effect = trigger_of(triggered(wired))
    assert effect.state == EffectState.DEAD
    rows = [*Effect.objects.values(), *Build.objects.values(), *BuildEvent.objects.values()]
    assert accounts.ANY_CI_TOKEN not in repr(rows)


def test_a_password_alone_has_the_receiver_asked(
    wired: Wired, sandbox: Any, client: Client
) -> None:
    build = polled(triggered(wired))
    report(client, build, basic=True, status="SUCCESS")
    assert fresh(build).status == "RUNNING"
    assert polled(build).status == "RUNNING"  # as the receiver says
    report(client, build, status="FAILURE", buildNumber=build.number)
    build = fresh(build)
    assert (build.status, build.log_at) == ("FAILURE", None)
    assert "Any CI does not pass logs on" in build.log_error


def test_a_build_that_the_receiver_does_not_know_is_lost(wired: Wired, sandbox: Any) -> None:
    build = polled(triggered(wired))
    sandbox.state.receivers.all["ios"].has_status = False
    assert lost(build).status == "LOST"
    with pytest.raises(ValidationError, match="by delivr's ids, not by their numbers"):
        adopt_build(effect=trigger_of(build), number=7, actor=None)


def test_a_build_is_cancelled_here_alone(wired: Wired, sandbox: Any, client: Client) -> None:
    build = polled(triggered(wired))
    cancel_build(build=build, actor=None)
    sweep_until_idle()
    stop = Effect.objects.get(kind="build.cancel")
    assert (stop.state, sandbox.state.receivers.builds[0].result) == (EffectState.CANCELLED, "")
    delivery = report(client, build, status="RUNNING", buildNumber=build.number)
    assert (delivery.state, fresh(build).status) == ("IGNORED", "CANCELLED")
    assert Effect.objects.filter(kind="build.cancel").count() == 1


def test_a_test_build_shows_that_it_works(wired: Wired, sandbox: Any) -> None:
    test = start_test(pipeline=wired.pipelines["ios"], actor=None, version="0.0.1", branch="main")
    sweep_until_idle()
    [there] = sandbox.state.receivers.builds
    assert (there.build_id, there.data["commit"]) == (test.pk, None)
    sandbox.state.receivers.finish(there)
    TestBuild.objects.update(poll_at=timezone.now())
    sweep_until_idle()
    assert (fresh(test).status, fresh(test).number) == ("SUCCESS", there.number)


# --- Without one ----------------------------------------------------------------------------------


def test_reports_alone_complete_a_build(silent: Wired, client: Client) -> None:
    build = triggered(silent, slack=True)
    for status in ("RUNNING", "WAITING", "RUNNING"):
        assert report(client, build, status=status).state == "APPLIED"
        assert fresh(build).status == status
    report(client, build, basic=True, status="SUCCESS", artifactUrl="s3://b/a.ipa")
    build = polled(build)
    assert (build.status, build.artifact_url, build.poll_at) == ("SUCCESS", "s3://b/a.ipa", None)
    assert Release.objects.get().status == "BUILD_COMPLETE"
    late = report(client, build, status="FAILURE")
    assert (late.state, fresh(build).status) == ("IGNORED", "SUCCESS")


def test_a_copy_of_githubs_event_under_another_id_is_a_repeat(
    silent: Wired, client: Client
) -> None:
    """GitHub signs only the body, and nobody can be asked whether it is true."""
    build = triggered(silent)
    run = {"name": f"App {build.pk}", "conclusion": "failure"}
    body = json.dumps({"action": "completed", "workflow_run": run}).encode()
    mac = hmac.new(accounts.ANY_CI_SECRET.encode(), body, hashlib.sha256).hexdigest()
    for number in range(2):
        headers = {"x-hub-signature-256": f"sha256={mac}", "x-github-event": "workflow_run"}
        answer = client.post(
            f"/api/v1/webhooks/github/{build.pipeline.pk}",
            body,
            content_type="application/json",
            headers={**headers, "x-github-delivery": str(number)},
        )
        assert answer.status_code == 202
    assert WebhookDelivery.objects.count() == 1


def test_a_lost_answer_waits_for_a_report(silent: Wired, sandbox: Any, client: Client) -> None:
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    build = triggered(silent)
    effect = again(trigger_of(build), minutes=0)
    assert (effect.state, effect.last_error_code) == (EffectState.PENDING, "reset")
    report(client, build, status="RUNNING", buildNumber=501)
    assert again(effect, minutes=0).state == EffectState.DONE
    assert (fresh(build).status, fresh(build).number, built(sandbox)) == ("RUNNING", 501, 1)


def test_a_lost_answer_without_a_report_is_left_to_a_person(silent: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    build = triggered(silent)
    effect = again(trigger_of(build))
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "cannot_correlate")
    assert (fresh(build).status, built(sandbox)) == ("TRIGGER_FAILED", 1)
    retry_effect(effect=effect, actor=None)
    run_effect(effect.pk)
    assert (fresh(build).status, built(sandbox)) == ("QUEUED", 1)  # the receiver knew the id
    assert len(sandbox.state.ledger.of("trigger.repeated")) == 1


def test_a_report_settles_a_trigger_that_was_given_up(
    silent: Wired, sandbox: Any, client: Client
) -> None:
    sandbox.state.faults.add("drop_after", count=1, **TRIGGER)
    build = triggered(silent)
    assert again(trigger_of(build)).state == EffectState.DEAD
    assert "response was lost" in blocker_of(Release.objects.get(), "waiting_for_person").message
    report(client, build, status="RUNNING", buildNumber=501)
    assert (fresh(build).status, trigger_of(build).state) == ("RUNNING", EffectState.DONE)
    with pytest.raises(StopIteration):
        blocker_of(Release.objects.get(), "waiting_for_person")


def test_a_build_that_reports_nothing_is_lost_and_adopted(
    silent: Wired, sandbox: Any, client: Client
) -> None:
    build = triggered(silent, slack=True)
    Build.objects.update(created_at=timezone.now() - timedelta(hours=3))
    build = polled(build)
    assert build.status == "LOST"
    lost_words = blocker_of(Release.objects.get(), "build_lost").message
    assert "reported nothing about it for 3 hours" in lost_words
    adopt_build(effect=trigger_of(build), number=77, actor=None)
    build = polled(build)
    assert (build.status, build.number) == ("QUEUED", 77)
    report(client, build, status="SUCCESS", buildNumber=77)
    assert fresh(build).status == "SUCCESS"


def test_a_test_build_goes_by_its_reports(silent: Wired, client: Client) -> None:
    test = start_test(pipeline=silent.pipelines["ios"], actor=None, version="0.0.1", branch="main")
    sweep_until_idle()
    assert report(client, test, status="SUCCESS").reason == "It is about a test build."
    assert fresh(test).status == "SUCCESS"
