"""Lost responses of Jenkins: the build is found, never duplicated, or shown to a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.effects import TriggerBuild
from builds.models import Build, Source
from builds.polling.poller import poll_build
from builds.tests.rerunning import rerun, rerun_when_settled
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to
from integrations import operations as integrations
from integrations.providers.ci import BuildStatus
from integrations.verification import verify
from releases.models import Release
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
TRIGGER = {"provider": "jenkins", "method": "POST", "path": "*/buildWithParameters"}


def queued(sandbox: Any, job: str = "ios-prod") -> int:
    """The number of builds that Jenkins queued."""
    return len(sandbox.state.ledger.of("build.queued", job=job))


def test_a_trigger_sends_version_branch_our_id_and_the_declared_own_parameters(
    wired: Wired, sandbox: Any
) -> None:
    release = wired.release("ios")
    release.pipelines.update(parameters={"TRACK": "x"})  # this job does not declare it
    (build,) = trigger_builds(release=release, actor=None)
    run_effect(trigger_of(build).pk)
    (entry,) = sandbox.state.ledger.of("build.queued")
    assert entry["parameters"] == {
        "VERSION": release.version,
        "BRANCH": release.branch,
        "DELIVR_BUILD_ID": build.pk,
    }
    assert fresh(build).status == "QUEUED"


LOSSES = [
    {"kind": "drop_after"},
    {"kind": "no_location"},
]


@pytest.mark.parametrize("fault", LOSSES, ids=str)
def test_a_triggers_lost_response_is_found_by_our_id(
    wired: Wired, sandbox: Any, fault: dict[str, Any]
) -> None:
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, **fault, count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.PENDING
    assert fresh(effect).dispatched_at is not None
    assert fresh(build).status == "TRIGGERING"
    assert rerun(effect).state == EffectState.DONE
    assert queued(sandbox) == 1
    assert fresh(build).status == "RUNNING"
    assert fresh(build).number == 245


def test_a_lost_response_is_found_in_the_queue_too(wired: Wired, sandbox: Any) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    assert rerun(effect).state == EffectState.DONE
    assert (fresh(build).status, fresh(build).queue_id) == ("QUEUED", 1001)
    assert queued(sandbox) == 1


def test_a_lost_response_is_found_after_the_build_ended(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    assert rerun(effect).state == EffectState.DONE
    assert fresh(build).status == "FAILURE"
    assert queued(sandbox) == 1


def test_a_lost_response_needs_no_search_if_a_webhook_named_the_build(
    wired: Wired, sandbox: Any
) -> None:
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    apply_update(
        build.pk, BuildUpdate(status=BuildStatus.RUNNING, source=Source.WEBHOOK, number=245)
    )
    job = sandbox.state.jenkins.job("ios-prod")
    job.executors = 1_000
    for n in range(300):  # more than a search goes through
        sandbox.state.jenkins.enqueue(job, {"n": str(n)}, user="someone", delay=0)
    assert rerun(effect).state == EffectState.DONE
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 245)


def test_a_lost_request_is_sent_again_once_its_absence_is_certain(
    wired: Wired, sandbox: Any
) -> None:
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_before", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    waiting = rerun(effect)
    assert (waiting.state, waiting.reconciles) == (EffectState.PENDING, 1)
    assert queued(sandbox) == 0
    assert rerun_when_settled(effect).state == EffectState.DONE
    assert queued(sandbox) == 1
    assert fresh(build).status == "QUEUED"


def test_a_job_that_cannot_carry_our_id_goes_to_a_person(tenant: Any, sandbox: Any) -> None:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    dead = rerun(effect)
    assert (dead.state, dead.last_error_code) == (EffectState.DEAD, "cannot_correlate")
    assert "DELIVR_BUILD_ID" in dead.last_error
    assert dead.last_error_hint
    assert fresh(build).status == "TRIGGER_FAILED"
    assert Release.objects.get().status == "BUILD_FAILED"
    run_effect(effect.pk)
    sweep_until_idle(limit=3)
    assert queued(sandbox, "ios-no-build-id") == 1


def test_a_lost_answer_is_looked_for_until_the_job_is_there_again(
    wired: Wired, sandbox: Any
) -> None:
    """Jenkins restarts: the answer is lost, and for a while nobody sees the job."""
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    sandbox.state.jenkins.job("ios-prod").hidden = True
    waiting = rerun(effect)
    assert (waiting.state, waiting.last_error_code) == (EffectState.PENDING, "job_unreadable")
    assert fresh(build).status == "TRIGGERING"
    sandbox.state.jenkins.job("ios-prod").hidden = False
    assert rerun(effect).state == EffectState.DONE
    assert queued(sandbox) == 1


def test_a_person_may_send_it_again(tenant: Any, sandbox: Any, owner: Any) -> None:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    build = wired.build("ios")
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    effect = trigger_of(build)
    run_effect(effect.pk)
    retry_effect(effect=rerun(effect), actor=owner)
    assert fresh(build).status == "TRIGGERING"
    assert rerun(effect).state == EffectState.DONE
    assert fresh(build).status == "QUEUED"


def test_such_a_job_works_while_no_response_is_lost(tenant: Any, sandbox: Any) -> None:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    for _n in range(3):
        Build.objects.update(poll_at=timezone.now())
        poll_build(build.pk)
    assert (fresh(build).status, fresh(build).number) == ("RUNNING", 88)


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ("/job/ios-disabled", "disabled"),
        ("/job/ios-misnamed", ""),
        ("/job/mobile", ""),
    ],
)
def test_a_refused_trigger_fails_at_once_with_words(
    tenant: Any, sandbox: Any, job: str, code: str
) -> None:
    build = wired_to(tenant, sandbox, jobs={"ios": job}).build("ios", slack=True)
    effect = trigger_of(build)
    run_effect(effect.pk)
    dead = fresh(effect)
    assert dead.state == EffectState.DEAD
    assert code in dead.last_error_code
    assert dead.last_error
    assert dead.last_error_hint
    assert fresh(build).status == "TRIGGER_FAILED"
    assert build.events.get().detail == dead.last_error
    notices = {e.payload["notice"] for e in Effect.objects.filter(kind="message.post")}
    assert notices == {"release_created", "build_not_started", "release_failed"}
    assert len(sandbox.state.ledger.of("build.queued")) == 0


def test_a_missing_job_is_tried_a_few_times_and_then_reported(tenant: Any, sandbox: Any) -> None:
    """The job existed when the connection was verified: Jenkins may be reloading."""
    build = wired_to(tenant, sandbox, jobs={"ios": "/job/gone"}).build("ios")
    effect = rerun(trigger_of(build))
    assert (effect.state, effect.last_error_code) == (EffectState.PENDING, "job_unreadable")
    while effect.state == EffectState.PENDING:
        assert effect.attempts <= TriggerBuild.max_attempts
        effect = rerun(effect)
    assert (effect.state, fresh(build).status) == (EffectState.DEAD, "TRIGGER_FAILED")
    assert "no job gone" in effect.last_error
    assert queued(sandbox) == 0


def test_an_expired_trigger_is_not_sent(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    effect = rerun(trigger_of(build), expires_at=timezone.now() - timedelta(seconds=1))
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "expired")
    assert fresh(build).status == "TRIGGER_FAILED"
    assert queued(sandbox) == 0


def test_refused_credentials_wait_for_the_connection_to_be_repaired(
    wired: Wired, sandbox: Any
) -> None:
    pipeline = wired.pipelines["ios"]
    pipeline.api_token = "revoked"
    pipeline.save()
    build = wired.build("ios")
    effect = trigger_of(build)
    run_effect(effect.pk)
    assert (fresh(effect).state, fresh(build).status) == (EffectState.PENDING, "TRIGGERING")
    assert fresh(pipeline).doubted_at is not None
    integrations.edit(
        pipeline, actor=None, values={"jenkins_api_token": accounts.JENKINS_API_TOKEN}
    )
    verify(fresh(pipeline))
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DONE
    assert queued(sandbox) == 1


def test_a_connection_that_is_gone_fails_the_trigger_in_words(wired: Wired, sandbox: Any) -> None:
    build = wired.build("ios")
    Release.objects.update(status="CANCELLED")
    integrations.disconnect(wired.pipelines["ios"], actor=None)
    Release.objects.update(status="BUILDING")
    effect = rerun(trigger_of(build))
    assert effect.last_error
    assert queued(sandbox) == 0
