"""F12, F14 and F15: operators rotate keys, migrate and restore a running product."""

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
from faults.workspaces import Workspace, click, open_work, reset, set_auto_finish, workspaces

BACKGROUND = ("worker1", "worker2", "sweeper")
MIGRATE = {  # as in the Procfile's `release` line
    "DATABASE_LOCK_TIMEOUT": "2000",
    "DATABASE_STATEMENT_TIMEOUT": "0",
    "DJANGO_SETTINGS_MODULE": "faults.expanded.settings",
}


def keys_change(stack: Stack, options: Options) -> Outcome:
    """F12: a new key is put first while people click; the old key is removed too early and put
    back; then secrets are rotated and the old key is removed for good."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    spaces, outcome = workspaces(stack, 4), Outcome()
    client = Client(stack.web_port)
    with _people(client, spaces):
        _workers_with(stack, f"{NEW},{OLD}")
        time.sleep(3)
    everything = (*BACKGROUND, "web")
    _restart(stack, *everything, FERNET_KEYS=NEW)
    outcome.expect(_readiness(stack) == 503, "readyz does not report a missing key")
    sent = len(stack.sandbox.ledger("build.queued"))
    clicked = [click(client, space, _release(space)).status for space in spaces]
    time.sleep(10)
    outcome.figures["clicks without the key"] = clicked
    outcome.expect(max(clicked) < 500, f"clicks without the key: {clicked}")
    outcome.expect(len(stack.sandbox.ledger("build.queued")) == sent, "sent without its secret")
    dead = Effect.objects.filter(state=EffectState.DEAD).count()
    outcome.expect(not dead, f"{dead} effects gave up instead of waiting")
    _restart(stack, *everything, FERNET_KEYS=f"{NEW},{OLD}")
    until(stack.is_ready, seconds=60, what="ready with the key put back")
    rounds: list[str] = []
    with _people(client, spaces):
        for _n in range(5):
            output = stack.manage("rotate_secrets", FERNET_KEYS=f"{NEW},{OLD}").stdout
            rounds.append(output.partition("\n")[0])
            if rounds[-1].startswith("0 "):
                break
    outcome.figures["rotations"] = rounds
    outcome.expect(rounds[-1].startswith("0 "), f"rotation does not come to an end: {rounds}")
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
    _restart(stack, *BACKGROUND, FERNET_KEYS=keys)


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
    """Meanwhile people create releases, trigger builds and read them."""
    ending = threading.Event()
    thread = threading.Thread(target=work, args=(client, spaces, ending))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def migration_under_load(stack: Stack, options: Options) -> Outcome:
    """F14: a migration expands the busiest tables, first while somebody else holds a lock on them,
    then without."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    spaces, client, outcome = workspaces(stack, 4), Client(stack.web_port), Outcome()
    with _people(client, spaces):
        time.sleep(3)
        with psycopg.connect(stack.postgres.url) as reader:  # somebody's report over all builds
            reader.execute("SELECT count(*) FROM builds, effects")
            start = time.monotonic()
            blocked = stack.manage("migrate", "expanded", **MIGRATE)
            gave_way = time.monotonic() - start
        outcome.expect(blocked.returncode != 0, "the migration did not give way")
        start = time.monotonic()
        done = stack.manage("migrate", "expanded", **MIGRATE)
        spent = time.monotonic() - start
        outcome.expect(done.returncode == 0, done.stderr[-500:])
        time.sleep(5)
        back = stack.manage("migrate", "expanded", "zero", **MIGRATE)
        outcome.expect(back.returncode == 0, back.stderr[-500:])
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
    """F15: a dump under load with lost answers, more work after it, then a restore: nothing is sent
    while effects are paused, and nothing is built twice afterwards."""
    reset(stack)
    set_auto_finish(stack, 4.0)
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
    outcome.expect(at_dump, "the dump holds nothing unfinished")
    with _restored(stack) as url:
        sent = _sent(stack)
        everything = (*BACKGROUND, "web")
        _restart(stack, *everything, DATABASE_URL=url, EFFECTS_PAUSED="1")
        time.sleep(20)
        outcome.expect(_sent(stack) == sent, "something was sent while paused")
        restored = stack.manage("restored", DATABASE_URL=url)
        outcome.expect(restored.returncode == 0, restored.stderr[-500:])
        _restart(stack, *everything, DATABASE_URL=url)
        until(lambda: not open_work(), seconds=SETTLE, what="the restored settled", pause=1)
        judged = judge(stack, client)
        more = _sent(stack)[0] - sent[0]
        outcome.figures |= {"restored": restored.stdout.strip(), "built after the restore": more}
        outcome.expect(not more, f"{more} builds more")
    _restart(stack, *everything)
    return Outcome(outcome.figures | judged.figures, outcome.broken + judged.broken)


def _sent(stack: Stack) -> tuple[int, int, int]:
    kinds = ("build.queued", "message.posted", "issue.created")
    builds, messages, epics = (len(stack.sandbox.ledger(kind)) for kind in kinds)
    return builds, messages, epics


@contextmanager
def _restored(stack: Stack) -> Iterator[str]:
    """Restore the dump into a new database, which this process reads meanwhile."""
    stack.stop_all("web", *BACKGROUND)
    url = stack.postgres.restore("restored")
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "restored"
    try:
        yield url
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
