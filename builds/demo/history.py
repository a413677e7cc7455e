"""Past releases for the demo workspace: built by the sandbox, then backdated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from builds.cancelling import cancel_release
from builds.models import Build, BuildEvent, WebhookDelivery
from builds.triggering import trigger_builds
from delivr import outbound
from delivr.effects.models import Effect
from delivr.tenants.models import Tenant, User
from integrations.choices import Platform
from integrations.demo import sandbox_job
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildStatus
from releases.models import Release, ReleasePipeline

TIMEOUT = 60.0  # seconds that the running sweeper has for each step


@dataclass(frozen=True)
class PastRelease:
    """A past release, with the results of its builds by attempt."""

    version: str
    days_ago: int
    results: tuple[str, ...]  # of the iOS pipeline; Android succeeds at once
    minutes: int  # duration of each build
    is_cancelled: bool = False
    is_released: bool = True  # if it succeeded; else only submitted


PAST_RELEASES = (  # the oldest first
    PastRelease("1.3.0", 52, ("SUCCESS",), 19),
    PastRelease("1.3.1", 45, ("FAILURE", "SUCCESS"), 22),
    PastRelease("1.4.0", 31, ("SUCCESS",), 24),
    PastRelease("1.4.1", 24, ("FAILURE",), 21, is_cancelled=True),
    PastRelease("1.4.2", 17, ("UNSTABLE", "FAILURE", "SUCCESS"), 26),
    PastRelease("1.4.3", 10, ("SUCCESS",), 23, is_released=False),
    PastRelease("1.4.4", 2, ("FAILURE",), 20),
)


def ensure_history(
    tenant: Tenant,
    actor: User,
    create: Callable[[Tenant, str], Release],
    say: Callable[[str], None],
) -> list[Release]:
    """Create those of `PAST_RELEASES` that are missing. Needs a running sweeper (`make run`).

    They are triggered one after the other, the oldest first. `say` is told what goes on.
    """
    known = set(Release.objects.for_tenant(tenant).values_list("version", flat=True))
    made: dict[PastRelease, Release] = {}
    with outbound.session() as session, _no_quiet_period(session, tenant):
        builds = _Builds(session, actor)
        for past in (past for past in PAST_RELEASES if past.version not in known):
            say(f"Building {past.version}")
            made[past] = create(tenant, past.version)
            for result in past.results:
                builds.add(made[past], result)
        builds.wait_until(lambda: not _moving(made.values()).exists())
    for past, release in made.items():
        if past.is_cancelled:
            cancel_release(release=release, actor=actor)
    say("Messages, epics and logs")
    ids = [release.pk for release in made.values()]
    _wait_until(lambda: not Effect.objects.open().filter(release_id__in=ids).exists())
    rows = Build.objects.filter(release_pipeline__release__in=ids)
    _wait_until(lambda: not rows.exclude(log_at=None).exists())
    for past, release in made.items():
        date_back(release, past)
    return list(made.values())


@contextmanager
def _no_quiet_period(session: Any, tenant: Tenant) -> Iterator[None]:
    """Meanwhile the sandbox's jobs that wait before they start do not."""
    pipelines = PipelineIntegration.objects.for_tenant(tenant)
    jobs = [sandbox_job(pipeline, pipeline.job) for pipeline in pipelines]
    found = {job: session.get(job).json().get("quietPeriod") for job in jobs}
    periods = {job: period for job, period in found.items() if period}
    _set_quiet_periods(session, dict.fromkeys(periods, 0.0))
    try:
        yield
    finally:
        _set_quiet_periods(session, periods)


def _set_quiet_periods(session: Any, periods: Mapping[str, float]) -> None:
    for job, period in periods.items():
        session.post(job, json={"quietPeriod": period}).raise_for_status()


@dataclass
class _Builds:
    """Has the sandbox build one release after the other. `results` are those that iOS builds in
    progress end with, by their ids; all others succeed."""

    session: Any
    actor: User
    results: dict[str, str] = field(default_factory=dict)

    def add(self, release: Release, result: str) -> None:
        """One attempt of each build that is needed. Waits until the CI servers have queued them,
        so that older builds have lower numbers, and not for their end."""
        self.wait_until(lambda: not _moving([release]).exists())
        ids = [build.pk for build in trigger_builds(release=release, actor=self.actor)]
        self.results |= dict.fromkeys(ids, result)
        sending = Build.objects.filter(pk__in=ids, status=BuildStatus.TRIGGERING)
        self.wait_until(lambda: not sending.exists())

    def wait_until(self, condition: Callable[[], bool]) -> None:
        def is_met() -> bool:
            self._finish_running()
            return condition()

        _wait_until(is_met)

    def _finish_running(self) -> None:
        running = Build.objects.filter(
            pk__in=self.results, status=BuildStatus.RUNNING, number__isnull=False
        )
        for build in running.select_related("release_pipeline__pipeline"):
            part, result = build.release_pipeline, self.results.pop(build.pk)
            job = sandbox_job(part.pipeline, part.job_path)
            ended = result if part.platform == Platform.IOS else BuildStatus.SUCCESS
            address = f"{job}/builds/{build.number}/finish"
            self.session.post(address, json={"result": ended}).raise_for_status()


def _moving(releases: Iterable[Release]) -> Any:
    return Build.objects.moving().filter(release_pipeline__release__in=releases)


def _wait_until(condition: Callable[[], bool]) -> None:
    """Wait until other processes made the condition true. Raises TimeoutError."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("Nothing moves: is `make run` still running?")
        time.sleep(0.05)


def date_back(release: Release, past: PastRelease) -> None:
    """Move the release into the past, and give its builds realistic durations."""
    ago = timedelta(days=past.days_ago)
    row = Release.objects.filter(pk=release.pk)
    _shift(row, ("created_at", "updated_at", "branch_checked_at"), ago)
    for pipeline in ReleasePipeline.objects.filter(release=release):
        _spread(pipeline.builds.order_by("attempt"), ago, past.minutes)
    builds = Build.objects.filter(release_pipeline__release=release)
    last = max((b.finished_at for b in builds if b.finished_at), default=None)
    if last is not None:
        _mark(release, past, last)
    _shift(Effect.objects.filter(release_id=release.pk), ("created_at", "done_at"), ago)


def _mark(release: Release, past: PastRelease, built_at: datetime) -> None:
    rows = Release.objects.filter(pk=release.pk, completed_at__isnull=False)
    rows.update(
        completed_at=built_at,
        submitted_at=built_at + timedelta(hours=2),
        submitted_by=release.created_by,
    )
    if past.is_released:
        rows.update(released_at=built_at + timedelta(days=1), released_by=release.created_by)


def _spread(builds: Iterable[Build], ago: timedelta, minutes: int) -> None:
    for number, build in enumerate(builds):
        begin = build.created_at - ago + timedelta(minutes=number * (minutes + 15))
        started = begin + timedelta(minutes=1 + number)
        Build.objects.filter(pk=build.pk).update(
            created_at=begin,
            started_at=started,
            finished_at=started + timedelta(minutes=minutes),
            # A poll that confirms the end must not bring the sandbox's times back.
            server_started_at=started,
            poll_at=None,
        )
        moved = build.created_at - begin
        _shift(BuildEvent.objects.filter(build=build), ("at",), moved)
        received = WebhookDelivery.objects.filter(build=build)
        _shift(received, ("received_at", "settled_at", "confirmed_at"), moved)


def _shift(rows: Any, names: tuple[str, ...], ago: timedelta) -> None:
    rows.update(**{name: F(name) - ago for name in names})
