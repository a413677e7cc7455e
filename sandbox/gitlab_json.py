"""GitLab's JSON of pipelines and jobs, and the logs of jobs.

https://docs.gitlab.com/api/pipelines/
https://docs.gitlab.com/api/jobs/
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.pipeline_jobs import Job, Pipeline
from sandbox.pipelines import KEEPS_FILES

DETAILS = {"success": "passed", "manual": "manual"}


def stamp(moment: float) -> str | None:
    """With milliseconds; None for a time that has not come."""
    if not moment:
        return None
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def pipeline_basics(pipeline: Pipeline, page: str) -> dict[str, Any]:
    """What a list tells. `page` is that of the project."""
    return {
        "id": pipeline.id,
        "iid": pipeline.iid,
        "project_id": pipeline.project,
        "sha": pipeline.sha,
        "ref": pipeline.ref,
        "status": pipeline.status,
        "source": pipeline.source,
        "created_at": stamp(pipeline.created_at),
        "updated_at": stamp(pipeline.updated_at),
        "web_url": f"{page}/-/pipelines/{pipeline.id}",
    }


def pipeline_json(pipeline: Pipeline, page: str, user: dict[str, Any]) -> dict[str, Any]:
    """Without its name, as in the answer to its creation."""
    has_ended = bool(pipeline.ended_at and pipeline.started_at)
    return {
        **pipeline_basics(pipeline, page),
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": None,
        "user": user,
        "started_at": stamp(pipeline.started_at),
        "finished_at": stamp(pipeline.ended_at),
        "committed_at": None,
        "duration": round(pipeline.ended_at - pipeline.started_at) if has_ended else None,
        "queued_duration": None,
        "coverage": None,
        "detailed_status": _detailed(pipeline),
        "archived": False,
    }


def _detailed(pipeline: Pipeline) -> dict[str, Any]:
    words = DETAILS.get(pipeline.status, pipeline.status)
    group = pipeline.status.replace("_", "-")
    if pipeline.status == "success" and any(job.status == "failed" for job in pipeline.now):
        words, group = "passed with warnings", "success-with-warnings"
    return {"icon": f"status_{group}", "text": words, "label": words, "group": group}


def job_json(
    pipeline: Pipeline, job: Job, page: str, *, now: float, user: dict[str, Any]
) -> dict[str, Any]:
    took = (job.ended_at or now) - job.started_at if job.started_at else None
    waited = (job.started_at or now) - job.queued_at if job.queued_at else None
    archive = {"file_type": "archive", "size": 48_234_112, "filename": "artifacts.zip"}
    has_files = job.status == "success" and "artifacts" in job.about
    ends = {"artifacts_expire_at": stamp(job.ended_at + KEEPS_FILES)} if has_files else {}
    return {
        "id": job.id,
        "name": job.name,
        "stage": job.stage,
        "status": job.status,
        "ref": pipeline.ref,
        "tag": False,
        "coverage": None,
        "allow_failure": job.may_fail,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.ended_at),
        "erased_at": None,
        "duration": took,
        "queued_duration": waited,
        "user": user,
        "pipeline": pipeline_basics(pipeline, page),
        "web_url": f"{page}/-/jobs/{job.id}",
        "project": {"ci_job_token_scope_enabled": False},
        "artifacts": [{**archive, "file_format": "zip"}] if has_files else [],
        "runner": {"id": 1, "description": "hosted"} if job.started_at else None,
        "tag_list": [],
        **ends,
        **({"failure_reason": job.reason} if job.reason else {}),
    }


def log_of(job: Job, variables: dict[str, Any]) -> str:
    """A job's log: with sections, colours and, as runners write them since version 17, times."""
    at = datetime.fromtimestamp(job.started_at, UTC)
    began, lines = int(job.started_at), ["\x1b[0;m$ make release\x1b[0;m"]
    lines += [f"{name}={value}" for name, value in variables.items()]
    lines += [f"Compiling module {n} of 40" for n in range(1, 41)]
    if job.status == "failed":
        lines += ["Sources/Checkout.swift:118:27: error: cannot find 'ShippingQuote' in scope"]
        lines += ["** ARCHIVE FAILED **", "\x1b[31;1mERROR: Job failed: exit status 65\x1b[0;m"]
    elif job.is_over:
        lines += ["** ARCHIVE SUCCEEDED **", "\x1b[32;1mJob succeeded\x1b[0;m"]
    section = "step_script"
    text = [f"section_start:{began}:{section}\r\x1b[0K", *lines]
    text.append(f"section_end:{began + 1}:{section}\r\x1b[0K")
    return "".join(f"{at:%Y-%m-%dT%H:%M:%S}.000000Z 00O {one}\n" for one in text)
