"""F11 and F21: a worker freezes during a call, like a suspended machine, and continues later."""

from __future__ import annotations

import signal
import time
from typing import Any

from builds.models import Build, DeliveryState, WebhookDelivery
from delivr.effects.models import Effect, EffectState
from faults import invariants
from faults.clients import Client
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.rollouts import PLAY_STORE, Journey, Move, hurry_looks, journeys
from faults.stack import Stack, until
from faults.stores import judged, start
from faults.workspaces import click, open_work, reset, set_auto_finish, workspaces
from integrations.providers.stores import Act
from releases.wording import describe_effect

FROZEN = 90.0  # seconds, longer than a lease
WORKERS = ("worker1", "worker2")
PHASES = {"asking for the job": "GET", "the answer is awaited": "POST"}


def frozen_in_mid_call(stack: Stack, options: Options) -> Outcome:
    """F11: both workers are frozen for 90 s while they wait for Jenkins, before it has queued the
    build and after. A third worker takes over, then the two continue."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    client, outcome = Client(stack.web_port), Outcome()
    third = stack.spare("worker3")
    for moment, method in PHASES.items():
        (space,) = workspaces(stack, 1)
        kind = "timeout" if method == "GET" else "timeout_after"
        target = {"provider": "jenkins", "method": method, "path": "/job/ios-prod/*"}
        stack.sandbox.fault(kind, seconds=19, count=1, **target)
        build_id = click(client, space, space.wired.release("ios")).body["builds"][0]["id"]
        until(lambda: has_struck(stack), seconds=30, what="a worker waits for Jenkins")
        _signal(stack, signal.SIGSTOP)
        frozen = time.monotonic()
        third.start()
        tokens = _token(build_id)
        time.sleep(max(0.0, FROZEN - (time.monotonic() - frozen)))
        _signal(stack, signal.SIGCONT)
        third.stop()
        until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
        outcome.expect(_token(build_id) > tokens, f"{moment}: nobody took the lease over")
        sent = invariants.sent_builds(stack.sandbox)[build_id]
        outcome.figures[moment] = f"{sent} build, lease {tokens} -> {_token(build_id)}"
        stack.sandbox.no_faults()
    judged = judge(stack, client)
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


# What hangs in which store, and whether it was done by then.
STORE_PHASES = {
    "a look": ("timeout", {"appstore": ("GET", "*/builds"), "play": ("GET", "*/releases")}),
    "a step not done": (
        "timeout",
        {"appstore": ("POST", "*/reviewSubmissionItems"), "play": ("POST", "*:commit")},
    ),
    "a step done": (
        "timeout_after",
        {"appstore": ("POST", "*/reviewSubmissionItems"), "play": ("POST", "*:commit")},
    ),
}
STOPPING = {
    "appstore": ("PATCH", "*/appStoreVersionPhasedReleases/*"),
    "play": ("POST", "*:commit"),
}
PROVIDERS = {"appstore": "app_store", "play": "google_play"}


def frozen_in_a_store(stack: Stack, options: Options) -> Outcome:
    """F21: both workers are frozen for 90 s while they wait for both stores: in a look for a step,
    in a step before and after it was done, and in a pause and a halt. A third worker takes over,
    then the two continue."""
    space, client, outcome = start(stack), Client(stack.web_port), Outcome()
    third = stack.spare("worker3")
    for name, (kind, places) in STORE_PHASES.items():
        ways = journeys(stack, client, space)
        for way in ways:
            way.upload()
        _hang(stack, kind, places)
        for way in ways:
            way.submit()
        _freeze_and_thaw(stack, third, ways, name, outcome)
        for way in ways:
            way.arrive(Move(way.way.waits))
        is_last = kind == "timeout_after"
        for way in ways:
            _go_on(stack, third, way, outcome) if is_last else _to_the_end(way, way.way.moves)
    return judged(stack, client, outcome, outcome.figures)


def _go_on(stack: Stack, third: Any, way: Journey, outcome: Outcome) -> None:
    """To all users, with another freeze when it is stopped."""
    moves = list(way.way.moves)
    stop = next(n for n, move in enumerate(moves) if move.act in (Act.HALT, Act.PAUSE))
    _to_the_end(way, moves[:stop])
    _hang(stack, "timeout_after", {way.way.store: STOPPING[way.way.store]})
    way.make(moves[stop])
    name = "a halt done" if way.way is PLAY_STORE else "a pause done"
    _freeze_and_thaw(stack, third, [way], name, outcome)
    _to_the_end(way, moves[stop:], first_is_made=True)


def _to_the_end(way: Journey, moves: Any, *, first_is_made: bool = False) -> None:
    for number, move in enumerate(moves):
        if number or not first_is_made:
            way.make(move)
        way.arrive(move)


def _hang(stack: Stack, kind: str, places: dict[str, tuple[str, str]]) -> None:
    for store, (method, path) in places.items():
        where = {"provider": PROVIDERS[store], "method": method, "path": path}
        stack.sandbox.fault(kind, seconds=19, count=1, **where)


def _freeze_and_thaw(
    stack: Stack, third: Any, ways: list[Journey], name: str, outcome: Outcome
) -> None:
    """Freeze while each of these waits for its store. What is hurried here are pauses and never
    leases: those end by themselves."""
    tokens = {}
    for way in ways:
        until(lambda way=way: _in_flight(way) is not None, seconds=SETTLE, what=name, pause=0.05)  # type: ignore[misc]
    until(lambda: _all_struck(stack), seconds=30, what=f"{name} hangs", pause=0.05)
    _signal(stack, signal.SIGSTOP)
    frozen = time.monotonic()
    for way in ways:
        effect = _in_flight(way)
        if effect is not None:
            tokens[effect.pk] = effect.lease_token
    # A look may also be one of the pre-flight's, which is no effect and is simply made again.
    least = 1 if name == "a look" else len(ways)
    outcome.expect(len(tokens) >= least, f"{name}: only {len(tokens)} were in flight")
    third.start()
    while time.monotonic() - frozen < FROZEN:
        hurry_looks()
        time.sleep(1)
    over = sum(Effect.objects.get(pk=pk).lease_token > old for pk, old in tokens.items())
    _signal(stack, signal.SIGCONT)
    time.sleep(3)  # what they received meanwhile comes too late
    third.stop()
    outcome.expect(over == len(tokens), f"{name}: only {over} were taken over")
    outcome.figures[name] = f"{len(tokens)} frozen, {over} taken over"
    stack.sandbox.no_faults()


def _in_flight(way: Journey) -> Effect | None:
    return next((e for e in way.open() if e.state == EffectState.LEASED), None)


def _all_struck(stack: Stack) -> bool:
    return all(fault["struck"] for fault in stack.sandbox.ask("GET", "faults")["faults"])


def late_arrival(stack: Stack, options: Options) -> Outcome:
    """F11b: the network delivers a trigger later than any lease, after delivr has sent it again.
    Jenkins builds twice: one build is ours, the other one is stopped and shown."""
    reset(stack)
    set_auto_finish(stack, None)
    (space,) = workspaces(stack, 1)
    client, outcome = Client(stack.web_port), Outcome()
    _reports_to(stack, space.wired.pipelines["ios"])
    target = {"provider": "jenkins", "method": "POST", "path": "/job/ios-prod/*"}
    stack.sandbox.fault("late", seconds=150, count=1, **target)
    build_id = click(client, space, space.wired.release("ios")).body["builds"][0]["id"]
    until(lambda: len(stack.sandbox.builds()) == 2, seconds=SETTLE, what="the late one has come")
    arrived = time.monotonic()
    until(_second_is_settled, seconds=120, what="the second build is settled", pause=0.5)
    outcome.figures["second settled after s"] = round(time.monotonic() - arrived, 1)
    number = Build.objects.get(pk=build_id).number or 0
    stack.sandbox.finish("ios-prod", number)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    ends = {there: end for (_job, there), end in stack.sandbox.builds().items()}
    outcome.figures |= {"ours": number, "builds at Jenkins": ends, "shown": _shown()}
    outcome.expect(ends.pop(number, "") == "SUCCESS", "our build was touched")
    outcome.expect(set(ends.values()) == {"ABORTED"}, "the second build was not stopped")
    outcome.expect(Build.objects.get(pk=build_id).status == "SUCCESS", "our build did not end well")
    outcome.expect(not client.failures(), "requests failed")
    return outcome


def _second_is_settled() -> bool:
    return Effect.objects.filter(kind="build.stop_repeat", state=EffectState.DONE).exists()


def _shown() -> list[str]:
    """What people see of the other run: the delivery's reason and the effect in words."""
    orphans = WebhookDelivery.objects.filter(state=DeliveryState.ORPHAN)
    done = Effect.objects.filter(kind="build.stop_repeat")
    return sorted({*orphans.values_list("reason", flat=True), *map(describe_effect, done)})


def has_struck(stack: Stack) -> bool:
    return any(fault["struck"] for fault in stack.sandbox.ask("GET", "faults")["faults"])


def _signal(stack: Stack, number: int) -> None:
    for name in WORKERS:
        stack[name].signal(number)


def _token(build_id: str) -> int:
    effect = Effect.objects.get(kind="build.trigger", build_id=build_id)
    return int(effect.lease_token)


def _reports_to(stack: Stack, pipeline: Any) -> None:
    """Let Jenkins' job report to this pipeline's webhook."""
    url = f"http://127.0.0.1:{stack.web_port}/api/v1/webhooks/jenkins/{pipeline.pk}"
    hook = {"url": url, "secret": pipeline.webhook_secret.reveal(), "style": "signed"}
    stack.sandbox.ask("PATCH", "jenkins/jobs/ios-prod", {"webhook": hook})
