"""The rules that a person asks for when a target is submitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from integrations.models import HealthIntegration, TargetIntegration
from integrations.providers.health import HealthProvider, Metric
from integrations.providers.stores import StoreProvider
from submissions.health.models import RolloutRule, RuleAction

MOST_RULES = 10
MIN_SAMPLE = 100  # sessions or users, unless a rule says otherwise
LARGEST_SAMPLE = 10_000_000
LONGEST_SOAK = 24 * 30.0  # hours
LARGEST_MARGIN = 50.0  # percentage points


@dataclass(frozen=True, kw_only=True)
class RuleWish:
    """One rule as it was entered; an empty `source` waits only."""

    action: str
    source: str = ""
    metric: str = ""
    threshold: float | None = None  # a percentage
    margin: float | None = None  # percentage points, compared with the previous release
    min_sample: int | None = None
    after_hours: float | None = None


def sources_of(app: TargetIntegration) -> dict[str, HealthIntegration]:
    """The connections that know an app, by id."""
    rows = HealthIntegration.objects.for_tenant(app.tenant_id).select_related("target")
    return {row.pk: row for row in rows if row.knows(app)}


def rules_from(tenant_id: str, wishes: Sequence[RuleWish]) -> list[RolloutRule]:
    """The rules, not saved. Call it with wishes without `rule_errors`."""
    return [
        RolloutRule(
            tenant_id=tenant_id,
            source_id=wish.source or None,
            metric=wish.metric,
            threshold=wish.threshold,
            margin=wish.margin,
            min_sample=_sample(wish),
            action=wish.action,
            after_hours=wish.after_hours,
            position=position,
        )
        for position, wish in enumerate(wishes)
    ]


def _sample(wish: RuleWish) -> int:
    if not wish.source:
        return 0
    return MIN_SAMPLE if wish.min_sample is None else wish.min_sample


def rule_errors(
    wishes: Sequence[RuleWish],
    *,
    store: type[StoreProvider],
    shares: Sequence[float],
    sources: dict[str, HealthIntegration],
) -> list[str]:
    """Everything that is wrong with the rules, in words."""
    found = [
        _("Rule %(n)d: %(words)s") % {"n": number, "words": words}
        for number, wish in enumerate(wishes, start=1)
        for words in _errors_in(wish, store, shares, sources)
    ]
    if len(wishes) > MOST_RULES:
        found.append(_("Enter at most %(n)d rules.") % {"n": MOST_RULES})
    return found


def _errors_in(
    wish: RuleWish,
    store: type[StoreProvider],
    shares: Sequence[float],
    sources: dict[str, HealthIntegration],
) -> Iterator[str]:
    if wish.action == RuleAction.ADVANCE:
        yield from _errors_in_advance(wish, store, shares)
    elif wish.action not in RuleAction.values:
        yield _("choose PAUSE, HALT or ADVANCE.")
    else:
        if wish.after_hours is not None:
            yield _("hours belong to ADVANCE alone: bad figures are acted on at once.")
        if not wish.source:
            yield _("choose the source of the figures.")
    if wish.source:
        yield from _errors_in_figures(wish, sources.get(wish.source))
    elif wish.metric or {wish.threshold, wish.margin, wish.min_sample} != {None}:
        yield _("choose the source of the figures, or leave the figure empty.")


def _errors_in_advance(
    wish: RuleWish, store: type[StoreProvider], shares: Sequence[float]
) -> Iterator[str]:
    if not store.picks_shares:
        yield _("%(store)s takes the steps by itself.") % {"store": store.label}
    elif len(shares) < 2:
        yield _("there is no next step: enter the steps of a staged roll-out.")
    if wish.after_hours is None or not 0 < wish.after_hours <= LONGEST_SOAK:
        yield _("enter the hours at a step, up to %(most)d.") % {"most": LONGEST_SOAK}


def _errors_in_figures(wish: RuleWish, source: HealthIntegration | None) -> Iterator[str]:
    if source is None:
        yield _("this source is not connected, or does not know this app.")
        return
    provider: type[HealthProvider] = source.provider_class
    if wish.metric not in provider.metrics:
        names = ", ".join(metric for metric in Metric if metric in provider.metrics)
        yield _("%(source)s has these figures: %(names)s.") % {"source": source, "names": names}
    yield from _errors_in_limit(wish)
    if wish.min_sample is not None and not 1 <= wish.min_sample <= LARGEST_SAMPLE:
        yield _("enter a sample of at least 1.")


def _errors_in_limit(wish: RuleWish) -> Iterator[str]:
    """Either of the two; a number that is none is in no range."""
    if wish.margin is None:
        if wish.threshold is None or not 0 < wish.threshold < 100:
            yield _("enter a percentage between 0 and 100 as the limit.")
    elif wish.threshold is not None:
        yield _("enter a limit, or compare with the previous release, not both.")
    elif not 0 <= wish.margin <= LARGEST_MARGIN:
        words = _("enter up to %(most)d percentage points to compare with the previous release.")
        yield words % {"most": LARGEST_MARGIN}
