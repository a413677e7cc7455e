"""Pipelines and their jobs, as GitLab's JSON tells of them, in our words.

https://docs.gitlab.com/api/pipelines/
https://docs.gitlab.com/api/jobs/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..ci import Artifact, BuildStatus
from ..http import dicts, garbage
from ..json_values import build_id_in, line, moment, whole

LABEL = "GitLab CI"
KEPT_ARTIFACTS = 20
API = "api"  # the source of what delivr starts
# Of pipelines that somebody wanted, not of those that come with a push or a merge request:
# https://docs.gitlab.com/ci/jobs/job_rules/#ci_pipeline_source-predefined-variable
FROM_OUTSIDE = (API, "web", "trigger")

# `manual`: it goes on when a person starts a job. `scheduled`: when a time has come.
_QUEUED = {"created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending"}
_ENDS = {
    "success": BuildStatus.SUCCESS,
    "failed": BuildStatus.FAILURE,
    "canceled": BuildStatus.ABORTED,
    "skipped": BuildStatus.FAILURE,
}
WORDS = {
    "skipped": "All of its jobs were skipped: their rules were not met.",
}


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """`status` is GitLab's word; `source` who or what started it."""

    id: int
    status: str
    source: str
    name: str
    ref: str
    commit: str
    user: str
    has_warnings: bool
    mistake: str  # in the CI file, in GitLab's words
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def build_id(self) -> str:
        """The id of delivr in the pipeline's name, "" without one."""
        return build_id_in(self.name)

    @property
    def is_over(self) -> bool:
        return self.status in _ENDS

    @property
    def state(self) -> BuildStatus:
        """An unknown word counts as running, and so does what waits between two of its jobs."""
        if self.status in _QUEUED or self.status == "scheduled":
            return BuildStatus.RUNNING if self.started_at else BuildStatus.QUEUED
        return BuildStatus.WAITING if self.status == "manual" else end_of(self.status)


@dataclass(frozen=True)
class Archive:
    name: str
    size: int | None
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job, or a bridge, which starts a downstream pipeline. `queued_for`: how long it waited for
    a runner, or has waited until now."""

    id: int
    name: str
    stage: str
    status: str
    reason: str  # of its failure, one of GitLab's words
    is_optional: bool  # it may fail
    user: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queued_for: timedelta | None
    archives: Sequence[Archive] = ()
    downstream: Mapping[str, Any] | None = None

    @property
    def child(self) -> int | None:
        """The id of its child pipeline, which is one of the same project."""
        about = self.downstream or {}
        is_child = about.get("source") == "parent_pipeline"
        return whole(about.get("id")) if is_child else None

    @property
    def has_failed(self) -> bool:
        return self.status == "failed"


def end_of(status: str) -> BuildStatus:
    return _ENDS.get(status, BuildStatus.RUNNING)


def external_id(pipeline: int, attempt: int) -> str:
    """A retry keeps the pipeline's id, and is another build to us."""
    return f"{pipeline}/{attempt}"


def pipeline_and_attempt(name: str) -> tuple[int, int]:
    pipeline, _slash, attempt = name.partition("/")
    return int(pipeline), int(attempt or 1)


def read_pipeline(data: object) -> Pipeline:
    """Raises ProviderError (`garbage`) for anything that is no pipeline."""
    facts = data if isinstance(data, dict) else {}
    pipeline_id, status = whole(facts.get("id")), facts.get("status")
    if pipeline_id is None or not isinstance(status, str):
        raise garbage(LABEL)
    detail = facts.get("detailed_status")
    group = detail.get("group") if isinstance(detail, dict) else ""
    return Pipeline(
        id=pipeline_id,
        status=status,
        source=line(facts.get("source")),
        name=line(facts.get("name")),
        ref=line(facts.get("ref")),
        commit=line(facts.get("sha")),
        user=username_of(facts.get("user")),
        has_warnings=isinstance(group, str) and "warning" in group,
        mistake=line(facts.get("yaml_errors")),
        created_at=moment(facts.get("created_at")),
        started_at=moment(facts.get("started_at")),
        finished_at=moment(facts.get("finished_at")),
    )


def read_jobs(data: object) -> list[Job]:
    """Those that can be read."""
    return [job for item in dicts(data) if (job := _job(item)) is not None]


def _job(item: Mapping[str, Any]) -> Job | None:
    job_id, created = whole(item.get("id")), moment(item.get("created_at"))
    if job_id is None or created is None:
        return None
    downstream = item.get("downstream_pipeline")
    return Job(
        id=job_id,
        name=line(item.get("name")),
        stage=line(item.get("stage")),
        status=line(item.get("status")),
        reason=line(item.get("failure_reason")),
        is_optional=item.get("allow_failure") is True,
        user=username_of(item.get("user")),
        created_at=created,
        started_at=moment(item.get("started_at")),
        finished_at=moment(item.get("finished_at")),
        queued_for=_seconds(item.get("queued_duration")),
        archives=tuple(_archives(item)),
        downstream=downstream if isinstance(downstream, dict) else None,
    )


def _archives(item: Mapping[str, Any]) -> Iterator[Archive]:
    """What a job kept: GitLab's API does not tell what is in it."""
    for one in dicts(item.get("artifacts")):
        if one.get("file_type") == "archive":
            name = line(one.get("filename")) or "artifacts.zip"
            yield Archive(name, whole(one.get("size")), moment(item.get("artifacts_expire_at")))


_BROWSE = re.compile(r"/-/jobs/(\d{1,18})/artifacts/browse$")


def job_of_artifact(url: str) -> int | None:
    """The id of the job in the address of its artifacts; None for any other address."""
    found = _BROWSE.search(url)
    return int(found[1]) if found else None


_APP = re.compile(r"ipa|aab|apk|ios|android|app|build|release", re.IGNORECASE)
_HELP = re.compile(r"log|dsym|mapping|report|test|lint|coverage", re.IGNORECASE)


def artifacts_of(jobs: Iterable[Job], page: str) -> list[Artifact]:
    """An app first. `page` is that of the project."""
    found = [
        Artifact(
            name=f"{job.name} ({archive.name})",
            url=f"{page}/-/jobs/{job.id}/artifacts/browse",
            size=archive.size,
            expires_at=archive.expires_at,
        )
        for job in jobs
        for archive in job.archives
    ]
    found.sort(key=lambda a: (bool(_HELP.search(a.name)), not _APP.search(a.name), a.name))
    return found[:KEPT_ARTIFACTS]


def username_of(user: object) -> str:
    return line(user.get("username")) if isinstance(user, dict) else ""


def _seconds(value: object) -> timedelta | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return timedelta(seconds=value) if is_number and 0 <= value < 10**8 else None  # type: ignore[operator,arg-type]
