"""F12, F14 and F15: what operators do to a running product: new keys, migrations, a restore."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from builds.models import Build
from delivr.effects.models import Effect, EffectState
from faults.clients import Client, percentile
from faults.outages import work
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import NEW, OLD, Stack, until
from faults.world import Workspace, begin, click, ends_by_itself, open_work, workspaces

BEHIND = ("worker1", "worker2", "sweeper")
MIGRATE = {  # as the Procfile's `release` line has it
    "DATABASE_LOCK_TIMEOUT": "2000",
    "DATABASE_STATEMENT_TIMEOUT": "0",
    "DJANGO_SETTINGS_MODULE": "faults.expanded.settings",
}


def keys_change(stack: Stack, options: Options) -> Outcome:
    """F12: a new key in front while people click; the old key taken away too early and put back;
    then rotated, and taken away for good."""
    begin(stack)
    ends_by_itself(stack, 4.0)
    spaces, outcome = workspaces(stack, 4), Outcome()
    client = Client(stack.web_port)
    with _people(client, spaces):
        _workers_with(stack, f"{NEW},{OLD}")
        time.sleep(3)
    everything = (*BEHIND, "web")
    _restart(stack, *everything, FERNET_KEYS=NEW)
    outcome.want(_readiness(stack) == 503, "readyz is content with a lost key")
    sent = len(stack.sandbox.ledger("build.queued"))
    clicked = [click(client, space, _release(space)).status for space in spaces]
    time.sleep(10)
    outcome.figures["clicks without the key"] = clicked
    outcome.want(max(clicked) < 500, f"clicks without the key: {clicked}")
    outcome.want(len(stack.sandbox.ledger("build.queued")) == sent, "sent without its secret")
    dead = Effect.objects.filter(state=EffectState.DEAD).count()
    outcome.want(not dead, f"{dead} effects gave up instead of waiting")
    _restart(stack, *everything, FERNET_KEYS=f"{NEW},{OLD}")
    until(stack.is_ready, seconds=60, what="ready with the key put back")
    rounds: list[str] = []
    with _people(client, spaces):
        for _n in range(5):
            told = stack.manage("rotate_secrets", FERNET_KEYS=f"{NEW},{OLD}").stdout
            rounds.append(told.partition("\n")[0])
            if rounds[-1].startswith("0 "):
                break
    outcome.figures["rotations"] = rounds
    outcome.want(rounds[-1].startswith("0 "), f"rotation does not come to an end: {rounds}")
    _restart(stack, *everything, FERNET_KEYS=NEW)
    until(stack.is_ready, seconds=60, what="ready with the new key alone")
    with _people(client, spaces):
        time.sleep(3)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    judged = judge(stack, client)
    stack.manage("rotate_secrets", FERNET_KEYS=f"{OLD},{NEW}")
    _restart(stack, *everything)
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


def _workers_with(stack: Stack, keys: str) -> None:
    _restart(stack, *BEHIND, FERNET_KEYS=keys)


def _restart(stack: Stack, *names: str, **env: str) -> None:
    stack.restart(*names, **env)
    if "web" in names:
        until(stack.is_alive, seconds=60, what="web answers")


def _readiness(stack: Stack) -> int:
    return Client(stack.web_port).send("GET", "/readyz", b"", {}).status


def _release(space: Workspace) -> Any:
    return space.wired.release("ios")


@contextmanager
def _people(client: Client, spaces: list[Workspace]) -> Iterator[None]:
    """Meanwhile people make releases, click and look."""
    ending = threading.Event()
    thread = threading.Thread(target=work, args=(client, spaces, ending))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def migration_under_load(stack: Stack, options: Options) -> Outcome:
    """F14: a migration that expands the busiest tables, while somebody else holds a lock on them,
    and once more without."""
    begin(stack)
    ends_by_itself(stack, 4.0)
    spaces, client, outcome = workspaces(stack, 4), Client(stack.web_port), Outcome()
    with _people(client, spaces):
        time.sleep(3)
        with psycopg.connect(stack.postgres.url) as long:  # somebody's report over all builds
            long.execute("SELECT count(*) FROM builds, effects")
            start = time.monotonic()
            blocked = stack.manage("migrate", "expanded", **MIGRATE)
            gave_way = time.monotonic() - start
        outcome.want(blocked.returncode != 0, "the migration did not give way")
        start = time.monotonic()
        done = stack.manage("migrate", "expanded", **MIGRATE)
        spent = time.monotonic() - start
        outcome.want(done.returncode == 0, done.stderr[-500:])
        time.sleep(5)
        back = stack.manage("migrate", "expanded", "zero", **MIGRATE)
        outcome.want(back.returncode == 0, back.stderr[-500:])
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    judged = judge(stack, client)
    outcome.figures |= {
        "requests": len(client.answers),
        "p99 s": round(percentile((a.seconds for a in client.answers), 0.99), 2),
        "longest s": round(max(a.seconds for a in client.answers), 2),
        "gave way after s": round(gave_way, 1),
        "migrated in s": round(spent, 1),
    }
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


def restored_from_a_dump(stack: Stack, options: Options) -> Outcome:
    """F15: dumped under load with lost answers, more done after it, then restored: nothing goes out
    while it is paused; afterwards nothing is built twice."""
    begin(stack)
    ends_by_itself(stack, 4.0)
    spaces, client = workspaces(stack, 4), Client(stack.web_port)
    stack.sandbox.fault("drop_after", probability=0.4, provider="*", method="POST")
    for number in range(max(12, options.triggers // 8)):
        space = spaces[number % len(spaces)]
        click(client, space, space.wired.release("ios", slack=number % 4 == 0))
    stack.postgres.dump("postgres")
    at_dump = Effect.objects.open().count()
    for space in spaces:
        click(client, space, space.wired.release("ios"))
    stack.sandbox.no_faults()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = Outcome({"clicked": Build.objects.count(), "open in the dump": at_dump})
    outcome.want(at_dump, "the dump holds nothing unfinished")
    with _restored(stack) as url:
        sent = _sent(stack)
        everything = (*BEHIND, "web")
        _restart(stack, *everything, DATABASE_URL=url, EFFECTS_PAUSED="1")
        time.sleep(20)
        outcome.want(_sent(stack) == sent, "something went out while paused")
        told = stack.manage("restored", DATABASE_URL=url)
        outcome.want(told.returncode == 0, told.stderr[-500:])
        _restart(stack, *everything, DATABASE_URL=url)
        until(lambda: not open_work(), seconds=SETTLE, what="the restored settled", pause=1)
        judged = judge(stack, client)
        more = _sent(stack)[0] - sent[0]
        outcome.figures |= {"told": told.stdout.strip(), "built after the restore": more}
        outcome.want(not more, f"{more} builds more")
    _restart(stack, *everything)
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


def _sent(stack: Stack) -> tuple[int, int, int]:
    kinds = ("build.queued", "message.posted", "issue.created")
    builds, messages, epics = (len(stack.sandbox.ledger(kind)) for kind in kinds)
    return builds, messages, epics


@contextmanager
def _restored(stack: Stack) -> Iterator[str]:
    """The dump as a database of its own, which this process reads meanwhile."""
    stack.stop_all("web", *BEHIND)
    url = stack.postgres.restore("restored")
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "restored"
    try:
        yield url
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
