"""Events of runs and jobs: each only says which run to poll. Events arrive in any order, and
their `status` may be from another moment (`completed` with "queued", `requested` with "completed").

https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run
https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ci import BuildReport, BuildStatus
from ..incoming import json_object, number, object_in
from ..json_values import build_id_in
from .paths import file_of
from .reading import external_id, status_of

DISPATCH = "workflow_dispatch"


def parse(body: bytes, event: str) -> BuildReport:
    """Raises ValueError with a sentence for people if the body is unreadable."""
    document = json_object(body)
    if event == "workflow_run":
        return _of_run(document)
    if event == "workflow_job":
        return _of_job(document)
    if event == "ping":
        return _nothing("This is GitHub's ping: the webhook works.")
    if not event:
        return _nothing("GitHub did not name the event.")
    return _nothing(f"The event {event} says nothing about a run.")


def _nothing(note: str) -> BuildReport:
    return BuildReport(status=None, note=note)


def _of_run(document: Mapping[str, Any]) -> BuildReport:
    run = object_in(document, "workflow_run")
    if run.get("event") not in (None, DISPATCH):
        return _nothing("This run was not started by workflow_dispatch, so it is not ours.")
    return BuildReport(
        status=_end(document, run),
        asks=True,
        external_id=_external_id(number(run, "id"), run),
        build_id=_build_id(run),
        job_path=file_of(run.get("path")),
        branch=_branch(run),
    )


def _of_job(document: Mapping[str, Any]) -> BuildReport:
    """A job does not say that its run has ended: other jobs may follow."""
    job = object_in(document, "workflow_job")
    run = number(job, "run_id")
    name = _external_id(run, job)
    return BuildReport(status=None, asks=True, external_id=name, branch=_branch(job))


def _branch(about: Mapping[str, Any]) -> str:
    name = about.get("head_branch")
    return name if isinstance(name, str) else ""


def _external_id(run: int | None, about: Mapping[str, Any]) -> str:
    if run is None:
        raise ValueError("The event does not name a run.")
    return external_id(run, number(about, "run_attempt") or 1)


def _end(document: Mapping[str, Any], run: Mapping[str, Any]) -> BuildStatus | None:
    """The result it claims; the run is then polled repeatedly until GitHub shows its end."""
    conclusion = run.get("conclusion")
    if document.get("action") != "completed" or not isinstance(conclusion, str):
        return None
    status = status_of("completed", conclusion)
    return None if status is BuildStatus.WAITING else status


def _build_id(run: Mapping[str, Any]) -> str:
    return build_id_in(run.get("display_title")) or build_id_in(run.get("name"))
