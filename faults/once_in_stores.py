"""I18: what a submission asks of its store happens once, in order, and never the wrong way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from delivr.effects.models import Effect
from integrations.providers.stores import Act
from sandbox.play.acts import CONSOLE
from submissions.effects import ACT
from submissions.models import Submission

Ledger = Callable[[str], list[dict[str, Any]]]
WHOLE = 1.0  # the share of a completed release


def stores_once(ledger: Ledger) -> Iterator[str]:
    """Both stores' sides, by the ledger of the sandbox."""
    rows = Submission.objects.exclude(submitted_at=None).select_related("target", "release")
    for row in rows:
        if row.target.kind == "APP_STORE":
            yield from _one_review(row, ledger)
        else:
            yield from _each_share_once(row, ledger)


def _one_review(row: Submission, ledger: Ledger) -> Iterator[str]:
    """One version with one item in one review submission, and each change of a phased release."""
    version = row.release.version
    items = [one for one in ledger("submission.item") if one.get("version") == version]
    sent = [one["submission"] for one in ledger("submission.submitted")]
    made = [one for one in ledger("version.created") if one.get("version") == version]
    counts = {
        "versions": len(made),
        "items": len(items),
        "reviews": sum(sent.count(item["submission"]) for item in items),
    }
    if set(counts.values()) != {1}:
        yield f"I18 {version} has {counts} in the App Store"
    asked = acts_of(row)
    states = [one["state"] for one in ledger("phased.state") if one["version"] == version]
    for state, act in (("PAUSED", Act.PAUSE), ("COMPLETE", Act.COMPLETE)):
        if states.count(state) > asked[act]:
            yield f"I18 {version} was {state} {states.count(state)} times, asked {asked[act]} times"
    if states.count("ACTIVE") > 1 + asked[Act.RESUME]:
        yield f"I18 {version} was resumed {states.count('ACTIVE') - 1} times"


def _each_share_once(row: Submission, ledger: Ledger) -> Iterator[str]:
    """No share twice, skipped or lowered, and none after a halt until it is resumed."""
    changes = [one for one in ledger("rollout.changed") if row.store_build in one["codes"]]
    asked, resumed, status, reach = acts_of(row), 0, "", 0.0
    steps: defaultdict[float, int] = defaultdict(int)
    for one in (change for change in changes if change["track"] == row.track):
        share, is_ours = one["fraction"] or WHOLE, one["by"] != CONSOLE
        if share < reach:
            yield f"I18 {row.store_build} went from {reach} to {share} of the users"
        if status == "halted" and one["status"] != "halted":
            resumed += is_ours
        elif is_ours and one["status"] != "halted":
            steps[share] += 1
            yield from _skipped(row, reach, share, asked)
        status, reach = one["status"], max(reach, share)
    if resumed > asked[Act.RESUME]:
        yield f"I18 {row.store_build} went on after a halt that nobody resumed"
    for share, count in steps.items():
        if count > 1:
            yield f"I18 {row.store_build} was given to {share} of the users {count} times"
    if not changes:
        yield f"I18 {row.store_build} was never promoted"


def _skipped(row: Submission, reach: float, share: float, asked: Counter[Act]) -> Iterator[str]:
    """Only a person skips steps, by releasing to everyone."""
    between = [one for one in row.shares if reach * 100 < one < share * 100]
    if between and not (share == WHOLE and asked[Act.COMPLETE]):
        yield f"I18 {row.store_build} skipped {between} %"


def acts_of(row: Submission) -> Counter[Act]:
    """How often each act was asked for; two workspaces may have the same app."""
    same = Submission.objects.filter(target__target_type=row.target.target_type)
    ids = list(same.filter(store_build=row.store_build).values_list("pk", flat=True))
    effects = Effect.objects.filter(kind=ACT, payload__submission__in=ids)
    return Counter(Act(step) for step in effects.values_list("payload__step", flat=True))
