"""GitHub's JSON of runs, jobs and artifacts, for answers and for webhooks.

https://docs.github.com/en/rest/actions/workflow-runs
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.action_runs import Attempt, Run


def stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def actor_json(login: str, api: str) -> dict[str, Any]:
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {
        "login": login,
        "id": 4242,
        "node_id": "U_4242",
        "avatar_url": "",
        "url": f"{api}/users/{login}",
        "html_url": f"https://github.com/{login}",
        "type": kind,
        "site_admin": False,
    }


def run_json(run: Run, attempt: Attempt, *, api: str, web: str, workflow_id: int) -> dict[str, Any]:
    """`api`: the API's address; `web`: that of the pages in the browser."""
    url = f"{api}/repos/{run.repository}/actions/runs/{run.id}"
    before = f"{url}/attempts/{attempt.number - 1}" if attempt.number > 1 else None
    return {
        "id": run.id,
        "name": run.file.partition(".")[0],
        "node_id": f"WFR_{run.id}",
        "head_branch": run.branch,
        "head_sha": run.commit,
        "path": f".github/workflows/{run.file}",
        "display_title": run.title,
        "run_number": run.number,
        "event": run.event,
        "status": attempt.status,
        "conclusion": attempt.conclusion or None,
        "workflow_id": workflow_id,
        "check_suite_id": run.id + 1,
        "url": url,
        "html_url": f"{web}/{run.repository}/actions/runs/{run.id}",
        "pull_requests": [],
        "created_at": stamp(run.created_at),
        "updated_at": stamp(attempt.ended_at or attempt.started_at or attempt.created_at),
        "actor": actor_json(run.actor, api),
        "triggering_actor": actor_json(attempt.actor, api),
        "run_attempt": attempt.number,
        "run_started_at": stamp(attempt.started_at or attempt.created_at),
        "referenced_workflows": [],
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": before,
        "workflow_url": f"{api}/repos/{run.repository}/actions/workflows/{workflow_id}",
        "repository": {"id": 700001, "full_name": run.repository, "private": True},
    }


_STEPS = ("Set up job", "Check out", "Build", "Complete job")


def job_json(run: Run, attempt: Attempt, *, api: str, web: str) -> dict[str, Any]:
    job_id = run.job_id(attempt)
    url = f"{api}/repos/{run.repository}"
    status = "queued" if attempt.status == "pending" else attempt.status
    return {
        "id": job_id,
        "run_id": run.id,
        "run_url": f"{url}/actions/runs/{run.id}",
        "run_attempt": attempt.number,
        "node_id": f"CR_{job_id}",
        "head_sha": run.commit,
        "head_branch": run.branch,
        "workflow_name": run.file.partition(".")[0],
        "url": f"{url}/actions/jobs/{job_id}",
        "html_url": f"{web}/{run.repository}/actions/runs/{run.id}/job/{job_id}",
        "status": status,
        "conclusion": attempt.conclusion or None,
        "created_at": stamp(attempt.created_at),
        "started_at": stamp(attempt.started_at or attempt.created_at),
        "completed_at": stamp(attempt.ended_at) if attempt.is_over else None,
        "name": run.job,
        "steps": _steps(attempt),
        "check_run_url": f"{url}/check-runs/{job_id}",
        "labels": ["macos-latest"],
        "runner_id": 1 if attempt.started_at else None,
        "runner_name": "Hosted Agent" if attempt.started_at else None,
        "runner_group_id": None,
        "runner_group_name": None,
    }


def _steps(attempt: Attempt) -> list[dict[str, Any]]:
    if not attempt.is_over:
        return []
    ends = ["success", "success", attempt.conclusion, "success"]
    return [
        {"name": name, "status": "completed", "conclusion": end, "number": number}
        for number, (name, end) in enumerate(zip(_STEPS, ends, strict=True), start=1)
    ]


def mistake_in(run: Run) -> tuple[str, str, tuple[str, ...]]:
    """Why runs fail here: the file, the words, and the lines in the log."""
    words = "Unresolved reference 'ShippingQuote'."
    if "android" in run.job:
        file = "app/src/main/kotlin/shop/Checkout.kt"
        where = f"e: file:///home/runner/work/app/app/{file}:118:21"
        return file, words, (f"{where} {words}", "BUILD FAILED in 2m 41s")
    words, file = "cannot find 'ShippingQuote' in scope", "Sources/Checkout.swift"
    return file, words, (f"{file}:118:27: error: {words}", "** ARCHIVE FAILED **")


def log_of(run: Run, attempt: Attempt) -> str:
    """A job's log: each line with its time, and GitHub's marks."""
    lines = ["##[group]Run make release", "\x1b[36;1mmake release\x1b[0m", "##[endgroup]"]
    lines += [f"{name}={value}" for name, value in run.inputs.items()]
    lines += [f"Compiling module {n} of 40" for n in range(1, 41)]
    if attempt.conclusion == "failure":
        lines += [*mistake_in(run)[2], "##[error]Process completed with exit code 65."]
    elif attempt.conclusion == "cancelled":
        lines += ["##[error]The operation was canceled."]
    else:
        lines += ["** ARCHIVE SUCCEEDED **"]
    time = stamp(attempt.started_at or attempt.created_at).removesuffix("Z")
    return "".join(f"{time}.0000000Z {line}\n" for line in lines)
