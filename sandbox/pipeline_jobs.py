"""The data classes of GitLab CI in the stand-in: pipelines and their jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OVER = ("success", "failed", "canceled", "skipped")


@dataclass
class Job:
    id: int
    name: str
    stage: str
    about: dict[str, Any]  # as the CI file has it
    user: str
    created_at: float
    status: str = "created"
    queued_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    reason: str = ""
    downstream: int | None = None

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_bridge(self) -> bool:
        return "trigger" in self.about

    @property
    def may_fail(self) -> bool:
        return bool(self.about.get("allow_failure", self.about.get("when") == "manual"))

    @property
    def is_good(self) -> bool:
        """What comes after it may start."""
        optional = self.status in ("failed", "manual") and self.may_fail
        return self.status in ("success", "skipped") or optional


@dataclass
class Pipeline:
    id: int
    iid: int
    project: int
    ref: str
    sha: str
    source: str
    user: str
    name: str
    variables: dict[str, str]
    inputs: dict[str, Any]
    created_at: float
    stages: list[str]
    jobs: list[Job] = field(default_factory=list)
    status: str = "created"
    started_at: float = 0.0
    ended_at: float = 0.0
    updated_at: float = 0.0
    upstream: int | None = None
    is_stubborn: bool = False  # its jobs go on for a while when they are canceled

    @property
    def now(self) -> list[Job]:
        """The newest job of each name: GitLab calls the others retried."""
        return list({job.name: job for job in self.jobs}.values())

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def build_id(self) -> str:
        ours = self.variables.get("DELIVR_BUILD_ID") or self.inputs.get("delivr_build_id")
        return str(ours or "")


def rests(pipeline: Pipeline) -> bool:
    """Nothing in it moves by itself."""
    return pipeline.is_over and all(j.is_over or j.status == "manual" for j in pipeline.now)


def status_of(jobs: list[Job]) -> str:
    """https://docs.gitlab.com/ci/pipelines/ -- a pipeline's status follows from its jobs'."""
    counted = [job for job in jobs if not (job.status == "manual" and job.may_fail)]
    found = {job.status for job in counted if not (job.status == "failed" and job.may_fail)}
    for status in ("canceling", "running", "waiting_for_resource", "pending"):
        if status in found:
            return status
    if "manual" in found or "scheduled" in found:
        return "manual" if "manual" in found else "scheduled"
    if "created" in found:
        return "created"
    for status in ("failed", "canceled"):
        if status in found:
            return status
    return "skipped" if jobs and found == {"skipped"} else "success"
