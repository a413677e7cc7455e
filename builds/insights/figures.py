"""The figures of a period, each defined where it is declared.

Medians rather than means: a build that hangs over a weekend must not distort the figures.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db.models import Case, Count, Exists, F, OuterRef, Q, Value, When
from django.utils import timezone

from builds.models import SERVER_RESULTS, Build, BuildEvent, Source
from delivr.tenants.models import Tenant
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildStatus
from releases.models import FAILED, Release
from releases.readiness import ready_times

PERIODS = (30, 90, 365)  # days


class BuildRow(NamedTuple):
    """The columns of a build that the figures need."""

    id: str
    release_pipeline: int
    pipeline: str
    platform: str
    release: str
    version: str
    attempt: int
    is_retry: bool
    number: int | None
    status: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_success(self) -> bool:
        return self.status == BuildStatus.SUCCESS

    @property
    def queue_time(self) -> timedelta | None:
        """From the trigger to the start at the CI server."""
        if self.started_at is None:
            return None
        return max(self.started_at - self.created_at, timedelta(0))

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None if the build did not end at the CI server."""
        if self.started_at is None or self.finished_at is None or self.status not in SERVER_RESULTS:
            return None
        return max(self.finished_at - self.started_at, timedelta(0))


@dataclass(frozen=True)
class Choice:
    """Which builds count: of one platform, of one pipeline (both as ids), or all."""

    platform: str = ""
    pipeline: str = ""

    @property
    def is_any(self) -> bool:
        return bool(self.platform or self.pipeline)

    def conditions(self, of: str) -> dict[str, str]:
        """Arguments for `filter`; `of` leads to the release pipeline, as in `pipelines__`."""
        wanted = {"platform": self.platform, "pipeline_id": self.pipeline}
        return {f"{of}{name}": value for name, value in wanted.items() if value}


ALL = Choice()


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
        return round(100 * self.succeeded / self.ended) if self.ended else None

    @property
    def failed(self) -> int:
        return self.ended - self.succeeded


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
    pipelines: tuple[PipelineFigures, ...]
    weeks: tuple[Week, ...]

    @property
    def webhook_share(self) -> int | None:
        total = self.by_webhook + self.by_poll
        return round(100 * self.by_webhook / total) if total else None


def insights(
    tenant: Tenant, *, days: int, choice: Choice = ALL, now: datetime | None = None
) -> Insights:
    """The figures of the last `days`, in three queries.

    With a choice, a release counts if it has a chosen pipeline, and is ready when the builds of its
    chosen pipelines had all succeeded.
    """
    now = now or timezone.now()
    since = now - timedelta(days=days)
    builds = rows_since(tenant, since, choice)
    releases = _releases(tenant, since, builds, choice)
    leads = [lead for _created, lead in releases if lead is not None]
    by_webhook, by_poll = _sources(tenant, since, choice)
    return Insights(
        days=days,
        figures=figures(builds),
        releases=len(releases),
        ready=len(leads),
        lead_time=median(leads),
        lead_time_p90=percentile(leads, 0.9),
        by_webhook=by_webhook,
        by_poll=by_poll,
        pipelines=_by_pipeline(builds),
        weeks=_by_week(builds, releases, since, now),
    )


def rows_since(tenant: Tenant, since: datetime, choice: Choice = ALL) -> list[BuildRow]:
    """The chosen builds that were triggered since then, oldest first."""
    pipeline = "release_pipeline"
    before = Build.objects.filter(
        release_pipeline=OuterRef("release_pipeline"),
        candidate=OuterRef("candidate"),
        attempt__lt=OuterRef("attempt"),
    )
    values = (
        Build.objects.for_tenant(tenant)
        .filter(created_at__gte=since, **choice.conditions(f"{pipeline}__"))
        # The first attempt is none, and nearly all are first ones: nothing is looked up for them.
        .annotate(is_retry=Case(When(attempt=1, then=Value(False)), default=Exists(before)))
        .order_by("created_at", "pk")
        .values_list(
            "pk",
            f"{pipeline}_id",
            f"{pipeline}__pipeline_id",
            f"{pipeline}__platform",
            f"{pipeline}__release_id",
            f"{pipeline}__release__version",
            "attempt",
            "is_retry",
            "number",
            "status",
            "created_at",
            "started_at",
            "finished_at",
        )
    )
    return [BuildRow(*row) for row in values]


def figures(builds: Sequence[BuildRow]) -> Figures:
    durations = [b.duration for b in builds if b.is_success and b.duration is not None]
    ended = [b for b in builds if b.status in SERVER_RESULTS]
    return Figures(
        builds=len(builds),
        ended=len(ended),
        succeeded=sum(b.is_success for b in ended),
        retries=sum(b.is_retry for b in builds),
        duration=median(durations),
        duration_p90=percentile(durations, 0.9),
        queue=median([b.queue_time for b in builds if b.queue_time is not None]),
        recovery=median(_recoveries(builds)),
    )


