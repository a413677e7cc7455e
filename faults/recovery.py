"""F1b: how long after a kill each effect is done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from builds.models import Build
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, Heartbeat
from delivr.run.crashpoints import KILLED
from faults.clients import Client
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import click, open_work, reset, set_auto_finish, workspaces

# Seconds from the kill to recovery; docs/reliability.md derives them.
BOUNDS = {
    "before_enqueue": 17,
    "after_claim": 62,
    "after_write_ahead": 92,
    "after_send": 92,
    "before_settle_commit": 92,
    "after_finish": 17,
}
# Seconds on top of those: a tick of the sweeper and the call (3), and two polls until the number is
# known, each a pause and a tick (3 + 3.25). To allow for a slow machine, the time that worker and
# sweeper took to start is added once more.
GRACE = 10.0
BACKGROUND = ("worker1", "worker2", "sweeper")


@dataclass(frozen=True)
class Kill:
    build_id: str
    at: float  # seconds since the epoch


def recovery_times(stack: Stack, options: Options) -> Outcome:
    """F1b: a worker is killed at each step with no other running; then the others start, and each
    effect is done within its bound, counted from the kill or from when they were up if later."""
    reset(stack)
    set_auto_finish(stack, None)
    spaces = workspaces(stack, len(BOUNDS))  # dead leases count against an integration's share
    client = Client(stack.web_port)
    stack.stop_all(*BACKGROUND)
    kills = {}
    for point, space in zip(BOUNDS, spaces, strict=True):
        kills[point] = _killed(stack, client, space, point)
    starting = _started(stack)
    started = time.time()
    set_auto_finish(stack, 1.0)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    outcome.figures["worker and sweeper up after s"] = round(starting, 1)
    for point, kill in kills.items():
        spent = _recovered_at(kill.build_id) - kill.at
        allowed = max(BOUNDS[point], started - kill.at) + GRACE + starting
        outcome.figures[point] = f"{spent:.0f} s after the kill (at most {allowed:.0f})"
        outcome.expect(spent <= allowed, f"{point}: recovered after {spent:.0f} s")
    return outcome


def _started(stack: Stack) -> float:
    """Start workers and sweeper; seconds until a worker is idle and the sweeper has run once."""
    before = clock.now()
    for name in BACKGROUND:
        stack[name].start()
    until(stack.has_idle_worker, seconds=60, what="a worker is up")
    beats = Heartbeat.objects.filter(name="sweeper", at__gt=before)
    until(beats.exists, seconds=60, what="a sweeper is up")
    return float((clock.now() - before).total_seconds())


def _killed(stack: Stack, client: Client, space: Any, point: str) -> Kill:
    release = space.wired.release("ios")
    if point == "before_enqueue":
        code = (
            "from builds.triggering import trigger_builds; from releases.models import Release; "
            f"trigger_builds(release=Release.objects.get(pk={release.pk!r}), actor=None)"
        )
        died = stack.manage("shell", "-c", code, DELIVR_CRASHPOINT=point).returncode
    else:
        worker = stack.spare("crashing")
        worker.env["DELIVR_CRASHPOINT"] = point
        worker.start()
        click(client, space, release)
        child = worker.child
        assert child is not None  # noqa: S101 # it was just started
        until(lambda: child.poll() is not None, seconds=60, what=f"dead at {point}")
        died = child.returncode
    if died != KILLED:
        raise RuntimeError(f"not killed at {point}: {died}")
    return Kill(Build.objects.get(release_pipeline__release=release).pk, time.time())


def _recovered_at(build_id: str) -> float:
    """When the effect was done and Jenkins' number known, in seconds since the epoch."""
    effect = Effect.objects.get(kind="build.trigger", build_id=build_id, state=EffectState.DONE)
    build = Build.objects.get(pk=build_id)
    times = [effect.done_at, *build.events.order_by("at").values_list("at", flat=True)[1:2]]
    return float(max(time.timestamp() for time in times))
