"""The health of a submission, as plain values for the page and the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from integrations.providers.health import Figure
from submissions.health.baseline import read_figure
from submissions.health.deciding import Reading, verdict_of
from submissions.health.models import HealthWatch, RolloutRule, RuleAction
from submissions.health.wording import (
    METRIC_NAMES,
    age_words,
    percent_words,
    sample_words,
    sentence_of,
)
from submissions.models import Submission, store_of

# What has to be prefetched of a submission.
HEALTH = (
    Prefetch("rules", RolloutRule.objects.select_related("source__target")),
    Prefetch("watches", HealthWatch.objects.select_related("source__target")),
)


@dataclass(frozen=True, kw_only=True)
class BeforeLine:
    """The same figure of the previous release at the same stage."""

    version: str
    figure: Figure
    value: str
    sample: str


@dataclass(frozen=True, kw_only=True)
class FigureLine:
    """One figure of one source; `verdict` is empty if no rule is about it."""

    source_id: str
    source: str
    metric: str
    name: str
    figure: Figure
    value: str
    sample: str
    age: str
    verdict: str
    before: BeforeLine | None
    read_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SourceLine:
    """A source without any figure, or that could not be asked."""

    name: str
    error: str
    read_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    rule: RolloutRule
    sentence: str
    verdict: str  # empty if it waits only
    is_waiting: bool  # until it was good again


@dataclass(frozen=True, kw_only=True)
class HealthLines:
    figures: Sequence[FigureLine]
    sources: Sequence[SourceLine]
    rules: Sequence[RuleLine]


def health_of(row: Submission, now: datetime) -> HealthLines:
    """Needs a submission with `HEALTH` prefetched; makes no queries then."""
    rules, watches = list(row.rules.all()), [w for w in row.watches.all() if w.source_id]
    figures = [line for watch in watches for line in _figures(watch, rules, now)]
    return HealthLines(
        figures=figures,
        sources=[
            SourceLine(name=str(watch.source), error=watch.read_error, read_at=watch.last_read_at)
            for watch in watches
            if watch.read_error or not watch.figures
        ],
        rules=[_rule(row, rule, figures) for rule in rules],
    )


def _figures(
    watch: HealthWatch, rules: Sequence[RolloutRule], now: datetime
) -> Iterator[FigureLine]:
    earlier = {one["metric"]: one for one in watch.before}
    for figure in map(read_figure, watch.figures):
        before = _before(earlier.get(figure.metric.value))
        reading = Reading(figure, before.figure if before else None)
        about = [r for r in rules if (r.source_id, r.metric) == (watch.source_id, figure.metric)]
        about.sort(key=lambda rule: rule.action == RuleAction.ADVANCE)
        yield FigureLine(
            source_id=watch.source_id or "",
            source=str(watch.source),
            metric=figure.metric.value,
            name=str(METRIC_NAMES[figure.metric]),
            figure=figure,
            value=percent_words(figure.value),
            sample=sample_words(figure.metric, figure.sample),
            age=age_words(figure.until, now),
            verdict=str(verdict_of(about[0], reading)) if about else "",
            before=before,
            read_at=watch.last_read_at,
        )


def _before(kept: Mapping[str, Any] | None) -> BeforeLine | None:
    if kept is None:
        return None
    figure = read_figure(kept)
    return BeforeLine(
        version=kept["version"],
        figure=figure,
        value=percent_words(figure.value),
        sample=sample_words(figure.metric, figure.sample),
    )


def _rule(row: Submission, rule: RolloutRule, figures: Sequence[FigureLine]) -> RuleLine:
    source = str(rule.source) if rule.source else ""
    mine = (f for f in figures if (f.source_id, f.metric) == (rule.source_id, rule.metric))
    found = next(mine, None)
    before = found.before.figure if found and found.before else None
    reading = Reading(found.figure if found else None, before)
    return RuleLine(
        rule=rule,
        sentence=sentence_of(rule, store_of(row.target), source),
        verdict=str(verdict_of(rule, reading)) if source else "",
        is_waiting=not rule.is_armed,
    )
