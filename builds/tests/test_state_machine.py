"""Any order of clicks, crashes, lost responses, webhooks, polls and cancellations ends in the true
state.

STATE_MACHINE_EXAMPLES=500 searches longer than the suite has time for, and shrinks what it finds.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from builds.cancelling import cancel_build, cancel_release
from builds.models import Build, Trust, WebhookDelivery
from builds.polling.poller import poll_build
from builds.triggering import trigger_builds
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.failures import Conflict
from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from faults import invariants
from faults.workspaces import age_rows
from releases.models import Release
from sandbox.server import SandboxServer

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgresql]

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "8"))
LONG = [Phase.generate, Phase.shrink]
PHASES = LONG if "STATE_MACHINE_EXAMPLES" in os.environ else [Phase.generate]
POINTS = (
    "after_claim",
    "after_write_ahead",
    "after_send",
    "before_settle_commit",
    "after_finish",
)
any_of = st.integers(min_value=0, max_value=1_000)


class Killed(BaseException):
    """Simulates the end of the process: our code never catches it."""


class Jenkins:
    """What happened at the provider, for the invariants."""

    def __init__(self, sandbox: SandboxServer) -> None:
        self.state = sandbox.state

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        return self.state.ledger.of(kind)

    def builds(self) -> dict[tuple[str, int], str]:
        jobs = ("ios-prod", "android-prod")
        found = [build for job in jobs for build in self.state.jenkins.builds_of(job)]
        return {(b.job, b.number): b.result or "" for b in found}


class Core(RuleBasedStateMachine):
    """One workspace, one Jenkins, one Slack; time passes only when a rule says so."""

    sandbox: ClassVar[SandboxServer]

    def __init__(self) -> None:
        super().__init__()
        self.state = self.sandbox.state
        self.state.reset()
        self.state.slack.is_paced = False
        self.all = transaction.atomic()
        self.all.__enter__()
        self.wired: Wired = wire(factories.TenantFactory(), self.sandbox.url)
        self.wired.slack.recipients = ["C123"]
        self.wired.slack.save()
        self.deliveries = 0

    # People

    @rule(platforms=st.sampled_from([("ios",), ("ios", "android")]), slack=st.booleans())
    def create(self, platforms: tuple[str, ...], slack: bool) -> None:
        if Release.objects.count() < 4:
            release = self.wired.release(*platforms, slack=slack)
            trigger_builds(release=release, actor=None)

    @rule(n=any_of, again=st.booleans())
    def click(self, n: int, again: bool) -> None:
        if release := pick(Release.objects.order_by("version"), n):
            with contextlib.suppress(Conflict):
                trigger_builds(release=release, actor=None, again=again)

    @rule(n=any_of, whole=st.booleans())
    def cancel(self, n: int, whole: bool) -> None:
        if build := pick(builds().moving(), n):
            if whole:
                cancel_release(release=build.release_pipeline.release, actor=None)
            else:
                cancel_build(build=build, actor=None)

    @rule(n=any_of)
    def retry(self, n: int) -> None:
        if effect := pick(effects().filter(state=EffectState.DEAD), n):
            with contextlib.suppress(ValidationError):
                retry_effect(effect=effect, actor=None)

    # Workers

    @rule(n=any_of)
    def run(self, n: int) -> None:
        if effect := pick(effects().open(), n):
            run_effect(effect.pk)

    @rule(n=any_of, point=st.sampled_from(POINTS))
    def crash(self, n: int, point: str) -> None:
        if effect := pick(effects().open(), n):
            with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
                patch.setattr(os, "_exit", killed)
                patch.setenv("DELIVR_CRASHPOINT", point)
                run_effect(effect.pk)

    @rule()
    def sweep(self) -> None:
        sweep_until_idle(limit=1)

    @rule(n=any_of)
    def poll(self, n: int) -> None:
        if build := pick(builds().exclude(poll_at=None), n):
            poll_build(build.pk)

    # The provider

    @rule(
        kind=st.sampled_from(["drop_after", "drop_before", "no_location", "status"]),
        provider=st.sampled_from(["jenkins", "jenkins", "slack"]),
        method=st.sampled_from(["POST", "POST", "GET"]),
    )
    def fault(self, kind: str, provider: str, method: str) -> None:
        self.state.faults.add(kind, provider=provider, method=method, count=1)

    @rule(n=any_of, result=st.sampled_from(["SUCCESS", "FAILURE", "UNSTABLE", "ABORTED"]))
    def finish(self, n: int, result: str) -> None:
        running = [b for job in JOBS for b in self.state.jenkins.running(job)]
        if running:
            build = running[n % len(running)]
            self.state.jenkins.finish(build.job, build.number, result)

    @rule(n=any_of, ended=st.booleans(), signed=st.booleans(), named=st.booleans())
    def webhook(self, n: int, ended: bool, signed: bool, named: bool) -> None:
        """A correct report, early or late; a late one says STARTED after the build has ended."""
        built = [b for job in JOBS for b in self.state.jenkins.builds_of(job)]
        if not built:
            return
        there = built[n % len(built)]
        ours = Build.objects.get(pk=there.parameters["DELIVR_BUILD_ID"])
        word = there.result if ended and there.result else "STARTED"
        body = {"buildNumber": there.number, "status": word}
        self.deliveries += 1
        store(
            pipeline=ours.release_pipeline.pipeline,
            dedupe_key=f"{there.job}:{there.number}:{self.deliveries}",
            trust=Trust.SIGNED if signed else Trust.BASIC,
            body=json.dumps({**body, "buildId": ours.pk} if named else body).encode(),
        )

    @rule(n=any_of)
    def apply(self, n: int) -> None:
        if delivery := pick(WebhookDelivery.objects.order_by("received_at"), n):
            apply_delivery(delivery.pk)

    @rule(seconds=st.sampled_from([3, 15, 65, 100, 1200]))
    def time_passes(self, seconds: int) -> None:
        age_rows(timedelta(seconds=seconds))
        self.state.advance(seconds)

    # Invariants

    @invariant()
    def nothing_is_broken(self) -> None:
        assert invariants.check(Jenkins(self.sandbox), settled=False) == []

    def teardown(self) -> None:
        try:
            self.settle()
            assert invariants.check(Jenkins(self.sandbox), settled=True) == []
            assert not builds().filter(status="LOST").exists()
        finally:
            transaction.set_rollback(True)
            self.all.__exit__(None, None, None)

    def settle(self) -> None:
        """No more faults from here on, and enough time."""
        self.state.faults.clear()
        for _round in range(40):
            self.time_passes(100)
            sweep_until_idle(limit=3)
            if not self.is_open():
                return

    def is_open(self) -> bool:
        """Something is in progress, or a build was not polled since it ended in Jenkins."""
        waiting = effects().open().exists() or WebhookDelivery.objects.waiting().exists()
        early = builds().filter(status__in=("TRIGGERING", "QUEUED")).exists()
        there = Jenkins(self.sandbox).builds()
        known = builds().filter(status="RUNNING").select_related("release_pipeline")
        over = any(there[b.release_pipeline.job_path[5:], b.number] for b in known if b.number)
        return waiting or early or over


JOBS = ("ios-prod", "android-prod")


def killed(code: int) -> None:
    raise Killed(code)


def effects() -> Any:
    return Effect.objects.order_by("created_at", "kind", "integration_id")


def builds() -> Any:
    return Build.objects.order_by("created_at", "release_pipeline__platform")


def pick(rows: Any, n: int) -> Any:
    """One of the rows; None if there are none."""
    count = rows.count()
    return rows[n % count] if count else None


def test_any_order_of_events_ends_in_the_true_state(
    sandbox: SandboxServer, run_machine: Callable[[type[Core]], None]
) -> None:
    run_machine(type("Here", (Core,), {"sandbox": sandbox}))


@pytest.fixture
def run_machine() -> Callable[[type[Core]], None]:
    def run(machine: type[Core]) -> None:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                phases=PHASES,
                suppress_health_check=list(HealthCheck),
            ),
        )

    return run
