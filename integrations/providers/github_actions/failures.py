"""Why a run failed: its failed jobs and steps, their annotations, and the end of one job's log.

https://docs.github.com/en/rest/actions/workflow-jobs
https://docs.github.com/en/rest/checks/runs#list-check-run-annotations
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..base import Outcome, ProviderError
from ..ci import BuildHandle, LogTail
from ..http import objects, vendor_words
from .reading import LABEL, run_and_attempt

if TYPE_CHECKING:
    from .client import ActionsClient

TAIL = 256 * 1024  # bytes
MOST_JOBS = 3  # that are named
MOST_NOTES = 5
_BAD = ("failure", "timed_out", "cancelled", "startup_failure", "action_required")
_EXIT_CODE = re.compile(r"Process completed with exit code")  # every failed step has this note
_CHECK = re.compile(r"/check-runs/(\d{1,20})")
_STAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", re.MULTILINE)
_MARK = re.compile(r"^##\[(error|warning|group|endgroup|section|command|debug)\]", re.MULTILINE)
_SHOWN_MARKS = {"error": "error: "}


def read_failure(client: ActionsClient, repository: str, handle: BuildHandle) -> LogTail:
    """Raises ProviderError `log_gone` if there is nothing to read: a run that could not start has
    no jobs."""
    run, attempt = run_and_attempt(handle.external_id)
    path = f"/repos/{repository}/actions"
    data = client.or_none(f"{path}/runs/{run}/attempts/{attempt}/jobs", per_page=100)
    listed = data.get("jobs") if isinstance(data, dict) else []
    jobs = [job for job in objects(listed, LABEL) if job.get("conclusion") in _BAD]
    if not jobs:
        raise ProviderError(
            "log_gone",
            "GitHub shows no failed job in this run.",
            "Open the run on GitHub. It shows whether the workflow file has an error.",
            outcome=Outcome.REFUSED,
        )
    jobs.sort(key=lambda job: _BAD.index(job["conclusion"]))
    headlines = [_headline(job) for job in jobs[:MOST_JOBS]]
    headlines += list(_notes(client, repository, jobs[0]))
    return LogTail(text=_log(client, path, jobs[0]), headlines=tuple(headlines), is_final=True)


def _headline(job: dict[str, Any]) -> str:
    name = vendor_words(job.get("name"), secrets=())
    steps = job.get("steps")
    failed = [s for s in steps or [] if isinstance(s, dict) and s.get("conclusion") in _BAD]
    verb = {"cancelled": "was cancelled", "timed_out": "timed out"}.get(job["conclusion"], "failed")
    step = vendor_words(failed[0].get("name"), secrets=()) if failed else ""
    return f"Job “{name}” {verb} at step “{step}”." if step else f"Job “{name}” {verb}."


def _notes(client: ActionsClient, repository: str, job: dict[str, Any]) -> Iterator[str]:
    """Annotations, best effort. Only the number in the response's address is used."""
    check = _CHECK.search(urlsplit(str(job.get("check_run_url") or "")).path)
    if check is None:
        return
    try:
        path = f"/repos/{repository}/check-runs/{check[1]}/annotations"
        notes = objects(client.get(path, per_page=30).data, LABEL)
    except ProviderError:
        return
    bad = [
        note
        for note in notes
        if note.get("annotation_level") == "failure"
        and not _EXIT_CODE.match(str(note.get("message")))
    ]
    yield from (_note(client, note) for note in bad[:MOST_NOTES])


def _note(client: ActionsClient, note: dict[str, Any]) -> str:
    place, line = client.words(note.get("path")), note.get("start_line")
    message = client.words(note.get("message"))
    is_place = place not in ("", ".github") and isinstance(line, int)
    return f"{place}:{line}: {message}" if is_place else message


def _log(client: ActionsClient, path: str, job: dict[str, Any]) -> str:
    """ "" if it is gone; the job and the step are known anyway."""
    try:
        raw = client.end_of(f"{path}/jobs/{int(job['id'])}/logs", TAIL)
    except (ProviderError, KeyError, TypeError, ValueError):
        return ""
    text = raw.decode("utf-8", "replace")
    if len(raw) >= TAIL:
        text = text.partition("\n")[2]
    return _MARK.sub(lambda mark: _SHOWN_MARKS.get(mark[1], ""), _STAMP.sub("", text))
