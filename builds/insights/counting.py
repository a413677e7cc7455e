"""Counts what was begun on given days, from the rows themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import F, Q
from django.utils.module_loading import import_string

from builds.insights.tallies import ALL, Choice, Tally, choices_of
from builds.models import SERVER_RESULTS, Build, BuildEvent, Source
from delivr.tenants.models import Tenant
from integrations.providers.ci import BuildStatus
from releases.models import FAILED, Release, ReleasePipeline
from releases.readiness import ready_times

Tallies = dict[tuple[date, Choice], Tally]
DAY = timedelta(days=1)


class BuildRow(NamedTuple):
    """The columns of a build that the figures need."""

    id: str
    release_pipeline: int
    pipeline: str
    platform: str
    release: str
    version: str
    attempt: int
    candidate: int
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


def build_rows(rows: Any) -> Any:
    """Builds as rows for `BuildRow`, oldest first."""
    part = "release_pipeline"
    return rows.order_by("created_at", "pk").values_list(
        "pk",
        f"{part}_id",
        f"{part}__pipeline_id",
        f"{part}__platform",
        f"{part}__release_id",
        f"{part}__release__version",
        "attempt",
        "candidate",
        "number",
        "status",
        "created_at",
        "started_at",
        "finished_at",
    )


class Part(NamedTuple):
    """A pipeline of a release."""

    id: int
    release: str
    platform: str
    pipeline: str


class StoreRow(NamedTuple):
    """A submission; `settings.INSIGHTS_OF_STORES` gives those of the days."""

    release: str
    platform: str
    created_at: datetime
    review: timedelta | None  # None: not reviewed
    rollout: timedelta | None  # from the first share of a staged roll-out to everybody
    is_rejected: bool


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def beginning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def within(days: Collection[date], column: str) -> Q:
    """A condition for moments on these days: one range for all days in a row."""
    found = Q(pk__in=[])
    ordered = sorted(days)
    first = None
    for n, day in enumerate(ordered):
        first = first or day
        if n + 1 == len(ordered) or ordered[n + 1] != day + DAY:
            bounds = {f"{column}__gte": beginning(first), f"{column}__lt": beginning(day + DAY)}
            found |= Q(**bounds)
            first = None
    return found


def count_days(tenant: Tenant | str, days: Collection[date]) -> Tallies:
    """What was begun on these days (UTC), by day and choice; in six queries, whatever there is."""
    return _Counting(tenant, set(days)).tallies if days else {}


@dataclass
class _Counting:
    tenant: Tenant | str
    days: set[date]
    tallies: Tallies = field(default_factory=lambda: defaultdict(Tally))

    def __post_init__(self) -> None:
        begun = Build.objects.for_tenant(self.tenant).filter(within(self.days, "created_at"))
        builds = [BuildRow(*row) for row in build_rows(begun)]
        releases = self._releases()
        stores: list[StoreRow] = import_string(settings.INSIGHTS_OF_STORES)(
            self.tenant, within(self.days, "created_at")
        )
        again = {build.release for build in builds if build.attempt > 1}
        wanted = {pk for pk, _created, _ready in releases} | again
        history = self._history(wanted)
        parts = self._parts(wanted | {row.release for row in stores})
        self._count_builds(builds, history)
        self._count_sources({build.id: build for build in builds})
        self._count_releases(releases, history, parts)
        self._count_stores(stores, parts)

    # --- Reading ----------------------------------------------------------------------------------

    def _releases(self) -> list[tuple[str, datetime, datetime | None]]:
        rows = Release.objects.for_tenant(self.tenant).filter(within(self.days, "created_at"))
        return list(rows.order_by().values_list("pk", "created_at", "completed_at"))

    def _history(self, releases: set[str]) -> dict[int, list[BuildRow]]:
        """All builds of the releases, by release pipeline; also those of other days."""
        found: dict[int, list[BuildRow]] = defaultdict(list)
        rows = Build.objects.for_tenant(self.tenant).filter(
            release_pipeline__release__in=["", *releases]  # "": a query even without any
        )
        for row in map(BuildRow._make, build_rows(rows)):
            found[row.release_pipeline].append(row)
        return found

    def _parts(self, releases: set[str]) -> dict[str, list[Part]]:
        found: dict[str, list[Part]] = defaultdict(list)
        rows = ReleasePipeline.objects.for_tenant(self.tenant).filter(release__in=["", *releases])
        for row in rows.order_by("pk").values_list("pk", "release_id", "platform", "pipeline_id"):
            found[row[1]].append(Part(*row))
        return found

    # --- Counting ---------------------------------------------------------------------------------

    def _of(self, moment: datetime, choices: Iterable[Choice]) -> Iterator[Tally]:
        return (self.tallies[day_of(moment), choice] for choice in choices)

    def _of_build(self, build: BuildRow) -> Iterator[Tally]:
        return self._of(build.created_at, choices_of(build.platform, build.pipeline))

    def _count_builds(self, builds: list[BuildRow], history: dict[int, list[BuildRow]]) -> None:
        retries = {row.id for rows in history.values() for row in _retries(rows)}
        for build in builds:
            for tally in self._of_build(build):
                tally.counts["builds"] += 1
                tally.counts["ended"] += build.status in SERVER_RESULTS
                tally.counts["succeeded"] += build.is_success
                tally.counts["retries"] += build.id in retries
                tally.add_length("queue", build.queue_time)
                if build.is_success:
                    tally.add_length("duration", build.duration)
        for rows in history.values():
            for build, length in _recoveries(rows):
                if day_of(build.created_at) in self.days:
                    for tally in self._of_build(build):
                        tally.add_length("recovery", length)

    def _count_sources(self, builds: dict[str, BuildRow]) -> None:
        """How the end of each build was learned: the last event that changed the status counts,
        not one that confirmed it or filled in a value."""
        ends = BuildEvent.objects.for_tenant(self.tenant).filter(
            within(self.days, "build__created_at"), applied=True, to_status__in=SERVER_RESULTS
        )
        news = ends.exclude(from_status=F("to_status")).order_by("pk")
        for build, source in dict(news.values_list("build_id", "source")).items():
            if source in (Source.WEBHOOK, Source.POLL) and build in builds:
                for tally in self._of_build(builds[build]):
                    tally.counts[source] += 1

    def _count_releases(
        self,
        releases: list[tuple[str, datetime, datetime | None]],
        history: dict[int, list[BuildRow]],
        parts: dict[str, list[Part]],
    ) -> None:
        """A release counts for a choice if it has a chosen pipeline, and is ready when the builds
        of its chosen pipelines had all succeeded."""
        for pk, created, completed in releases:
            chosen: dict[Choice, list[Part]] = {ALL: parts[pk]}
            for part in parts[pk]:
                for choice in choices_of(part.platform, part.pipeline) - {ALL}:
                    chosen.setdefault(choice, []).append(part)
            for choice, some in chosen.items():
                by_pipeline = [history[part.id] for part in some if part.id in history]
                times = ready_times(by_pipeline) if len(by_pipeline) == len(some) else []
                whole = [completed] if completed and choice == ALL else []
                self._count_release(created, choice, min([*times, *whole], default=None))

    def _count_release(self, created: datetime, choice: Choice, ready: datetime | None) -> None:
        for tally in self._of(created, [choice]):
            tally.counts["releases"] += 1
            if ready and ready >= created:
                tally.add_length("lead", ready - created)

    def _count_stores(self, rows: list[StoreRow], parts: dict[str, list[Part]]) -> None:
        """A submission belongs to the pipelines of its release that build for its platform."""
        for row in rows:
            choices = choices_of(row.platform, "")
            for part in parts[row.release]:
                if part.platform == row.platform:
                    choices |= choices_of(row.platform, part.pipeline)
            for tally in self._of(row.created_at, choices):
                tally.counts["submissions"] += 1
                tally.counts["reviewed"] += row.is_rejected or row.review is not None
                tally.counts["rejected"] += row.is_rejected
                tally.add_length("review", row.review)
                tally.add_length("rollout", row.rollout)


def _retries(builds: Iterable[BuildRow]) -> Iterator[BuildRow]:
    """Builds of one release pipeline that were not the first of their candidate."""
    seen: dict[int, int] = {}
    for build in sorted(builds, key=lambda row: row.attempt):
        if build.candidate in seen:
            yield build
        seen[build.candidate] = build.attempt


def _recoveries(builds: Iterable[BuildRow]) -> Iterator[tuple[BuildRow, timedelta]]:
    """From the first failure of a pipeline in a release to its next success, with that success."""
    failed_at = None
    for build in builds:
        if build.finished_at is None:
            continue
        if build.status in FAILED and build.status != BuildStatus.CANCELLED:
            failed_at = failed_at or build.finished_at
        elif build.is_success and failed_at:
            yield build, max(build.finished_at - failed_at, timedelta(0))
            failed_at = None
