"""Why a pipeline failed: its failed jobs, also downstream, and the end of one job's log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..base import ProviderError
from ..ci import LogTail
from ..http import vendor_words
from ..json_values import whole
from .client import PipelineProject
from .pipelines import Pipelines
from .reading import Job
from .reasons import why_failed

TAIL = 256 * 1024  # bytes
MOST_JOBS = 3  # that are told of
DEEPEST = 2  # downstream pipelines below one another
# Runners write the time and the stream before each line, where they are not told otherwise.
# https://docs.gitlab.com/ci/jobs/job_logs/#job-log-timestamps
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \d\d[OE][+ ]?", re.MULTILINE)
# https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
_SECTION = re.compile(r"section_(?:start|end):\d+:[^\r\n]*\r?(?:\x1b\[0K)?")


@dataclass(frozen=True)
class Failed:
    """A failed job of a project, and the names of the bridges that led to it."""

    job: Job
    project: PipelineProject
    below: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        name, stage = _words(self.job.name), _words(self.job.stage)
        verb = "was canceled" if self.job.status == "canceled" else "failed"
        where = f" in the pipeline that “{_words(self.below[-1])}” started" if self.below else ""
        return f"Job “{name}” (stage {stage}){where} {verb}{why_failed(self.job)}."


def read_failure(project: PipelineProject, jobs: Sequence[Job]) -> LogTail:
    """`jobs` are those of an attempt. Raises ProviderError `log_gone` where there is nothing to
    read."""
    found = _failed(jobs, project)
    if not found:
        raise ProviderError.refused(
            "log_gone",
            "GitLab shows no job of this pipeline that failed.",
            "Open the pipeline in GitLab: a mistake in the CI file is shown there.",
        )
    found.sort(key=lambda one: (one.job.status != "failed", one.job.id))
    headlines = tuple(one.headline for one in found[:MOST_JOBS])
    return LogTail(text=_log(found[0]), headlines=headlines, is_final=True)


def _failed(
    jobs: Sequence[Job], project: PipelineProject, below: tuple[str, ...] = ()
) -> list[Failed]:
    """In the place of a bridge the jobs that failed downstream, as far as they can be read."""
    bad = [job for job in jobs if job.status in ("failed", "canceled") and not job.is_optional]
    found: list[Failed] = []
    for job in bad:
        downstream = _downstream(job, project, below) if len(below) < DEEPEST else []
        found += downstream or [Failed(job, project, below)]
    return found


def _downstream(job: Job, project: PipelineProject, below: tuple[str, ...]) -> list[Failed]:
    about = job.downstream or {}
    number, other = whole(about.get("id")), whole(about.get("project_id"))
    if number is None:
        return []
    there = replace(project, path=str(other)) if other else project
    try:
        jobs = Pipelines(there).jobs(number)
    except ProviderError:
        return []
    return _failed(jobs, there, (*below, job.name))


def _log(failed: Failed) -> str:
    """ "" if it is gone: the job is known all the same."""
    if failed.job.downstream is not None or failed.job.started_at is None:
        return ""
    try:
        raw = failed.project.end_of(f"/jobs/{failed.job.id}/trace", TAIL)
    except ProviderError:
        return ""
    text = raw.decode("utf-8", "replace")
    if len(raw) >= TAIL:
        text = text.partition("\n")[2]
    return _SECTION.sub("", _STAMP.sub("", text))


def _words(text: str) -> str:
    return vendor_words(text, secrets=())
