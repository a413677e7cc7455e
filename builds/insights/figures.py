"""The figures of a period, each defined where it is declared.

Medians rather than means: a build that hangs over a weekend must not distort the figures. Days are
those of UTC, and everything counts on the day on which it was begun.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from builds.insights.counting import DAY, Tallies, day_of
from builds.insights.keeping import LONGEST, tallies_since
from builds.insights.tallies import ALL, Choice, Tally, total
from builds.models import Source
from delivr.effects import clock
from delivr.tenants.models import Tenant
from integrations.choices import PLATFORM_OF, Platform
from integrations.models import PipelineIntegration

PERIODS = (30, 90, LONGEST.days)  # days


def share(part: int, whole: int) -> int | None:
    """In percent; None of nothing."""
    return round(100 * part / whole) if whole else None


@dataclass(frozen=True)
class Figures:
    """The figures of one workspace, pipeline or week; None if there was nothing to measure."""

    builds: int  # triggered in the period
    ended: int  # at the CI server, with any result
    succeeded: int
    retries: int  # builds that were not the first of their candidate
    duration: timedelta | None  # median of the builds that succeeded
    duration_p90: timedelta | None
    queue: timedelta | None  # median
    recovery: timedelta | None  # median, from a failed build's end to the next success

    @property
    def success_rate(self) -> int | None:
        """In percent of the builds that ended at the CI server."""
        return share(self.succeeded, self.ended)

    @property
    def failed(self) -> int:
        return self.ended - self.succeeded


@dataclass(frozen=True)
class StoreFigures:
    """What the stores did with submissions; None if there was nothing to measure."""

    platform: str  # "" for all stores
    submissions: int  # created in the period
    reviewed: int  # those of them that the store approved or rejected
    rejected: int  # those that it rejected at least once
    review: timedelta | None  # median, from being submitted to the end of the last review
    review_p90: timedelta | None
    reviews: int  # how many it is the median of
    rollout: timedelta | None  # median, from the first share of a staged roll-out to everybody
    rollout_p90: timedelta | None
    rollouts: int

    @property
    def rejection_rate(self) -> int | None:
        """In percent of the submissions that were reviewed."""
        return share(self.rejected, self.reviewed)

    @property
    def passed(self) -> int:
        return self.reviewed - self.rejected

    @property
    def name(self) -> str:
        return _STORES.get(self.platform, "")


_STORES = {str(platform): str(store.label) for store, platform in PLATFORM_OF.items()}


@dataclass(frozen=True)
class PipelineFigures:
    id: str
    name: str
    platform: str
    figures: Figures


@dataclass(frozen=True)
class Week:
    begin: date
    figures: Figures
    lead_time: timedelta | None
    stores: StoreFigures


@dataclass(frozen=True)
class Insights:
    days: int
    figures: Figures
    releases: int  # created in the period
    ready: int  # those of them that became ready for submission
    lead_time: timedelta | None  # median, from creation to ready for the first time
    lead_time_p90: timedelta | None
    by_webhook: int  # build results that a webhook reported
    by_poll: int  # build results that polling found
    stores: StoreFigures
    by_store: tuple[StoreFigures, ...]
    pipelines: tuple[PipelineFigures, ...]
    weeks: tuple[Week, ...]

    @property
    def webhook_share(self) -> int | None:
        return share(self.by_webhook, self.by_webhook + self.by_poll)


def insights(
    tenant: Tenant, *, days: int, choice: Choice = ALL, now: datetime | None = None
) -> Insights:
    """The figures of today and the `days` before.

    With a choice, a release counts if it has a chosen pipeline, and is ready when the builds of its
    chosen pipelines had all succeeded.
    """
    last = day_of(now or clock.now())
    first = last - timedelta(days=days)
    tallies = tallies_since(tenant, first, last, choice)
    weeks = _by_week(tallies, choice, first, last)
    whole = total(weeks.values())
    return Insights(
        days=days,
        figures=_figures(whole),
        releases=whole.counts["releases"],
        ready=whole.number("lead"),
        lead_time=whole.median("lead"),
        lead_time_p90=whole.percentile("lead", 0.9),
        by_webhook=whole.counts[Source.WEBHOOK],
        by_poll=whole.counts[Source.POLL],
        stores=_stores(whole),
        by_store=_by_store(tallies, choice),
        pipelines=_by_pipeline(tallies),
        weeks=tuple(
            Week(begin, _figures(each), each.median("lead"), _stores(each))
            for begin, each in weeks.items()
        ),
    )


def _figures(tally: Tally) -> Figures:
    return Figures(
        builds=tally.counts["builds"],
        ended=tally.counts["ended"],
        succeeded=tally.counts["succeeded"],
        retries=tally.counts["retries"],
        duration=tally.median("duration"),
        duration_p90=tally.percentile("duration", 0.9),
        queue=tally.median("queue"),
        recovery=tally.median("recovery"),
    )


def _stores(tally: Tally, platform: str = "") -> StoreFigures:
    return StoreFigures(
        platform=platform,
        submissions=tally.counts["submissions"],
        reviewed=tally.counts["reviewed"],
        rejected=tally.counts["rejected"],
        review=tally.median("review"),
        review_p90=tally.percentile("review", 0.9),
        reviews=tally.number("review"),
        rollout=tally.median("rollout"),
        rollout_p90=tally.percentile("rollout", 0.9),
        rollouts=tally.number("rollout"),
    )


def _by_store(tallies: Tallies, choice: Choice) -> tuple[StoreFigures, ...]:
    """Each store that has submissions, of the chosen pipeline if there is one."""
    found = []
    for platform in Platform.values:
        wanted = Choice(platform, choice.pipeline)
        each = total(tally for (_day, one), tally in tallies.items() if one == wanted)
        if each.counts["submissions"]:
            found.append(_stores(each, platform))
    return tuple(found)


def _by_pipeline(tallies: Tallies) -> tuple[PipelineFigures, ...]:
    groups: dict[Choice, Tally] = defaultdict(Tally)
    for (_day, choice), tally in tallies.items():
        if choice.platform and choice.pipeline and tally.counts["builds"]:
            groups[choice].add(tally)
    names = pipeline_names({choice.pipeline for choice in groups})
    return tuple(
        PipelineFigures(
            each.pipeline, names.get(each.pipeline, each.pipeline), each.platform, _figures(tally)
        )
        for each, tally in sorted(
            groups.items(), key=lambda item: (item[0].platform, item[0].pipeline), reverse=True
        )
    )


def pipeline_names(ids: set[str]) -> dict[str, str]:
    return {pk: str(p) for pk, p in PipelineIntegration.objects.in_bulk(ids).items()}


def _by_week(tallies: Tallies, choice: Choice, first: date, last: date) -> dict[date, Tally]:
    """Every week of the period, also those without builds; a week begins on Monday."""
    begin, end = monday(first), monday(last)
    found = {begin + n * 7 * DAY: Tally() for n in range((end - begin).days // 7 + 1)}
    for (day, each), tally in tallies.items():
        if each == choice:
            found[monday(day)].add(tally)
    return found


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
