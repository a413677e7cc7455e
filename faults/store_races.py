"""F18, F19 and F20: people, other programs and slow looks while releases go through the stores."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.test import Client as Browser

from delivr.effects import clock
from delivr.effects.health import PER_TENANT
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.operations import create_effect
from delivr.failures import ProviderError
from delivr.tenants.models import Membership
from faults.clients import Answer, Client, percentile, run_concurrently
from faults.outcome import SETTLE, Options, Outcome
from faults.rollouts import PLAY_STORE, Journey, Move, S, built, hurry_looks, journeys, use_stores
from faults.stack import Stack, until
from faults.stores import judged, rollout_of, start
from faults.workspaces import workspaces
from integrations.providers.play_store.client import PlayClient
from integrations.providers.stores import Act
from sandbox.accounts import APP_IDENTIFIER
from submissions.effects import ACT
from submissions.models import Submission

CLICKS = 4  # by page, and as many by the API, at the same moment
EDITS = f"/androidpublisher/v3/applications/{APP_IDENTIFIER}/edits"
AT_ONCE = 10.0  # seconds that a halt may take beside them
BOUND = 30.0  # seconds that a halt may wait: a call that is on its way, and the next attempt
FORM = {"csrfmiddlewaretoken": "c" * 32}


def doubled_clicks(stack: Stack, options: Options) -> Outcome:
    """F18: each submission and act is asked for eight times at the same moment: four times by the
    page, four times by the API with one Idempotency-Key; and once more each when it is done."""
    stack.manage("collectstatic", "--noinput")  # pages need it
    stack.restart("web")
    until(stack.is_ready, seconds=60, what="delivr is ready")
    space, client, outcome = start(stack), Client(stack.web_port), Outcome()
    member = Membership.objects.get(tenant=space.wired.tenant)
    headers, counts = signed_in(member), Counter[int]()
    rounds = max(1, options.triggers // 100)
    for number in range(rounds):
        for journey in journeys(stack, client, space):
            journey.upload()
            clicks = Clicks(journey, headers, f"{number}-{journey.way.store}")
            counts += clicks.submit()
            rows = Submission.objects.filter(release=journey.release, target=clicks.target)
            if len(rows) != 1:
                raise RuntimeError(f"{len(rows)} submissions: {client.answers[-2 * CLICKS :]}")
            journey.id = rows[0].pk
            journey.arrive(Move(journey.way.waits))
            for turn, move in enumerate(journey.way.moves):
                if move.act:
                    again = clicks.act(move.act, turn)
                    counts += next(again)
                    journey.arrive(move)
                    counts += next(again)
                else:
                    journey.make(move)
                journey.arrive(move)
    return judged(stack, client, outcome, {"clicks": counts.total(), "answers": dict(counts)})


def signed_in(member: Membership) -> dict[str, str]:
    """The headers of a browser in which a member is signed in."""
    browser = Browser()
    browser.force_login(member.user)
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
    cookies["csrftoken"] = FORM["csrfmiddlewaretoken"]
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Content-Type": "application/x-www-form-urlencoded",
    }


class Clicks:
    """The same thing asked for several times at once."""

    def __init__(self, journey: Journey, headers: Mapping[str, str], name: str) -> None:
        self.journey, self.headers, self.name = journey, headers, name
        self.target = journey.space.wired.targets[journey.way.platform]

    def submit(self) -> Counter[int]:
        journey = self.journey
        fields = {
            "store_build": journey.build,
            "track": "production",
            "shares": ", ".join(map(str, journey.way.wishes.get("steps", ()))),
            "is_phased": "on",
            "release_type": "MANUAL",
            "uses_encryption": "no",
            "notes": "[en-US]\nFaster.",
        }
        page = f"/releases/{journey.release.pk}/submit/{self.target.pk}"
        return self._at_once(page, fields, journey.submit_path, journey.submit_body, "submit")

    def act(self, act: Act, turn: int) -> Iterator[Counter[int]]:
        """Now, and when it is done."""
        journey = self.journey
        fields = {"act": act.value, "seen": journey.row.acts}
        where = (f"/submissions/{journey.id}", fields, f"submissions/{journey.id}/{act}", None)
        first = self._at_once(*where, f"{turn}")
        yield first
        # After a refusal the same key would be another request, as it should.
        yield self._at_once(*where, f"{turn}", by_api=first[202] > 0)

    def _at_once(
        self, page: str, fields: Any, path: str, body: Any, name: str, *, by_api: bool = True
    ) -> Counter[int]:
        barrier = threading.Barrier(2 * CLICKS)

        def click(number: int) -> Answer:
            barrier.wait()
            if number % 2 or not by_api:
                form = urlencode({**FORM, **fields}).encode()
                return client.send("POST", page, form, dict(self.headers))
            key = f"{self.name}-{name}"
            return client.api(space.token, "POST", path, body, {"Idempotency-Key": key})

        client, space = self.journey.client, self.journey.space
        answers = run_concurrently(click, range(2 * CLICKS), threads=2 * CLICKS)
        return Counter(answer.status for answer in answers)


def edits_ended_by_others(stack: Stack, options: Options) -> Outcome:
    """F19: another program with the same service account opens edits all the time, people change
    things in Play Console, and one of them rolls out further than delivr was going to."""
    space, client, outcome = start(stack), Client(stack.web_port), Outcome()
    rounds = max(1, options.triggers // 100)
    with rivals(stack, space.wired.targets["android"], options.seed) as ended:
        for _n in range(rounds):
            journey = Journey(stack, client, space, built(space, "android"), PLAY_STORE)
            journey.whole()
            journey = Journey(stack, client, space, built(space, "android"), PLAY_STORE)
            _overtaken(journey)
            asked = rollout_of(stack, journey.build)
            wanted: list[Any] = [("inProgress", 0.05), ("inProgress", 0.3), ("inProgress", 0.5)]
            wanted += [("completed", None)]
            outcome.expect(asked == wanted, f"Google was asked for {asked}")
            outside = journey.row.events.filter(is_outside=True)
            outcome.expect(outside.exists(), "nobody is told what was done by hand")
    opened = len(stack.sandbox.ledger("edit.inserted")) - ended["edits"]
    figures = {"edits of ours": opened, "of another": ended["edits"], "changes": ended["changes"]}
    overtaken = [row.pk for row in Submission.objects.all() if is_overtaken(row)]
    return judged(stack, client, outcome, figures, other_than=overtaken)


def _overtaken(journey: Journey) -> None:
    """Somebody rolls out to 30 % by hand when delivr has it at 5 %, and is about to go to 20 %."""
    journey.upload()
    journey.submit()
    journey.arrive(Move(journey.way.waits))
    first, *_rest, last = journey.way.moves
    journey.make(first)
    journey.arrive(first)
    journey.in_store("fraction", fraction=0.3)
    journey.ask_for(Act.ADVANCE)
    journey.arrive(Move(S.ROLLING_OUT, percent=30))
    journey.ask_for(Act.ADVANCE)
    journey.arrive(Move(S.ROLLING_OUT, percent=50))
    journey.make(last)
    journey.arrive(last)


def is_overtaken(row: Submission) -> bool:
    return row.events.filter(percent=30).exists()


@contextmanager
def rivals(stack: Stack, target: Any, seed: int) -> Iterator[Counter[str]]:
    """Edits of the same account and changes in Play Console, each several times a second."""
    chance, ending, count = random.Random(seed), threading.Event(), Counter[str]()
    info = json.loads(target.credentials.reveal())

    def open_edits() -> None:
        client = None
        while not ending.wait(chance.uniform(0.05, 0.6)):
            try:
                if client is None or not count["edits"] % 20:
                    client = PlayClient(info, deadline=3600)
                    client.sign_in()
                client.post(EDITS)
            except ProviderError:
                client = None
                continue
            count["edits"] += 1

    def change() -> None:
        while not ending.wait(chance.uniform(0.2, 1.5)):
            stack.sandbox.ask("POST", "play/acts/change", {})
            count["changes"] += 1

    threads = [threading.Thread(target=work) for work in (open_edits, change)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        ending.set()
        for thread in threads:
            thread.join()


WATCHING = 6  # other workspaces that look at the same app with the same account
SLOW = 4.0  # seconds that Google takes to list releases


def halts_among_slow_looks(stack: Stack, options: Options) -> Outcome:
    """F20: Google is slow, and seven workspaces look at the same app all the time, so that somebody
    always holds its lock. A release is halted and resumed again and again."""
    space, client, outcome = start(stack), Client(stack.web_port), Outcome()
    journey = Journey(stack, client, space, built(space, "android"), PLAY_STORE)
    journey.upload()
    journey.submit()
    journey.arrive(Move(journey.way.waits))
    first = journey.way.moves[0]
    journey.make(first)
    journey.arrive(first)
    others = [_watching(stack, client, journey) for _n in range(WATCHING)]
    path = "*/tracks/production/releases"
    stack.sandbox.fault("late", provider="google_play", method="GET", path=path, seconds=SLOW)
    waits, looks = [], len(stack.sandbox.requests("google_play"))
    with _always_looking():
        for _n in range(max(3, options.triggers // 40)):
            waits.append(halt(stack, journey))
            journey.arrive(Move(S.HALTED), in_a_hurry=False)
            journey.ask_for(Act.RESUME)
            journey.arrive(Move(S.ROLLING_OUT), in_a_hurry=False)
    stack.sandbox.no_faults()
    journey.make(replace(first, act=Act.COMPLETE))
    journey.arrive(Move(S.LIVE))
    looks = len(stack.sandbox.requests("google_play")) - looks
    figures = {
        "halts": len(waits),
        "requests meanwhile": looks,
        "halted after s": f"p50 {percentile(waits, 0.5):.1f} · max {max(waits):.1f}",
    }
    outcome.expect(max(waits) < BOUND, f"a halt waited for {max(waits):.0f} s")
    rows = [journey.id, *(other.id for other in others)]
    return judged(stack, client, outcome, figures, other_than=rows)


def halts_past_an_open_breaker(stack: Stack, options: Options) -> Outcome:
    """F20b: the breaker of the store is open, and eight slow calls of the same workspace are on
    their way. A release is halted and resumed again and again; nothing else is sent meanwhile."""
    space, client, outcome = start(stack), Client(stack.web_port), Outcome()
    journey = Journey(stack, client, space, built(space, "android"), PLAY_STORE)
    journey.upload()
    journey.submit()
    journey.arrive(Move(journey.way.waits))
    first = journey.way.moves[0]
    journey.make(first)
    journey.arrive(first)
    waits, held = [], []
    for _n in range(max(3, options.triggers // 40)):
        with _nothing_may_go(journey) as slow:
            waits.append(halt(stack, journey))
            held.append(slow.filter(state=EffectState.LEASED).count())
        journey.arrive(Move(S.HALTED))
        journey.ask_for(Act.RESUME)
        journey.arrive(Move(S.ROLLING_OUT))
    journey.make(replace(first, act=Act.COMPLETE))
    journey.arrive(Move(S.LIVE))
    figures = {
        "halts": len(waits),
        "slow calls meanwhile": min(held),
        "halted after s": f"p50 {percentile(waits, 0.5):.1f} · max {max(waits):.1f}",
    }
    outcome.expect(max(waits) < AT_ONCE, f"a halt waited for {max(waits):.0f} s")
    return judged(stack, client, outcome, figures, other_than=[journey.id])


@contextmanager
def _nothing_may_go(journey: Journey) -> Iterator[Any]:
    """As if eight calls of the workspace were on their way, and the store's breaker open."""
    tenant, target = journey.release.tenant, journey.row.target_id
    later = clock.now() + timedelta(minutes=10)
    ids = []
    for number in range(PER_TENANT):
        key = f"slow-{number}-{later.isoformat()}"
        slow = create_effect(tenant=tenant, kind=ACT, integration_id="slow", dedupe_key=key)
        ids.append(slow.pk)
    found = Effect.objects.filter(pk__in=ids)
    found.update(state=EffectState.LEASED, lease_until=later)
    health = IntegrationHealth.objects.filter(tenant=tenant, integration_id=target)
    health.update(failures=9, open_until=later)
    try:
        yield found
    finally:
        found.delete()


def _watching(stack: Stack, client: Client, like: Journey) -> Journey:
    """Another workspace, whose submission of the same version finds that it was done."""
    (space,) = workspaces(stack, 1)
    use_stores(stack, space)
    other = Journey(stack, client, space, built(space, "android"), PLAY_STORE, like.build)
    other.submit()
    other.arrive(Move(S.ROLLING_OUT))
    return other


@contextmanager
def _always_looking() -> Iterator[None]:
    """All of them are due at every moment."""
    ending = threading.Event()

    def look() -> None:
        while not ending.wait(0.5):
            hurry_looks()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def halt(stack: Stack, journey: Journey) -> float:
    """Seconds from the click until Google has it."""
    count, clicked = len(_halted(stack)), time.time()
    journey.ask_for(Act.HALT)
    until(lambda: len(_halted(stack)) > count, seconds=SETTLE, what="it is halted", pause=0.1)
    return float(_halted(stack)[-1]["at"]) - clicked


def _halted(stack: Stack) -> list[dict[str, Any]]:
    changes = stack.sandbox.ledger("rollout.changed")
    return [one for one in changes if one["status"] == "halted"]
