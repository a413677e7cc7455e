"""F3 and F4: the broker freezes or dies and users are not affected; the database restarts and users
are told to retry."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from typing import Any

from django.db import connection

from builds.models import Build
from faults import invariants
from faults.clients import Client, percentile, run_concurrently
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import Workspace, open_work, reset, set_auto_finish, workspaces


def broken_broker(stack: Stack, options: Options) -> Outcome:
    """F3: Redis is frozen, killed without persistence, and flushed while people go on working."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    outcome = Outcome()
    everyone = Client(stack.web_port)
    redis = stack["redis"]
    spaces = workspaces(stack, 4)

    def phase(name: str, seconds: float) -> None:
        client = Client(stack.web_port)
        _work(client, spaces, seconds)
        p99 = percentile((a.seconds for a in client.answers), 0.99)
        outcome.figures[name] = f"{len(client.answers)} requests, p99 {p99:.2f} s"
        outcome.expect(p99 < 2.0, f"{name}: p99 {p99:.2f} s")
        everyone.answers += client.answers

    phase("healthy", 8)
    redis.signal(signal.SIGSTOP)
    phase("frozen", options.seconds)
    redis.signal(signal.SIGCONT)
    redis.kill()
    phase("killed", options.seconds)
    redis.start()
    phase("back", 5)
    subprocess.run(
        ["redis-cli", "-p", str(stack.redis_port), "flushall"], check=True, capture_output=True
    )
    phase("flushed", 5)
    start = time.monotonic()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    judged = judge(stack, everyone)
    outcome.figures |= {"settled after s": round(time.monotonic() - start, 1), **judged.figures}
    outcome.broken += judged.broken
    return outcome


def _work(client: Client, spaces: list[Workspace], seconds: float) -> None:
    ending = threading.Event()
    threading.Timer(seconds, ending.set).start()
    work(client, spaces, ending)


def work(client: Client, spaces: list[Workspace], ending: threading.Event) -> None:
    """In each workspace create releases, trigger builds and read them, about five requests a
    second."""

    def person(space: Workspace) -> None:
        while not ending.wait(0.6):
            space.wired.versions += 1
            made = client.api(space.token, "POST", "releases", _new_release(space))
            if made.status == 201:
                path = f"releases/{made.body['id']}"
                client.api(space.token, "POST", f"{path}/builds", {})
                client.api(space.token, "GET", path)

    run_concurrently(person, spaces, threads=len(spaces))


def _new_release(space: Workspace) -> dict[str, Any]:
    wired = space.wired
    return {
        "version": f"2.0.{wired.versions}",
        "scmIntegrationId": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
    }


def database_restarts(stack: Stack, options: Options) -> Outcome:
    """F4: under load PostgreSQL stops twice as in a power cut, and is down for 4 s each time."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    client, spaces = Client(stack.web_port), workspaces(stack, 4)
    working = threading.Thread(target=_work, args=(client, spaces, 30.0))
    working.start()
    for _n in range(2):
        time.sleep(6)
        stack.postgres.stop("immediate")
        time.sleep(4)
        stack.postgres.start()
    working.join()
    connection.close()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    unavailable = [a for a in client.answers if a.status == 503]
    accepted = {b["id"] for a in client.answers if a.status == 202 for b in a.body["builds"]}
    kept = set(Build.objects.values_list("pk", flat=True))
    answers, client.answers = client.answers, []
    outcome = judge(stack, client)
    outcome.figures |= {
        "requests": len(answers),
        "told to retry": len(unavailable),
        "clicks accepted": len(accepted),
        "of these lost": len(accepted - kept),
    }
    has_retry_after = unavailable and all(a.retry_after for a in unavailable)
    outcome.expect(has_retry_after, "no 503 with Retry-After")
    statuses = (answer.status for answer in answers)
    outcome.broken += invariants.answers_that_fail(statuses, outage=True)
    lost = accepted - kept
    outcome.expect(not lost, f"{len(lost)} clicks were accepted and lost")
    return outcome
