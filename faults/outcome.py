"""A scenario's options and outcome, and the checks that follow each scenario."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from builds.models import Build
from delivr.effects.models import Effect, EffectState
from faults import invariants, leaks
from faults.clients import Client
from faults.stack import Stack

SETTLE = 420.0  # seconds for all work to settle once the faults stop


@dataclass
class Outcome:
    """Figures to print, and what is `broken`; a scenario passed if that is empty."""

    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def expect(self, is_so: object, words: str) -> None:
        if not is_so:
            self.broken.append(words)


@dataclass(frozen=True)
class Options:
    triggers: int = 400
    seconds: float = 60.0  # of each outage
    seed: int = 1


def judge(stack: Stack, client: Client) -> Outcome:
    """Check for lost or doubled triggers, failed requests, broken invariants, leaked secrets."""
    sent = invariants.sent_builds(stack.sandbox)
    builds = list(Build.objects.values_list("pk", flat=True))
    dead = set(Effect.objects.filter(state=EffectState.DEAD).values_list("build_id", flat=True))
    figures = {
        "builds": len(builds),
        "lost": sum(not sent[pk] and pk not in dead for pk in builds),
        "doubled": sum(sent[pk] > 1 for pk in builds),
        "shown to a person": _dead_by_reason(),
        "failed requests": len(client.failures()),
        "messages": len(stack.sandbox.ledger("message.posted")),
        "edits": len(stack.sandbox.ledger("message.updated")),
        "epics": len(stack.sandbox.ledger("issue.created")),
    }
    outcome = Outcome(figures, invariants.check(stack.sandbox, settled=True))
    outcome.broken += invariants.answers_that_fail(answer.status for answer in client.answers)
    outcome.broken += invariants.secrets_outside(leaks.wired_secrets(), leaks.places(stack))
    for name in ("lost", "doubled"):
        outcome.expect(not figures[name], f"{name}: {figures[name]}")
    return outcome


def _dead_by_reason() -> str:
    """The number of dead effects by the code of their last error."""
    codes = Effect.objects.filter(state=EffectState.DEAD).values_list("last_error_code", flat=True)
    return ", ".join(f"{count} {code}" for code, count in Counter(codes).items()) or "0"
