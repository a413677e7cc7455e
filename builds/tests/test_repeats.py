"""A second build with our id: stopped where only we can have started it, else left alone."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import Build
from builds.tests.test_deliveries import deliver
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import fresh, trigger_of, wired_to
from releases.timeline import timeline
from releases.wording import describe_effect
from sandbox import accounts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def jenkins(sandbox: Any) -> Any:
    return sandbox.world.jenkins


@pytest.fixture
def build(tenant: Any, sandbox: Any, jenkins: Any) -> Build:
    """Ours, that runs as #245."""
    build = wired_to(tenant, sandbox).build("ios")
    run_effect(trigger_of(build).pk)
    Build.objects.filter(pk=build.pk).update(status="RUNNING", number=245)
    assert jenkins.build("ios-prod", 245).building
    found: Build = fresh(build)
    return found


def again(jenkins: Any, build: Build, *, user: str = accounts.JENKINS_USER) -> None:
    """The network delivers the trigger of a build a second time."""
    jenkins.enqueue(jenkins.job("ios-prod"), build.parameters, user=user, delay=0)


def heard_of(build: Build, number: int = 246) -> Effect | None:
    """A report of another run comes in, and what follows from it is done."""
    delivery = deliver(build, {"buildId": build.pk, "buildNumber": number, "status": "STARTED"})
    assert delivery.state == "ORPHAN"
    effect = Effect.objects.filter(kind="build.stop_repeat").first()
    if effect is not None:
        run_effect(effect.pk)
        effect.refresh_from_db()
    return effect


def outcome(effect: Effect | None) -> Any:
    return effect and effect.result.get("outcome")


def test_a_trigger_that_arrived_twice_is_stopped_and_shown(build: Build, jenkins: Any) -> None:
    again(jenkins, build)
    effect = heard_of(build)
    assert effect is not None
    assert effect.result == {"outcome": "STOPPED"}
    assert jenkins.build("ios-prod", 246).result == "ABORTED"
    assert jenkins.build("ios-prod", 245).building
    assert fresh(build).status == "RUNNING"
    assert describe_effect(effect) == "Second build #246 with the same id stopped"
    told = timeline(build.release_pipeline.release, [effect])
    assert describe_effect(effect) in [item.title for item in told]
    row = AuditEvent.objects.get(action="build.repeat_stopped")
    assert (row.subject_id, row.changes) == (build.pk, {"number": [246, None]})


def test_a_repeated_report_stops_once(build: Build, jenkins: Any) -> None:
    again(jenkins, build)
    heard_of(build)
    heard_of(build)
    assert Effect.objects.filter(kind="build.stop_repeat").count() == 1
    assert AuditEvent.objects.filter(action="build.repeat_stopped").count() == 1


@pytest.mark.parametrize("user", ["mia", accounts.JENKINS_USER])
def test_a_persons_rebuild_runs_on_whoevers_account_it_is(
    build: Build, jenkins: Any, user: str
) -> None:
    jenkins.rebuild(jenkins.build("ios-prod", 245), user=user)
    assert outcome(heard_of(build)) == "FOREIGN"
    assert jenkins.build("ios-prod", 246).building


def test_another_users_plain_build_runs_on(build: Build, jenkins: Any) -> None:
    again(jenkins, build, user="mia")
    assert outcome(heard_of(build)) == "FOREIGN"
    assert jenkins.build("ios-prod", 246).building


def test_a_report_that_lies_stops_nothing(build: Build, jenkins: Any) -> None:
    parameters = {**build.parameters, "DELIVR_BUILD_ID": "bld_another"}
    user = accounts.JENKINS_USER
    jenkins.enqueue(jenkins.job("ios-prod"), parameters, user=user, delay=0)
    assert outcome(heard_of(build)) == "FOREIGN"
    assert jenkins.build("ios-prod", 246).building


def test_what_ended_or_is_unknown_is_shown_only(build: Build, jenkins: Any) -> None:
    assert outcome(heard_of(build)) == "GONE"
    Effect.objects.filter(kind="build.stop_repeat").delete()
    again(jenkins, build)
    jenkins.finish("ios-prod", 246)
    assert outcome(heard_of(build)) == "ENDED"
    assert jenkins.build("ios-prod", 246).result == "SUCCESS"


def test_an_earlier_build_is_not_looked_at(build: Build) -> None:
    assert heard_of(build, number=244) is None