def _recoveries(builds: Iterable[BuildRow]) -> list[timedelta]:
    """From the first failure of a pipeline in a release to its next success."""
    failed_at: dict[int, datetime] = {}
    found = []
    for build in builds:
        if build.finished_at is None:
            continue
        if build.status in FAILED and build.status != BuildStatus.CANCELLED:
            failed_at.setdefault(build.release_pipeline, build.finished_at)
        elif build.is_success and (since := failed_at.pop(build.release_pipeline, None)):
            found.append(max(build.finished_at - since, timedelta(0)))
    return found


def _releases(
    tenant: Tenant, since: datetime, builds: Iterable[BuildRow], choice: Choice
) -> list[tuple[datetime, timedelta | None]]:
    """When each release of the period was created, and its time until it was ready for the first
    time: a later candidate does not count."""
    built: dict[str, dict[int, list[BuildRow]]] = defaultdict(lambda: defaultdict(list))
    for build in builds:
        built[build.release][build.release_pipeline].append(build)
    rows = Release.objects.for_tenant(tenant).filter(created_at__gte=since).order_by("created_at")
    chosen = Q(**choice.conditions("pipelines__"))
    counted = rows.annotate(parts=Count("pipelines", filter=chosen)).filter(
        **({"parts__gt": 0} if choice.is_any else {})
    )
    found = []
    for pk, created, ready, parts in counted.values_list(
        "pk", "created_at", "completed_at", "parts"
    ):
        by_pipeline = list(built[pk].values())
        times = ready_times(by_pipeline) if len(by_pipeline) == parts else []
        whole = [ready] if ready and not choice.is_any else []
        first = min([*times, *whole], default=None)
        found.append((created, first - created if first and first >= created else None))
    return found


def _sources(tenant: Tenant, since: datetime, choice: Choice) -> tuple[int, int]:
    """The number of build results learned by webhook and by polling; the last event that changed
    the status counts, not one that confirmed it or filled in a value."""
    ends = (
        BuildEvent.objects.for_tenant(tenant)
        .filter(
            at__gte=since,
            applied=True,
            to_status__in=SERVER_RESULTS,
            **choice.conditions("build__release_pipeline__"),
        )
        .exclude(from_status=F("to_status"))
    )
    last = dict(ends.order_by("pk").values_list("build_id", "source"))
    sources = list(last.values())
    return sources.count(Source.WEBHOOK), sources.count(Source.POLL)


def _by_pipeline(builds: Iterable[BuildRow]) -> tuple[PipelineFigures, ...]:
    groups: dict[tuple[str, str], list[BuildRow]] = defaultdict(list)
    for build in builds:
        groups[build.platform, build.pipeline].append(build)
    names = pipeline_names({pipeline for _platform, pipeline in groups})
    return tuple(
        PipelineFigures(pipeline, names.get(pipeline, pipeline), platform, figures(rows))
        for (platform, pipeline), rows in sorted(groups.items(), reverse=True)
    )


def pipeline_names(ids: set[str]) -> dict[str, str]:
    return {pk: str(p) for pk, p in PipelineIntegration.objects.in_bulk(ids).items()}


def _by_week(
    builds: Iterable[BuildRow],
    releases: Iterable[tuple[datetime, timedelta | None]],
    since: datetime,
    now: datetime,
) -> tuple[Week, ...]:
    """Every week of the period, also those without builds; a week begins on Monday."""
    built: dict[date, list[BuildRow]] = defaultdict(list)
    leads: dict[date, list[timedelta]] = defaultdict(list)
    for build in builds:
        built[monday(build.created_at)].append(build)
    for created, lead in releases:
        if lead is not None:
            leads[monday(created)].append(lead)
    first, last = monday(since), monday(now)
    begins = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    return tuple(Week(b, figures(built[b]), median(leads[b])) for b in begins)


def monday(moment: datetime) -> date:
    day = timezone.localtime(moment).date()
    return day - timedelta(days=day.weekday())


def median(lengths: Sequence[timedelta]) -> timedelta | None:
    seconds = [length.total_seconds() for length in lengths]
    return timedelta(seconds=statistics.median(seconds)) if seconds else None


def percentile(lengths: Sequence[timedelta], share: float) -> timedelta | None:
    """Nearest rank: the smallest length that at least `share` of all lengths do not exceed."""
    if not lengths:
        return None
    return sorted(lengths)[max(math.ceil(share * len(lengths)) - 1, 0)]
