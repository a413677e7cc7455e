"""F1d and F2f: kills while a ticket system follows releases."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from datetime import timedelta

from django.db import transaction

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from faults.clients import Client
from faults.invariants import happened_there
from faults.killing import killer, lossy
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.repository import NOT_SENT, SENT, killed_at, settled
from faults.stack import Stack, until
from faults.workspaces import Workspace, open_work, reset, workspaces
from releases.marks import set_mark
from releases.models import Change, ChangeTicket, Mark, Release, ReleaseSettings, RepositoryPart
from releases.operations import lock_release, recompute
from releases.tickets.acts import (
    COMMENT,
    CREATE_EPIC,
    IN_VERSION,
    LINK,
    MOVE,
    ON_EPIC,
    PLAN,
    RELEASE_VERSION,
    VERSION,
    plan_tickets,
)

# In the order in which a release comes to them; the last three wait for its mark.
EARLY, LATE = (VERSION, PLAN, LINK), (COMMENT, MOVE, RELEASE_VERSION)
TICKETS = ("MOBILE-101", "MOBILE-102", "MOBILE-104")


def crash_points(stack: Stack, options: Options) -> Outcome:
    """F1d: a worker is killed at each step of the six effects that follow a release, five releases
    with six kills each. A lone sweeper works, so that a kill hits the effect that is meant."""
    reset(stack)
    stack.stop_all("worker1", "worker2", "sweeper")
    (space,) = workspaces(stack, 1)
    follow_everything(space, first=0)
    client, outcome = Client(stack.web_port), Outcome()
    for point in (*NOT_SENT, *SENT):
        release = space.wired.release("ios", jira=True)
        name_tickets(release, TICKETS[0])
        for kind in (*EARLY, *LATE):
            if kind == LATE[0]:
                settled(stack)
                finish(release)
            _hold_others(kind)
            _kill_and_look(stack, outcome, release, kind, point)
            Effect.objects.open().filter(state=EffectState.PENDING).update(next_at=clock.now())
        settled(stack)
    stack.restart("worker1", "worker2", "sweeper")
    judged = judge(stack, client)
    return Outcome(
        outcome.figures | _ended(outcome) | judged.figures, outcome.broken + judged.broken
    )


def _hold_others(kind: str) -> None:
    """Let only this kind be due, and for the first link the epic, which it follows."""
    due = (kind, CREATE_EPIC) if kind == LINK else (kind,)
    waiting = Effect.objects.filter(state=EffectState.PENDING).exclude(kind__in=due)
    waiting.update(next_at=clock.now() + timedelta(days=1))


def _kill_and_look(stack: Stack, outcome: Outcome, release: Release, kind: str, point: str) -> None:
    killed_at(stack, kind, point)
    effect = Effect.objects.filter(release_id=release.pk, kind=kind).earliest("created_at")
    there = happened_there(stack.sandbox, effect, release)
    outcome.figures[f"{kind} {point}"] = f"{there} there, {effect.state.lower()} here"
    outcome.expect(there == int(point in SENT), f"{kind} {point}: {there} there")
    is_done = point == "after_finish"
    outcome.expect((effect.state == EffectState.DONE) == is_done, f"{kind} {point}: {effect.state}")


def random_kills(stack: Stack, options: Options) -> Outcome:
    """F2f: lossy providers and random kills, while releases are followed from their creation to the
    stores; nothing is built."""
    reset(stack)
    spaces = workspaces(stack, 4)
    for number, space in enumerate(spaces):
        follow_everything(space, first=1000 * number)
    client, outcome, start = Client(stack.web_port), Outcome(), time.monotonic()
    with lossy(stack, "PUT"), killer(stack, options.seed) as kills:
        for _n, space in zip(range(options.triggers // 4), itertools.cycle(spaces), strict=False):
            release = space.wired.release(jira=True)
            name_tickets(release, *TICKETS)
            time.sleep(0.3)  # so that processes are killed while they work
            finish(release)
        until(lambda: _left() < options.triggers // 4, seconds=SETTLE, what="most done")
    stopped = time.monotonic()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    judged = judge(stack, client)
    figures = _ended(outcome) | {
        "releases": options.triggers // 4,
        "kills": dict(kills),
        "under faults s": round(stopped - start, 1),
        "settled after s": round(time.monotonic() - stopped, 1),
    }
    return Outcome(figures | judged.figures, outcome.broken + judged.broken)


def follow_everything(space: Workspace, *, first: int) -> None:
    """New releases are followed by every step. Their versions begin after 1.5.`first`: the sandbox
    has one Jira for all workspaces."""
    ReleaseSettings.objects.create(
        tenant=space.wired.tenant, comments_epics=True, moves_epics="RELEASED", makes_version=True
    )
    space.wired.versions = first


@transaction.atomic
def name_tickets(release: Release, *keys: str) -> None:
    """As if the release's changes named them; they are not looked up in the repository, too."""
    RepositoryPart.objects.filter(release=release).delete()
    change = Change.objects.create(
        tenant=release.tenant, release=release, position=1, sha="a" * 40, title="A change"
    )
    rows = [ChangeTicket(tenant=release.tenant, change=change, key=key) for key in keys]
    ChangeTicket.objects.bulk_create(rows)
    plan_tickets(release)


@transaction.atomic
def finish(release: Release) -> None:
    """As if all builds were complete; and mark it as released."""
    release = lock_release(release.pk)
    release.pipelines.update(build_status="SUCCESS")
    recompute(release, cause="bld_all")
    set_mark(release=release, mark=Mark.RELEASED, actor=None)


def _left() -> int:
    return int(Effect.objects.open().filter(kind__startswith="ticket.").count())


def _ended(outcome: Outcome) -> dict[str, object]:
    kept = Effect.objects.filter(kind__in=(*ON_EPIC, *IN_VERSION)).values_list("kind", "state")
    counts = Counter(kept)
    outcome.expect(
        all(state == EffectState.DONE for _kind, state in counts), "not all of it was done"
    )
    return {"ended": {f"{kind} {state}": count for (kind, state), count in sorted(counts.items())}}
