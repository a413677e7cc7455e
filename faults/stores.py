"""F1f and F2i: kills while releases go through the stores."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from delivr.effects.models import Effect, EffectState
from faults.clients import Client, run_concurrently
from faults.killing import killer
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.repository import NOT_SENT, SENT, killed_at
from faults.rollouts import (
    PLAY_STEPS,
    Journey,
    Move,
    hurry,
    journeys,
    use_stores,
)
from faults.stack import Stack, until
from faults.workspaces import Workspace, age_rows, open_work, reset, workspaces
from integrations.providers.stores import IS_PUBLIC
from submissions import reading
from submissions.effects import ACT, STEP
from submissions.models import Submission

LAST = "after_finish"
CHANGES = (
    *("version.created", "version.build", "submission.created", "submission.item"),
    *("submission.submitted", "phased.state", "version.state", "rollout.changed"),
)


def start(stack: Stack) -> Workspace:
    reset(stack)
    (space,) = workspaces(stack, 1)
    use_stores(stack, space)
    return space


def crash_points(stack: Stack, options: Options) -> Outcome:
    """F1f: a worker is killed at each of five points of everything that a submission and the acts
    after it send to both stores, with a release for each point. A lone sweeper works."""
    space = start(stack)
    stack.stop_all("worker1", "worker2", "sweeper")
    client, outcome, kills = Client(stack.web_port), Outcome(), Counter[str]()
    for point in (*NOT_SENT, *SENT):
        for journey in journeys(stack, client, space):
            journey.upload()
            journey.submit()
            kills[point] += _kill_through(stack, outcome, journey, STEP, point)
            _look_until(journey, Move(journey.way.waits))
            for move in journey.way.moves:
                journey.make(move)
                if move.act:
                    kills[point] += _kill_through(stack, outcome, journey, ACT, point)
                _look_until(journey, move)
    stack.restart("worker1", "worker2", "sweeper")
    return judged(stack, client, outcome, {"killed": dict(kills)})


def _kill_through(stack: Stack, outcome: Outcome, journey: Journey, kind: str, point: str) -> int:
    """Kill a worker at `point` of each open effect, one after another; how many there were. Another
    worker goes on with what was left, and ends before the next effect."""
    count = 0
    while effects := journey.open():
        (effect,) = effects
        step, before = effect.payload["step"], _changes(stack)
        killed_at(stack, kind, point)
        effect.refresh_from_db()
        is_done = effect.state == EffectState.DONE
        outcome.expect(is_done == (point == LAST), f"{step} {point}: {effect.state}")
        if point in NOT_SENT:
            outcome.expect(_changes(stack) == before, f"{step} {point}: something was sent")
        if point != LAST:
            killed_at(stack, kind, LAST)
        effect.refresh_from_db()
        outcome.expect(effect.state == EffectState.DONE, f"{step} {point}: {effect.last_error}")
        count += 1
    return count


def _changes(stack: Stack) -> int:
    return sum(len(stack.sandbox.ledger(kind)) for kind in CHANGES)


def _look_until(journey: Journey, move: Move) -> None:
    """Ask the store here, as no worker runs."""

    def is_there() -> bool:
        age_rows(reading.CLAIM)
        hurry()
        reading.read(journey.id)
        return journey.is_at(move)

    until(is_there, seconds=60, what=f"{journey.way.store} is {move.state}")


def random_kills(stack: Stack, options: Options) -> Outcome:
    """F2i: releases go through both stores at the same time, from the submission over roll-out
    steps and a halt to all users, with lossy stores and random kills."""
    space, client = start(stack), Client(stack.web_port)
    count, begun = max(2, options.triggers // 50), time.monotonic()
    with lossy_stores(stack), killer(stack, options.seed) as kills:
        for _n in range(count):
            run_concurrently(Journey.whole, journeys(stack, client, space), threads=2)
    spent = time.monotonic() - begun
    return judged(
        stack, client, Outcome(), {"kills": dict(kills), "under faults s": round(spent, 1)}
    )


@contextmanager
def lossy_stores(stack: Stack) -> Iterator[None]:
    """Of the requests that change something for good, 10 % fail with 500, 10 % take effect but
    their answer is lost, and 5 % take effect but are never answered. Of all others, of which
    Google needs six before each commit, 3 % fail."""
    add = stack.sandbox.fault
    changes = [
        {"provider": "app_store", "method": "POST"},
        {"provider": "app_store", "method": "PATCH"},
        {"provider": "google_play", "method": "POST", "path": "*:commit"},
    ]
    for sending in changes:
        add("status", status=500, probability=0.10, **sending)
        add("drop_after", probability=0.10 / 0.90, **sending)
        add("timeout_after", seconds=30, probability=0.05 / 0.80, **sending)
    add("status", status=500, probability=0.03, provider="*")
    try:
        yield
    finally:
        stack.sandbox.no_faults()


def judged(
    stack: Stack,
    client: Client,
    outcome: Outcome,
    figures: dict[str, Any],
    *,
    other_than: Sequence[str] = (),
) -> Outcome:
    """Wait until nothing is open, then compare what both stores were asked for; submissions
    `other_than` those that went the usual way are only checked against the invariants."""

    def is_settled() -> bool:
        hurry()
        return not open_work()

    until(is_settled, seconds=SETTLE, what="everything settled", pause=1)
    found = judge(stack, client)
    current = Submission.objects.filter(is_current=True).exclude(pk__in=other_than)
    rows = list(current.select_related("target"))
    for row in rows:
        outcome.expect(row.state in IS_PUBLIC, f"{row} is {row.state}: {row.message}")
    for row in rows:
        if row.target.kind == "PLAY_STORE":
            asked = rollout_of(stack, row.store_build)
            outcome.expect(asked == PLAY_STEPS, f"{row}: Google was asked for {asked}")
    kept = Counter(Effect.objects.filter(kind__in=(STEP, ACT)).values_list("kind", "state"))
    outcome.expect(all(s == "DONE" for _kind, s in kept), "not all of it was done")
    ended = {f"{kind} {state}": number for (kind, state), number in sorted(kept.items())}
    figures = {"submissions": len(rows), **figures, "ended": ended}
    figures["claimed again"] = Effect.objects.filter(
        kind__in=(STEP, ACT), lease_token__gt=1
    ).count()
    return Outcome(figures | found.figures, outcome.broken + found.broken)


def rollout_of(stack: Stack, code: str) -> list[tuple[str, float | None]]:
    """What became of a version code in production, by whomever."""
    changes = stack.sandbox.ledger("rollout.changed")
    mine = [one for one in changes if code in one["codes"] and one["track"] == "production"]
    return [(one["status"], one["fraction"]) for one in mine]
