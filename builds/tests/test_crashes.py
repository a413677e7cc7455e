"""A process killed at each step of an effect: another one recovers, and the CI server builds
once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from builds.models import Build
from builds.tests.polling import running
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.run.crashpoints import KILLED
from delivr.tests.processes import empty_broker, process, until
from delivr.tests.wired import (
    Wired,
    fresh,
    trigger_of,
    wire,
    wire_actions,
    wire_any_ci,
    wire_pipelines,
)
from releases.messages.operations import send_test

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

LONG_AGO = timedelta(minutes=5)
CELERY = ("-m", "celery", "-A", "delivr", "worker", "-P", "threads", "-c", "2", "-n", "crash@%h")
SENT_NOTHING = ("after_claim", "after_write_ahead")
SENT = ("after_send", "before_settle_commit", "after_finish")
STEPS = (*SENT_NOTHING, *SENT)
# The steps are the same for all CI servers; only how a build is found again differs. `make faults`
# tries each step with each of them.
OTHER_STEPS = STEPS if os.environ.get("EVERY_STEP") else ("after_send",)
OTHERS = (wire_actions, wire_pipelines, wire_any_ci)


@pytest.fixture
def connect() -> Callable[..., Wired]:
    """Connects Jenkins, unless a test says another CI server."""
    return wire


@pytest.fixture
def wired(connect: Callable[..., Wired], tenant: Any, sandbox: Any) -> Wired:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    empty_broker()
    return connect(tenant, sandbox.url)


def killed(log: Path, point: str, *command: str, **extra: str) -> None:
    """Run a process until it is killed at `point`."""
    with process(log, sys.executable, *command, DELIVR_CRASHPOINT=point, **extra) as child:
        until(lambda: child.poll() is not None, seconds=60, what=f"dead at {point}")
    assert child.returncode == KILLED, log.read_text()


def lone_sweeper(log: Path) -> Any:
    """A sweeper that runs the jobs itself, without a broker."""
    return process(log, sys.executable, "manage.py", "sweep", CELERY_BROKER_URL="")


def sweep(build: Build) -> bool:
    """Do here what a sweeper does, without a broker, and look whether the build runs."""
    with override_settings(CELERY_BROKER_URL=""):
        sweep_until_idle(limit=1)
    return bool(fresh(build).status == "RUNNING")


def let_time_pass(effect: Effect) -> None:
    """As if leases had expired and what was sent had had enough time to appear."""
    past = timezone.now() - LONG_AGO
    rows = Effect.objects.filter(pk=effect.pk)
    rows.update(next_at=past, enqueued_at=None)
    rows.exclude(lease_until=None).update(lease_until=past)
    rows.exclude(dispatched_at=None).update(dispatched_at=past)


def assert_recovered(build: Build, sandbox: Any) -> None:
    effect = trigger_of(build)
    until(lambda: fresh(build).status == "RUNNING", seconds=60, what="the build runs")
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.state.ledger.of("build.queued")) == 1
    assert build.events.filter(applied=True, to_status="RUNNING").count() == 1


@pytest.mark.parametrize(
    ("connect", "point"),
    [
        *((wire, point) for point in STEPS),
        *((other, point) for other in OTHERS for point in OTHER_STEPS),
    ],
)
def test_a_killed_worker_loses_nothing_and_duplicates_nothing(
    wired: Wired, sandbox: Any, tmp_path: Path, point: str
) -> None:
    build = wired.build("ios")
    killed(tmp_path / "worker.log", point, *CELERY)
    sent = len(sandbox.state.ledger.of("build.queued"))
    assert sent == (1 if point in SENT else 0)
    let_time_pass(trigger_of(build))
    # This process is another one than the killed one; starting a sweeper takes seconds.
    until(lambda: sweep(build), seconds=60, what="the build runs")
    assert_recovered(build, sandbox)


@pytest.mark.parametrize("point", STEPS if os.environ.get("EVERY_STEP") else ("after_send",))
def test_an_edit_that_was_killed_shows_the_last_state_and_posts_nothing_twice(
    wired: Wired, sandbox: Any, tmp_path: Path, point: str
) -> None:
    wired.slack.recipients = ["C123"]
    wired.slack.save()
    build = wired.build("ios", slack=True)
    for effect in messages("message.post"):
        run_effect(effect.pk)
    run_effect(trigger_of(build).pk)
    for effect in messages("message.post"):
        run_effect(effect.pk)
    running(build)
    empty_broker()
    Effect.objects.update(next_at=timezone.now(), enqueued_at=None)
    sweep = ("manage.py", "sweep")
    killed(tmp_path / "sweep.log", f"message.edit:{point}", *sweep, CELERY_BROKER_URL="")
    for effect in messages("message."):
        let_time_pass(effect)
    with lone_sweeper(tmp_path / "sweeper.log"):
        until(lambda: not messages("message.").open(), seconds=60, what="all was sent")
    posted = sandbox.state.slack.in_channel("C123")
    assert [message.text for message in posted] == [
        "🏗️ Release 1.5.1: 0 of 1 builds complete",
        "🚀 iOS build #245 started",
    ]


@pytest.mark.parametrize("point", STEPS if os.environ.get("EVERY_STEP") else ("after_send",))
def test_a_test_message_that_was_killed_is_posted_once(
    wired: Wired, sandbox: Any, tmp_path: Path, point: str
) -> None:
    channel = wired.slack.channels[0]
    effect = send_test(wired.slack, actor=None, channel=channel)
    sweep = ("manage.py", "sweep")
    Effect.objects.update(enqueued_at=None)
    killed(tmp_path / "sweep.log", f"message.test:{point}", *sweep, CELERY_BROKER_URL="")
    assert len(sandbox.state.slack.in_channel(channel)) == (1 if point in SENT else 0)
    let_time_pass(effect)
    with lone_sweeper(tmp_path / "sweeper.log"):
        until(lambda: not messages("message.test").open(), seconds=60, what="it was sent")
    assert fresh(effect).state == EffectState.DONE
    assert len(sandbox.state.slack.in_channel(channel)) == 1


def messages(kind: str) -> Any:
    return Effect.objects.filter(kind__startswith=kind).order_by("created_at")


def test_an_effect_survives_a_process_killed_before_it_enqueues(
    wired: Wired, sandbox: Any, tmp_path: Path
) -> None:
    release = wired.release("ios")
    empty_broker()
    click = (
        "from builds.triggering import trigger_builds; from releases.models import Release; "
        f"trigger_builds(release=Release.objects.get(pk={release.pk!r}), actor=None)"
    )
    killed(tmp_path / "click.log", "before_enqueue", "manage.py", "shell", "-c", click)
    build = Build.objects.get()
    assert fresh(trigger_of(build)).state == EffectState.PENDING
    let_time_pass(trigger_of(build))
    with lone_sweeper(tmp_path / "sweeper.log"):
        assert_recovered(build, sandbox)


def test_a_restarted_process_continues_after_a_single_crash(
    wired: Wired, sandbox: Any, tmp_path: Path
) -> None:
    build = wired.build("ios")
    ticket = tmp_path / "once"
    ticket.touch()
    sweeper = ("manage.py", "sweep")
    once = {"DELIVR_CRASH_ONCE": str(ticket), "CELERY_BROKER_URL": ""}
    let_time_pass(trigger_of(build))
    killed(tmp_path / "first.log", "after_send", *sweeper, **once)
    assert not ticket.exists()
    let_time_pass(trigger_of(build))
    again = {"DELIVR_CRASHPOINT": "after_send", **once}
    with process(tmp_path / "second.log", sys.executable, *sweeper, **again) as second:
        assert_recovered(build, sandbox)
        assert second.poll() is None
