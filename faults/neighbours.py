"""F13: one tenant's Jenkins hangs; other tenants are not affected."""

from __future__ import annotations

import time

from faults import invariants
from faults.clients import Client, percentile
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import click, click_delays, open_work, reset, set_auto_finish, workspaces

BOUND = 5.0  # seconds from click to provider, 95th percentile
HANGING, HEALTHY = "ios", "android"


def one_hangs(stack: Stack, options: Options) -> Outcome:
    """F13: one tenant triggers 30 builds on a server that never answers; another triggers 60, one
    every third of a second."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    stuck, healthy = workspaces(stack, 2)
    client, clicked = Client(stack.web_port), {}
    stuck_releases = [stuck.wired.release(HANGING) for _n in range(30)]
    releases = [healthy.wired.release(HEALTHY) for _n in range(60)]
    stack.sandbox.fault("timeout", seconds=60, provider="jenkins", path="/job/ios-prod*")
    for release in stuck_releases:
        click(client, stuck, release)
    time.sleep(1)
    for release in releases:
        clicked[release.version] = time.time()
        answer = click(client, healthy, release)
        clicked[answer.body["builds"][0]["id"]] = clicked.pop(release.version)
        time.sleep(0.33)
    until(lambda: _arrived(stack, clicked), seconds=60, what="all of the other tenant arrived")
    waits = click_delays(stack, clicked)
    stack.sandbox.no_faults()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    p95 = percentile(waits, 0.95)
    outcome.figures |= {
        "click to provider s": f"p50 {percentile(waits, 0.5):.2f} · p95 {p95:.2f}"
        f" · max {max(waits):.2f}"
    }
    outcome.expect(p95 < BOUND, f"p95 {p95:.1f} s")
    return outcome


def _arrived(stack: Stack, clicked: dict[str, float]) -> bool:
    return clicked.keys() <= invariants.sent_builds(stack.sandbox).keys()
