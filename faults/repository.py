"""F1c and F2e: kills while branches, tags and drafts are created in the repository."""

from __future__ import annotations

from collections import Counter
from typing import Any

from delivr.effects.models import Effect, EffectState
from delivr.run.crashpoints import KILLED
from delivr.tests.wired import wire
from faults.clients import Client
from faults.killing import LONG, random_kills_with
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import (
    Workspace,
    age_rows,
    click,
    open_work,
    reset,
    set_auto_finish,
    use_repository,
    workspaces,
)
from releases.models import Release
from releases.repository.acts import CREATE_BRANCH, DRAFT_RELEASE, TAG

KINDS = (CREATE_BRANCH, TAG, DRAFT_RELEASE)  # in the order in which a release comes to them
NOT_SENT = ("after_claim", "after_write_ahead")
SENT = ("after_send", "before_settle_commit", "after_finish")


def crash_points(stack: Stack, options: Options) -> Outcome:
    """F1c: a worker is killed at each step of creating a branch, a tag and a draft, five releases
    with three kills each. A lone sweeper works, so that a kill hits the effect that is meant."""
    reset(stack)
    set_auto_finish(stack, 0.1)
    stack.stop_all("worker1", "worker2", "sweeper")
    (space,) = workspaces(stack, 1)
    use_repository(space, first=0)
    client, outcome = Client(stack.web_port), Outcome()
    for point in (*NOT_SENT, *SENT):
        release = _released(client, space)
        for kind in KINDS:
            killed_at(stack, kind, point)
            there, state = _created(stack, release)[kind], _state(release, kind)
            outcome.figures[f"{kind} {point}"] = f"{there} at GitHub, {state.lower()} here"
            outcome.expect(there == int(point in SENT), f"{kind} {point}: {there} at GitHub")
            is_done = point == "after_finish"
            outcome.expect((state == EffectState.DONE) == is_done, f"{kind} {point}: {state}")
        settled(stack)
    stack.restart("worker1", "worker2", "sweeper")
    judged = judge(stack, client)
    kept = Effect.objects.filter(kind__in=KINDS).values_list("kind", "state")
    outcome.figures |= {
        "ended": {f"{kind} {state}": count for (kind, state), count in Counter(kept).items()}
    }
    outcome.expect(
        all(state == EffectState.DONE for _kind, state in kept), "not all of it was done"
    )
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


def _released(client: Client, space: Workspace) -> Release:
    release: Release = space.wired.release("ios")
    click(client, space, release)
    return release


def killed_at(stack: Stack, kind: str, point: str, **env: str) -> None:
    """Run a sweeper until it is killed there."""
    sweeper = _lone_sweeper(stack, DELIVR_CRASHPOINT=f"{kind}:{point}", **env)
    child = sweeper.child
    until(lambda: child.poll() is not None, seconds=SETTLE, what=f"dead at {kind} {point}")
    if child.returncode != KILLED:
        raise RuntimeError(f"the sweeper ended with {child.returncode} before {kind} {point}")


def settled(stack: Stack, **env: str) -> None:
    sweeper = _lone_sweeper(stack, **env)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=0.5)
    sweeper.stop()


def _lone_sweeper(stack: Stack, **extra: str) -> Any:
    """It runs the jobs itself, and meets what a killed one left after its lease."""
    age_rows(LONG)
    stack.restart("sweeper", CELERY_BROKER_URL="", **extra)
    return stack["sweeper"]


def _created(stack: Stack, release: Release) -> Counter[str]:
    refs = Counter(entry["ref"] for entry in stack.sandbox.ledger("ref.created"))
    drafts = Counter(entry["tag"] for entry in stack.sandbox.ledger("release.created"))
    tag = f"v{release.version}"
    return Counter(
        {
            CREATE_BRANCH: refs[f"refs/heads/{release.branch}"],
            TAG: refs[f"refs/tags/{tag}"],
            DRAFT_RELEASE: drafts[tag],
        }
    )


def _state(release: Release, kind: str) -> str:
    return str(Effect.objects.get(release_id=release.pk, kind=kind).state)


def random_kills(stack: Stack, options: Options) -> Outcome:
    """F2e: lossy providers and random kills, with a branch, a tag and a draft of each release."""
    outcome = random_kills_with(stack, options, wire, repository=True)
    kept = Effect.objects.filter(kind__in=KINDS).values_list("kind", "state")
    outcome.figures["in the repository"] = {
        f"{kind} {state}": count for (kind, state), count in sorted(Counter(kept).items())
    }
    return outcome
