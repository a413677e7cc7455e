"""F22: bundles are uploaded to Google Play from the artifacts of their builds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from builds.models import Build
from faults.clients import Client
from faults.freezing import has_struck
from faults.outcome import SETTLE, Options, Outcome
from faults.rollouts import PLAY_STORE, Journey, Move, S
from faults.stack import Stack, until
from faults.store_races import BOUND, halt
from faults.stores import judged, rollout_of, start
from faults.workspaces import Workspace, click, set_auto_finish
from integrations.providers.stores import Act

SIZE = 24 * 1024 * 1024  # bytes of a bundle, which is sent in seven pieces
PUT = {"provider": "google_play", "method": "PUT", "path": "/upload/*"}
COMMIT = {"provider": "google_play", "method": "POST", "path": "*:commit"}
STEPS = [("inProgress", 0.05), ("completed", None)]
# What happens to an upload, each to one of its own. Where a request hangs, the workers are killed.
TROUBLES: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "first piece fails": {"kind": "status", "status": 503, **PUT},
    "response of a piece is lost": {"kind": "drop_after", "skip": 2, **PUT},
    "response of the last piece is lost": {"kind": "drop_after", "skip": 6, **PUT},
    "response of the commit is lost": {"kind": "drop_after", **COMMIT},
    "killed before the first piece": {"kind": "timeout", **PUT},
    "killed in a piece": {"kind": "timeout", "skip": 3, **PUT},
    "killed after a piece": {"kind": "timeout_after", "skip": 3, **PUT},
    "killed after the last piece": {"kind": "timeout_after", "skip": 6, **PUT},
    "killed before the commit": {"kind": "timeout", **COMMIT},
    "killed after the commit": {"kind": "timeout_after", **COMMIT},
}


@dataclass
class Upload(Journey):
    """A release whose bundle delivr uploads."""

    def upload(self) -> None:
        """CI builds it, and leaves the bundle among its artifacts."""
        click(self.client, self.space, self.release)
        build = Build.objects.filter(release_pipeline__release=self.release)
        done = build.filter(status="SUCCESS", artifacts__isnull=False)
        until(done.exists, seconds=60, what="it is built", pause=0.2)
        self.build = str(done.get().number)

    @property
    def submit_body(self) -> dict[str, Any]:
        return {**super().submit_body, "artifact": f"android-{self.build}.aab"}


def uploads(stack: Stack, options: Options) -> Outcome:
    """F22: CI leaves its bundles to delivr. In each upload something else fails: pieces, responses,
    workers that are killed. During one more, another release is halted."""
    space, client, outcome = start(stack), Client(stack.web_port), Outcome()
    stack.sandbox.ask("POST", "play/acts/switch", {"name": "ci"})
    stack.sandbox.ask("PATCH", "jenkins/jobs/android-prod", {"bundleSize": SIZE})
    set_auto_finish(stack, 0.1)
    journeys = {}
    for name, trouble in TROUBLES.items():
        journeys[name] = journey = _upload_of(stack, client, space)
        _submit_in(stack, journey, name, trouble)
        _to_everybody(journey)
    wait, halted, interrupted = _halted_meanwhile(stack, client, space)
    outcome.expect(wait < BOUND, f"a halt waited for {wait:.0f} s")
    for name, journey in journeys.items():
        asked = rollout_of(stack, journey.build)
        outcome.expect(asked == STEPS, f"{name}: Google was asked for {asked}")
    rows = [*journeys.values(), halted, interrupted]
    begun = _compare_bundles(stack, [row.build for row in rows], outcome)
    figures: dict[str, Any] = {"uploads": len(rows), "bundles that reached Google": begun}
    figures |= {"halted during an upload after s": round(wait, 1)}
    return judged(stack, client, outcome, figures, other_than=[row.id for row in rows])


def _upload_of(stack: Stack, client: Client, space: Workspace) -> Upload:
    return Upload(stack, client, space, space.wired.release("android"), PLAY_STORE)


def _submit_in(stack: Stack, journey: Upload, name: str, trouble: Mapping[str, Any]) -> None:
    journey.upload()
    if trouble:
        stack.sandbox.fault(**{"count": 1, "seconds": 60, **trouble})
    journey.submit()
    if trouble:
        until(lambda: has_struck(stack), seconds=SETTLE, what=name, pause=0.05)
    if name.startswith("killed"):
        for worker in ("worker1", "worker2"):
            stack[worker].kill()
            stack[worker].start()
    stack.sandbox.no_faults()
    journey.arrive(Move(journey.way.waits))


def _to_everybody(journey: Upload) -> None:
    _begin_rollout(journey)
    journey.ask_for(Act.COMPLETE)
    journey.arrive(Move(S.LIVE))


def _begin_rollout(journey: Upload) -> None:
    first = journey.way.moves[0]
    journey.make(first)
    journey.arrive(first)


def _halted_meanwhile(
    stack: Stack, client: Client, space: Workspace
) -> tuple[float, Upload, Upload]:
    """Each piece takes Google two seconds. When two of a bundle for testers have arrived, another
    release is halted: seconds until Google has that, and both."""
    former, latter = _upload_of(stack, client, space), _upload_of(stack, client, space)
    latter.way = replace(latter.way, wishes={"track": "beta"})
    _submit_in(stack, former, "", {})
    _begin_rollout(former)
    latter.upload()
    stack.sandbox.fault("late", seconds=2, **PUT)
    before = _pieces(stack)
    latter.submit()
    until(lambda: _pieces(stack) >= before + 2, seconds=SETTLE, what="two pieces", pause=0.1)
    wait = halt(stack, former)
    stack.sandbox.no_faults()
    former.arrive(Move(S.HALTED))
    latter.arrive(Move(latter.way.waits))
    latter.in_store("approve")
    latter.arrive(Move(S.LIVE))
    return wait, former, latter


def _pieces(stack: Stack) -> int:
    return sum(one["method"] == "PUT" for one in stack.sandbox.requests("google_play"))


def _compare_bundles(stack: Stack, codes: list[str], outcome: Outcome) -> int:
    """Each bundle counts once, in an edit that was committed. How many reached Google whole, those
    in edits that were given up included."""
    committed = {one["edit"] for one in stack.sandbox.ledger("edit.committed")}
    reached = stack.sandbox.ledger("bundle.uploaded")
    kept = Counter(str(one["code"]) for one in reached if one["edit"] in committed)
    outcome.expect(kept == Counter(codes), f"bundles that count: {dict(kept)}")
    return len(reached)
