"""F5: every odd answer that a provider, a proxy or a network can give, all at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from delivr.effects.models import Effect, EffectState
from delivr.tests import factories
from faults.clients import Client, percentile
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import (
    Workspace,
    click,
    click_delays,
    open_work,
    reset,
    set_auto_finish,
    workspaces,
)

BUSY = 25.0  # seconds that one attempt may hold a worker
BOUND = 5.0  # seconds from click to provider: 95th percentile of another tenant
ODD: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "429": {"kind": "status", "status": 429, "retry_after": 3},
    "time-out": {"kind": "timeout", "seconds": 60},
    "late answer": {"kind": "timeout_after", "seconds": 60},
    "reset": {"kind": "drop_before"},
    "lost answer": {"kind": "drop_after"},
    "dripping headers": {"kind": "drip_headers", "seconds": 1},
    "dripping body": {"kind": "drip", "seconds": 1},
    "garbage": {"kind": "garbage"},
    "endless body": {"kind": "endless"},
    "redirect to metadata": {"kind": "redirect"},
    "login page": {"kind": "html_200"},
    "start page": {"kind": "starting"},
    "no job for a while": {"kind": "status", "status": 404},
    "company's 403": {"kind": "proxy", "proxy": "squid", "status": 403},
    "ingress's 404": {"kind": "proxy", "proxy": "nginx", "status": 404},
    "ingress's 502": {"kind": "proxy", "proxy": "nginx", "status": 502},
    "network's 503": {"kind": "proxy", "proxy": "cloudflare", "status": 503},
    "201, no Location": {"kind": "no_location"},
}
PROXIES = ("company's 403", "ingress's 404", "ingress's 502", "network's 503")
CHAT = (
    *("500", "429", "reset", "lost answer", "garbage", "login page", "dripping body"),
    *PROXIES,
)


@dataclass
class Attempts:
    """How long attempts held their lease, sampled from the table twice a second."""

    first: dict[tuple[str, int], float] = field(default_factory=dict)
    longest: float = 0.0

    def sample(self) -> None:
        now = time.monotonic()
        leased = Effect.objects.filter(state=EffectState.LEASED)
        for key in leased.values_list("pk", "lease_token"):
            self.longest = max(self.longest, now - self.first.setdefault(key, now))


def odd_answers(stack: Stack, options: Options) -> Outcome:
    """F5: one tenant for each odd answer of its Jenkins job; Slack and Jira answer oddly, too.
    Another tenant goes on clicking and must not be affected."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    odd = {name: _odd_workspace(stack, n) for n, name in enumerate(ODD)}
    (healthy,) = workspaces(stack, 1)
    client, clicked = Client(stack.web_port), {}
    _add_faults(stack)
    with _watched() as attempts:
        for space in odd.values():
            for announced in (True, False):
                click(client, space, space.wired.release("ios", slack=announced, jira=announced))
        for _n in range(max(20, options.triggers // 8)):
            release, start = healthy.wired.release("android"), time.time()
            answer = click(client, healthy, release)
            clicked[answer.body["builds"][0]["id"]] = start
            time.sleep(0.33)
        until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    waits = click_delays(stack, clicked)
    p95 = percentile(waits, 0.95)
    outcome.figures |= {
        "struck": _struck(stack),
        "longest attempt s": round(attempts.longest, 1),
        "other tenant s": f"p50 {percentile(waits, 0.5):.2f} · p95 {p95:.2f}",
        "ended": {name: _ends(space) for name, space in odd.items()},
    }
    outcome.expect(attempts.longest < BUSY, f"an attempt took {attempts.longest:.0f} s")
    outcome.expect(p95 < BOUND, f"another tenant waited: p95 {p95:.1f} s")
    outcome.expect(len(waits) == len(clicked), "another tenant's builds are missing")
    outcome.expect(0 not in _struck(stack).values(), "a fault never struck")
    return outcome


def _odd_workspace(stack: Stack, number: int) -> Workspace:
    """A workspace with a Jenkins job of its own."""
    (space,) = workspaces(stack, 1)
    job = f"odd-{number}"
    stack.sandbox.copy_job("ios-prod", job)
    space.wired.pipelines["ios"] = factories.PipelineFactory(
        **_like(space.wired.pipelines["ios"]), job=f"/job/{job}"
    )
    return space


def _like(pipeline: Any) -> dict[str, Any]:
    names = ("tenant", "scm", "target", "server_url", "username")
    token = pipeline.api_token.reveal()
    return {**{name: getattr(pipeline, name) for name in names}, "api_token": token}


def _add_faults(stack: Stack) -> None:
    """For each Jenkins job two faults on POST and one on GET; for messages and epics one of each
    kind."""
    for number, settings in enumerate(ODD.values()):
        target = {"provider": "jenkins", "path": f"/job/odd-{number}/*"}
        stack.sandbox.fault(**settings, **target, method="POST", count=2)
        if settings["kind"] != "no_location":
            stack.sandbox.fault(**settings, **target, method="GET", count=1, skip=1)
    for provider, path in (("slack", "*/chat.postMessage"), ("jira", "*/issue")):
        for name in CHAT:
            stack.sandbox.fault(**ODD[name], provider=provider, path=path, method="POST", count=1)


def _struck(stack: Stack) -> dict[str, int]:
    """How often each fault struck a POST to Jenkins."""
    faults = [
        fault
        for fault in stack.sandbox.ask("GET", "faults")["faults"]
        if fault["provider"] == "jenkins" and fault["method"] == "POST"
    ]
    return {name: fault["struck"] for name, fault in zip(ODD, faults, strict=True)}


@contextmanager
def _watched() -> Iterator[Attempts]:
    attempts, ending = Attempts(), threading.Event()

    def watch() -> None:
        while not ending.wait(0.5):
            attempts.sample()
        connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield attempts
    finally:
        ending.set()
        thread.join()


def _ends(space: Workspace) -> str:
    """How this tenant's triggers ended, with the error code that a person is shown."""
    rows = Effect.objects.for_tenant(space.wired.tenant).filter(kind="build.trigger")
    ends = [f"{e.state} {e.last_error_code}".strip() for e in rows.order_by("created_at")]
    return ", ".join(ends)
