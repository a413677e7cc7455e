"""F1 and F2: processes are killed at each step of an effect, and at random moments."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from delivr.effects.models import Effect, EffectState
from delivr.tests.wired import Wired, wire, wire_actions, wire_any_ci, wire_pipelines
from faults.clients import Client, percentile
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import ROOT, Product, Stack, until
from faults.workspaces import (
    Workspace,
    click,
    open_work,
    reset,
    set_auto_finish,
    use_repository,
    workspaces,
)
from releases.models import Release

LONG = timedelta(seconds=100)  # longer than a lease and than the settle time


def crash_points(stack: Stack, options: Options) -> Outcome:
    """F1: workers are killed at each step of an effect."""
    test = [sys.executable, "-m", "pytest", "-q", "builds/tests/test_crashes.py"]
    broker = stack.env["CELERY_BROKER_URL"].removesuffix("/0") + "/1"  # without workers
    env = {
        **stack.env,
        "DJANGO_SETTINGS_MODULE": "delivr.settings_test",
        "CELERY_BROKER_URL": broker,
        "EVERY_STEP": "1",
    }
    done = subprocess.run(test, cwd=ROOT, env=env, capture_output=True, text=True)
    last = done.stdout.strip().splitlines()[-1:]
    return Outcome({"pytest": "".join(last)}, [] if done.returncode == 0 else [done.stdout[-2000:]])


def random_kills(stack: Stack, options: Options) -> Outcome:
    """F2: lossy providers, while workers and the sweeper are killed all the time."""
    return random_kills_with(stack, options, wire)


def random_kills_of_runs(stack: Stack, options: Options) -> Outcome:
    """F2b: the same with GitHub Actions as the CI server."""
    return random_kills_with(stack, options, wire_actions)


def random_kills_of_pipelines(stack: Stack, options: Options) -> Outcome:
    """F2d: the same with GitLab CI."""
    return random_kills_with(stack, options, wire_pipelines)


def random_kills_of_receivers(stack: Stack, options: Options) -> Outcome:
    """F2c: the same with Any CI, whose receivers report every build and build every repeat."""
    outcome = random_kills_with(stack, options, wire_any_ci, before=_build_repeats)
    sent = stack.sandbox.requests("any_ci")
    outcome.figures["triggers sent"] = sum(one["method"] == "POST" for one in sent)
    return outcome


MESSAGE_TRIGGERS = 32  # a channel takes one call a second, and a build needs about seven


def random_kills_of_messages(stack: Stack, options: Options) -> Outcome:
    """F2f: the same with messages for every release: each is posted once, and shows the last
    state."""
    few = replace(options, triggers=min(options.triggers, MESSAGE_TRIGGERS))
    return random_kills_with(stack, few, wire, every=1)


def _build_repeats(stack: Product) -> None:
    for name in ("ios", "android"):
        stack.sandbox.ask("PATCH", f"webhook/jobs/{name}", {"buildsRepeats": True})


def random_kills_with(
    stack: Stack,
    options: Options,
    connect: Callable[..., Wired],
    *,
    repository: bool = False,
    every: int = 8,
    before: Callable[[Product], None] = lambda stack: None,
    created: Callable[[Workspace, Release], None] = lambda space, release: None,
    hurry: Callable[[], None] = lambda: None,
) -> Outcome:
    """With the CI server that `connect` decides; `repository`: each release acts there, too;
    `every`: each so many of them has messages and epics."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    before(stack)
    spaces = workspaces(stack, 8, connect=connect)
    for number, space in enumerate(spaces if repository else ()):
        use_repository(space, first=1000 * number)
    releases = [
        (space, space.wired.release(slack=n % every == 0, jira=n % every == 0))
        for n, space in zip(range(options.triggers // 2), itertools.cycle(spaces), strict=False)
    ]
    for space, release in releases:
        created(space, release)
    client, start = Client(stack.web_port), time.monotonic()
    with lossy(stack), killer(stack, options.seed) as kills:
        pause = 0.15  # seconds between two clicks, so that processes are killed while they work
        for space, release in releases:
            click(client, space, release)
            time.sleep(pause)
        until(lambda: _triggers_left() < options.triggers // 10, seconds=SETTLE, what="most done")
    stopped = time.monotonic()

    def is_settled() -> bool:
        hurry()
        return not open_work()

    until(is_settled, seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    outcome.figures |= {
        "triggers": options.triggers,
        "kills": dict(kills),
        "under faults s": round(stopped - start, 1),
        "settled after s": round(time.monotonic() - stopped, 1),
        **_recoveries(),
    }
    return outcome


@contextmanager
def lossy(stack: Product, *methods: str) -> Iterator[None]:
    """Of the POSTs (and further `methods`) 10 % fail with 500, 10 % take effect but their answer is
    lost, and 5 % take effect but are never answered; of the GETs 5 % fail."""
    add = stack.sandbox.fault
    for sending in ({"provider": "*", "method": method} for method in ("POST", *methods)):
        add("status", status=500, probability=0.10, **sending)
        add("drop_after", probability=0.10 / 0.90, **sending)
        add("timeout_after", seconds=30, probability=0.05 / 0.80, **sending)
    add("status", status=500, probability=0.05, provider="*", method="GET")
    try:
        yield
    finally:
        stack.sandbox.no_faults()


@contextmanager
def killer(stack: Stack, seed: int) -> Iterator[dict[str, int]]:
    """Every 3 to 6 seconds kill a worker or the sweeper (SIGKILL) and start it again."""
    chance, ending = random.Random(seed), threading.Event()
    kills = {"worker1": 0, "worker2": 0, "sweeper": 0}

    def kill() -> None:
        while not ending.wait(chance.uniform(3, 6)):
            name = chance.choice(list(kills))
            kills[name] += 1
            stack[name].kill()
            stack[name].start()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield kills
    finally:
        ending.set()
        thread.join()


def _triggers_left() -> int:
    return Effect.objects.open().filter(kind="build.trigger").count()


def _recoveries() -> dict[str, Any]:
    """Seconds from creating a trigger to done; separately for those claimed more than once."""
    done = Effect.objects.filter(kind="build.trigger", state=EffectState.DONE)
    spent = {e.pk: (e.done_at - e.created_at).total_seconds() for e in done}
    reclaimed = [spent[e.pk] for e in done if e.lease_token > 1]
    return {
        "created to done s": _spread(spent.values()),
        "claimed again": len(reclaimed),
        "of these s": _spread(reclaimed),
    }


def _spread(values: Any) -> str:
    found = list(values)
    shares = (percentile(found, share) for share in (0.5, 0.95, 1.0))
    return "p50 {:.1f} · p95 {:.1f} · max {:.1f}".format(*shares)
