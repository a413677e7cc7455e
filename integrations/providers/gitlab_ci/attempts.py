"""The attempts of a pipeline. GitLab has none: a retry goes on with the same pipeline, whose status
and end it overwrites. They are read off its jobs, of which it keeps those that were retried.

A pipeline's jobs are created before it starts, so one that was created after that, or after another
had ended, is a retry. It begins an attempt if nothing ran any more by then; else it belongs to the
attempt that goes on, as do the retries that GitLab itself makes by the keyword `retry`, at once
when a job fails.
https://docs.gitlab.com/ci/yaml/#retry
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..ci import BuildStatus
from .reading import Job

AT_ONCE = timedelta(seconds=2)
IDLE = ("created", "manual", "scheduled", "skipped")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """`jobs` are the newest of each name. `began_at` is None for the first one; `ended_by` is the
    job that began the next one, None for the last one."""

    number: int
    jobs: Sequence[Job]
    began_at: datetime | None = None
    began_by: str = ""
    ended_by: Job | None = None

    @property
    def verdict(self) -> BuildStatus:
        """How one that is over ended. A bridge that was retried is not listed any more, so where no
        job failed, and a bridge began the next attempt, it was the one that failed."""
        bad = [job for job in self.jobs if not job.is_optional]
        if any(job.has_failed for job in bad):
            return BuildStatus.FAILURE
        if any(job.status == "canceled" for job in self.jobs):
            return BuildStatus.ABORTED
        was_bridge = self.ended_by is not None and self.ended_by.downstream is not None
        return BuildStatus.FAILURE if was_bridge else BuildStatus.SUCCESS

    @property
    def finished_at(self) -> datetime | None:
        return max((job.finished_at for job in self.jobs if job.finished_at), default=None)


def attempts_of(listed: Sequence[Job], started_at: datetime | None) -> list[Attempt]:
    """The oldest first. `listed` are all jobs and bridges, with those that were retried, of a
    pipeline that started at `started_at`."""
    jobs = sorted(listed, key=lambda job: job.id)
    begins = list(_begins(jobs, started_at))
    starts: list[Job | None] = [None, *begins]
    ends: list[Job | None] = [*begins, None]
    return [
        Attempt(
            number=number,
            jobs=_known_by(jobs, end),
            began_at=start.created_at if start else None,
            began_by=start.user if start else "",
            ended_by=end,
        )
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), start=1)
    ]


def _begins(jobs: Sequence[Job], started_at: datetime | None) -> Iterator[Job]:
    retries = _retries(jobs, started_at)
    busy = [
        (since, job.id, job.finished_at) for job in jobs if (since := _busy_since(job, retries))
    ]
    for job in jobs:
        now, number = job.created_at, job.id
        if number in retries and not any(
            (since, other) < (now, number) and (end is None or end + AT_ONCE > now)
            for since, other, end in busy
        ):
            yield job


def _retries(jobs: Sequence[Job], started_at: datetime | None) -> set[int]:
    found: set[int] = set()
    first_end: datetime | None = None
    for job in jobs:
        is_late = started_at is not None and started_at < job.created_at
        if is_late or (first_end is not None and first_end <= job.created_at):
            found.add(job.id)
        if job.finished_at and (first_end is None or job.finished_at < first_end):
            first_end = job.finished_at
    return found


def _busy_since(job: Job, retries: set[int]) -> datetime | None:
    """When it began to wait for a runner, until its end; None if it never did."""
    if job.started_at is None and job.status in IDLE:
        return None
    if job.id in retries or job.started_at is None:
        return job.created_at
    return job.started_at - (job.queued_for or timedelta(0))


def _known_by(jobs: Sequence[Job], end: Job | None) -> list[Job]:
    """The newest job of each name. Of those that had ended before `end` began another attempt, or
    had not come up by then."""
    known = jobs if end is None else [job for job in jobs if _is_before(job, end.created_at)]
    return list({job.name: job for job in known}.values())


def _is_before(job: Job, now: datetime) -> bool:
    return job.created_at < now and (job.finished_at is None or job.finished_at <= now)
