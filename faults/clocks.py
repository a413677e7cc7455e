"""F10: the machines' clocks are off by ten minutes. Only the database's clock may matter."""

from __future__ import annotations

import time
from pathlib import Path

from builds.models import Build
from faults.clients import Client
from faults.outcome import Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import Workspace, click, open_work, reset, set_auto_finish, workspaces

OFF = 600  # seconds
BOUND = 240.0  # seconds to settle; code that trusted a wrong clock would need ten minutes
SHIFTED = str(Path(__file__).resolve().parent / "shifted")
ROUNDS = ({"web": OFF, "worker1": -OFF, "sweeper": OFF}, {"web": -OFF, "worker1": OFF})


def clocks_apart(stack: Stack, options: Options) -> Outcome:
    """F10: web, a worker and the sweeper are ten minutes ahead or behind, answers get lost, and
    Jenkins sends webhooks with the right time."""
    reset(stack)
    set_auto_finish(stack, None)
    spaces, client = workspaces(stack, 4), Client(stack.web_port)
    try:
        for offsets in ROUNDS:
            _shift(stack, offsets)
            stack.sandbox.fault("drop_after", probability=0.2, provider="*", method="POST")
            _work(stack, client, spaces, max(4, options.triggers // 20))
            stack.sandbox.no_faults()
        start = time.monotonic()
        until(lambda: not open_work(), seconds=BOUND, what="everything settled", pause=1)
        spent = time.monotonic() - start
    finally:
        _shift(stack, {})
    outcome = judge(stack, client)
    reports = [a.status for a in client.answers if a.is_webhook]
    outcome.figures |= {"settled after s": round(spent, 1), "reports taken": len(reports)}
    outcome.expect(set(reports) == {202}, f"reports were answered {sorted(set(reports))}")
    return outcome


def _shift(stack: Stack, offsets: dict[str, int]) -> None:
    for name in ("web", "worker1", "worker2", "sweeper"):
        off = offsets.get(name, 0)
        env = {"PYTHONPATH": SHIFTED, "DELIVR_CLOCK_OFF": str(off)} if off else {}
        stack.restart(name, **env)
    until(stack.is_ready, seconds=60, what="delivr is ready")


def _work(stack: Stack, client: Client, spaces: list[Workspace], count: int) -> None:
    """Trigger builds of releases with messages; Jenkins reports the end of each build."""
    builds: dict[str, Build] = {}
    for number in range(count):
        space = spaces[number % len(spaces)]
        answer = click(client, space, space.wired.release("ios", slack=True))
        if answer.status == 202:
            build_id = answer.body["builds"][0]["id"]
            builds[build_id] = Build.objects.get(pk=build_id)
    started = until(lambda: _numbers(stack, builds), seconds=BOUND, what="all are built", pause=1)
    for build_id, number in started.items():
        stack.sandbox.finish("ios-prod", number)
        pipeline = builds[build_id].release_pipeline.pipeline
        body = {"buildNumber": number, "buildId": build_id, "status": "SUCCESS"}
        client.report(pipeline.pk, pipeline.webhook_secret.reveal(), f"{build_id}-end", body)


def _numbers(stack: Stack, builds: dict[str, Build]) -> dict[str, int]:
    """Jenkins' number of each of these builds; empty until all have one."""
    started = {
        entry["parameters"].get("DELIVR_BUILD_ID"): entry["number"]
        for entry in stack.sandbox.ledger("build.started")
    }
    found = {build_id: started[build_id] for build_id in builds if build_id in started}
    return found if len(found) == len(builds) else {}
