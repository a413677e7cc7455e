"""Cancel a build in each of its states, and a whole release, against the sandbox's Jenkins."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from builds.cancelling import cancel_build, cancel_release
from builds.effects import connected_build
from builds.models import Build, Source
from builds.tests.test_main_flow import hurry
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.failures import Conflict
from delivr.tenants.models import Role
from delivr.tests.wired import Wired
from integrations.providers.ci import BuildStatus
from releases.models import Release

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_postgresql]


@pytest.fixture
def api(tenant: Any, api_for: Any) -> Any:
    return api_for(tenant, Role.OWNER)


@pytest.fixture
def release(wired: Wired) -> Release:
    made = wired.release(slack=True, jira=True)
    sweep_until_idle()
    return made


def trigger_ios(api: Any, release: Release) -> Build:
    answer = api.post(f"/api/v1/releases/{release.pk}/builds", {"platform": "IOS"})
    return Build.objects.get(pk=answer.json()["builds"][0]["id"])


def run_all() -> None:
    for _round in range(12):
        hurry()
        sweep_until_idle(limit=2)


def send_trigger() -> None:
    """Once: a sweep would look for the lost answer as soon as that is due, which may be at once."""
    run_effect(Effect.objects.get(kind="build.trigger").pk)


def status(build: Build) -> str:
    return Build.objects.get(pk=build.pk).status


def test_a_build_that_was_not_sent_never_starts(api: Any, release: Release, sandbox: Any) -> None:
    build = trigger_ios(api, release)
    answer = api.post(f"/api/v1/builds/{build.pk}/cancel")
    assert answer.status_code == 202
    assert answer.json()["buildStatus"] == "CANCELLED"
    run_all()
    assert sandbox.state.ledger.of("build.queued") == []
    assert not Effect.objects.filter(kind__startswith="build.").open().exists()


def test_a_running_build_is_stopped_at_jenkins(api: Any, release: Release, sandbox: Any) -> None:
    build = trigger_ios(api, release)
    run_all()
    assert status(build) == "RUNNING"
    api.post(f"/api/v1/builds/{build.pk}/cancel")
    run_all()
    assert sandbox.state.jenkins.build("ios-prod", 245).result == "ABORTED"
    assert status(build) == "CANCELLED"
    texts = [m.text for m in sandbox.state.slack.in_channel("C123")]
    assert texts[-1] == "🛑 iOS build #245 cancelled"


def test_a_queued_build_leaves_the_queue(api: Any, release: Release, sandbox: Any) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    build = trigger_ios(api, release)
    sweep_until_idle()
    assert status(build) == "QUEUED"
    api.post(f"/api/v1/builds/{build.pk}/cancel")
    run_all()
    assert sandbox.state.jenkins.queued() == []
    assert len(sandbox.state.ledger.of("build.cancelled")) == 1


def test_a_trigger_in_doubt_is_stopped_when_it_is_found(
    api: Any, release: Release, sandbox: Any
) -> None:
    sandbox.state.faults.add("drop_after", provider="jenkins", method="POST", count=1)
    build = trigger_ios(api, release)
    send_trigger()
    assert status(build) == "TRIGGERING"
    api.post(f"/api/v1/builds/{build.pk}/cancel")
    run_all()
    assert len(sandbox.state.ledger.of("build.queued")) == 1
    build_there = sandbox.state.jenkins.build("ios-prod", 245)
    assert build_there is None or build_there.result == "ABORTED"
    assert status(build) == "CANCELLED"


def test_a_trigger_that_arrives_while_its_stop_is_prepared_is_stopped(
    api: Any, release: Release, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    sandbox.state.faults.add("drop_after", provider="jenkins", method="POST", count=1)
    build = trigger_ios(api, release)
    send_trigger()
    cancel_build(build=build, actor=None)

    def meanwhile(effect: Effect) -> Build:
        row = connected_build(effect)
        monkeypatch.setattr("builds.cancelling.connected_build", connected_build)
        Effect.objects.filter(kind="build.trigger").update(next_at=timezone.now())
        run_effect(Effect.objects.get(kind="build.trigger").pk)
        return row

    monkeypatch.setattr("builds.cancelling.connected_build", meanwhile)
    run_effect(Effect.objects.get(kind="build.cancel").pk)
    assert Effect.objects.get(kind="build.trigger").state == "DONE"
    run_all()
    assert sandbox.state.jenkins.queued() == []


def test_a_cancelled_build_that_shows_up_running_is_stopped(
    api: Any, release: Release, sandbox: Any
) -> None:
    build = trigger_ios(api, release)
    run_all()
    Build.objects.filter(pk=build.pk).update(status="CANCELLED")
    apply_update(build.pk, BuildUpdate(status=BuildStatus.RUNNING, source=Source.POLL, number=245))
    run_all()
    assert sandbox.state.jenkins.build("ios-prod", 245).result == "ABORTED"


def test_a_finished_build_is_not_cancelled(api: Any, release: Release) -> None:
    build = trigger_ios(api, release)
    cancel_build(build=build, actor=None)
    answer = api.post(f"/api/v1/builds/{build.pk}/cancel")
    assert answer.status_code == 409
    assert answer.json()["code"] == "not_moving"


def test_a_cancelled_build_can_be_triggered_again(api: Any, release: Release) -> None:
    cancel_build(build=trigger_ios(api, release), actor=None)
    run_all()
    again = trigger_ios(api, release)
    run_all()
    assert status(again) == "RUNNING"


def test_a_cancelled_release_stops_everything(api: Any, release: Release, sandbox: Any) -> None:
    build = trigger_ios(api, release)
    run_all()
    answer = api.post(f"/api/v1/releases/{release.pk}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "CANCELLED"
    run_all()
    assert status(build) == "CANCELLED"
    assert sandbox.state.jenkins.build("ios-prod", 245).result == "ABORTED"
    refused = api.post(f"/api/v1/releases/{release.pk}/builds", {})
    assert refused.json()["code"] == "release_cancelled"
    assert api.post(f"/api/v1/releases/{release.pk}/cancel").status_code == 409
    texts = [m.text for m in sandbox.state.slack.in_channel("C123")]
    assert texts[-1] == f"🛑 Release {release.version} cancelled"


def test_cancelling_a_waiting_trigger_ends_its_build(api: Any, release: Release) -> None:
    build = trigger_ios(api, release)
    effect = Effect.objects.get(build_id=build.pk)
    answer = api.post(f"/api/v1/effects/{effect.pk}/cancel")
    assert answer.status_code == 202
    assert status(build) == "TRIGGER_FAILED"


def test_cancel_refuses_strangers_and_viewers(
    api: Any, release: Release, tenant: Any, api_for: Any
) -> None:
    build = trigger_ios(api, release)
    from delivr.tests.factories import TenantFactory

    stranger = api_for(TenantFactory(), Role.OWNER)
    viewer = api_for(tenant, Role.VIEWER)
    for path in (f"/api/v1/builds/{build.pk}/cancel", f"/api/v1/releases/{release.pk}/cancel"):
        assert stranger.post(path).status_code == 404
        assert viewer.post(path).status_code == 403
    assert status(build) == "TRIGGERING"
    assert Release.objects.get(pk=release.pk).status == "BUILDING"


def test_cancelling_twice_is_one_conflict(release: Release) -> None:
    cancel_release(release=release, actor=None)
    with pytest.raises(Conflict, match="cancelled"):
        cancel_release(release=release, actor=None)
    assert Effect.objects.filter(dedupe_key__endswith=":cancelled").count() == 2
    assert not Effect.objects.filter(state=EffectState.DEAD).exists()


def test_a_cancelled_build_that_starts_after_all_is_stopped_by_its_number(
    api: Any, release: Release
) -> None:
    build = trigger_ios(api, release)
    cancel_build(build=build, actor=None)
    stops = Effect.objects.filter(kind="build.cancel", build_id=build.pk)
    stops.update(state=EffectState.CANCELLED)  # as if the trigger had never been sent
    apply_update(
        build.pk, BuildUpdate(status=BuildStatus.RUNNING, source=Source.WEBHOOK, number=245)
    )
    assert status(build) == "CANCELLED"
    assert stops.get(state=EffectState.PENDING).dedupe_key == f"build:{build.pk}:cancel:245"


@pytest.mark.parametrize("given_up", ["LOST", "TRIGGER_FAILED"])
def test_a_build_of_a_cancelled_release_that_turns_up_is_stopped(
    api: Any, release: Release, given_up: str
) -> None:
    build = trigger_ios(api, release)
    Build.objects.filter(pk=build.pk).update(status=given_up)
    cancel_release(release=release, actor=None)
    apply_update(
        build.pk, BuildUpdate(status=BuildStatus.RUNNING, source=Source.WEBHOOK, number=245)
    )
    assert status(build) == given_up
    key = f"build:{build.pk}:cancel:245"
    assert Effect.objects.get(kind="build.cancel").dedupe_key == key
    assert not Effect.objects.filter(payload__notice="build_started").exists()
