"""Runs of GitHub Actions: read, stopped, run again, approved.

https://docs.github.com/en/rest/actions/workflow-runs
"""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify, request

from sandbox.action_runs import Attempt, Run
from sandbox.actions import REVIEWER, Refused
from sandbox.context import own_url
from sandbox.github_json import job_json, run_json, stamp
from sandbox.providers import github
from sandbox.providers.github_workflows import (
    NEW_API,
    actions,
    is_enterprise,
    may_write,
    not_found,
    repository_of,
    workflow_of,
)

MOST_LISTED = 1000
FILTERS = ("actor", "branch", "created", "event", "head_sha", "status")


def _json(run: Run, attempt: Attempt | None = None) -> dict[str, Any]:
    return run_json(
        run,
        attempt or run.last,
        api=github.api("").rstrip("/"),
        web=own_url("").rstrip("/"),
        workflow_id=actions().workflows[run.file].id,
    )


def run_of(owner: str, name: str, run_id: int) -> Run:
    repo = repository_of(owner, name)
    found = actions().run(run_id)
    if found is None or found.repository != repo.full_name:
        not_found()
    return found


def workflow_runs(owner: str, name: str, wanted: str) -> Response:
    found = workflow_of(repository_of(owner, name), wanted)
    return _listed(actions().newest(found.file))


def all_runs(owner: str, name: str) -> Response:
    repo = repository_of(owner, name)
    return _listed([run for run in reversed(actions().runs) if run.repository == repo.full_name])


def _listed(runs: list[Run]) -> Response:
    """Filtered, at most 1,000 of them, one page."""
    if request.args.get("status") == "startup_failure":
        github.refuse(422, "Validation Failed")
    found = [run for run in runs if _fits(run)]
    if any(name in request.args for name in FILTERS):
        found = found[:MOST_LISTED]
    size = min(max(request.args.get("per_page", 30, type=int), 1), 100)
    page = max(request.args.get("page", 1, type=int), 1)
    shown = found[(page - 1) * size : page * size]
    answer = jsonify({"total_count": len(found), "workflow_runs": [_json(run) for run in shown]})
    if page * size < len(found):
        given = {**request.args.to_dict(), "page": str(page + 1)}
        query = "&".join(f"{name}={value}" for name, value in given.items())
        answer.headers["Link"] = f'<{request.base_url}?{query}>; rel="next"'
    return answer


def _fits(run: Run) -> bool:
    wanted = request.args
    created = wanted.get("created", "")
    return (
        wanted.get("event", run.event) == run.event
        and wanted.get("branch", run.branch) == run.branch
        and wanted.get("actor", run.actor) == run.actor
        and wanted.get("head_sha", run.commit) == run.commit
        and wanted.get("status", run.last.status) in (run.last.status, run.last.conclusion)
        and (not created.startswith(">=") or stamp(run.created_at) >= created.removeprefix(">="))
    )


def one_run(owner: str, name: str, run_id: int) -> Response:
    return jsonify(_json(run_of(owner, name, run_id)))


def attempt_of(run: Run, number: int) -> Attempt:
    found = run.attempt(number)
    if found is None:
        not_found()
    return found


def one_attempt(owner: str, name: str, run_id: int, number: int) -> Response:
    run = run_of(owner, name, run_id)
    return jsonify(_json(run, attempt_of(run, number)))


def jobs_of_attempt(owner: str, name: str, run_id: int, number: int) -> Response:
    run = run_of(owner, name, run_id)
    return _jobs(run, attempt_of(run, number))


def jobs_of_run(owner: str, name: str, run_id: int) -> Response:
    run = run_of(owner, name, run_id)
    return _jobs(run, run.last)


def _jobs(run: Run, attempt: Attempt) -> Response:
    urls = {"api": github.api("").rstrip("/"), "web": own_url("").rstrip("/")}
    jobs = [job_json(run, attempt, **urls)] if run.has_jobs else []
    return jsonify({"total_count": len(jobs), "jobs": jobs})


def cancel(owner: str, name: str, run_id: int, *, force: bool = False) -> Any:
    run = run_of(owner, name, run_id)
    may_write()
    try:
        actions().cancel(run, force=force)
    except Refused as refused:
        github.refuse(refused.status, refused.message)
    return jsonify({}), 202


def force_cancel(owner: str, name: str, run_id: int) -> Any:
    return cancel(owner, name, run_id, force=True)


def rerun(owner: str, name: str, run_id: int) -> Any:
    run = run_of(owner, name, run_id)
    may_write()
    try:
        actions().rerun(run, actor=g.token.login)
    except Refused as refused:
        github.refuse(refused.status, refused.message)
    return jsonify({}), 201


# Why it waits


def pending_deployments(owner: str, name: str, run_id: int) -> Response:
    run = run_of(owner, name, run_id)
    if run.last.status != "waiting":
        return jsonify([])
    reviewer = {"login": REVIEWER, "id": 77, "type": "User"}
    environment = {"id": 1, "name": run.environment, "url": "", "html_url": ""}
    return jsonify(
        [
            {
                "environment": environment,
                "wait_timer": 0,
                "wait_timer_started_at": None,
                "current_user_can_approve": False,
                "reviewers": [{"type": "User", "reviewer": reviewer}],
            }
        ]
    )


def review_deployments(owner: str, name: str, run_id: int) -> Response:
    run = run_of(owner, name, run_id)
    may_write()
    body = request.get_json(silent=True) or {}
    if body.get("state") == "approved":
        actions().approve(run)
    elif body.get("state") == "rejected":
        actions().finish(run, "failure")
    else:
        github.refuse(422, "Validation Failed")
    return jsonify([])


def groups_of_run(owner: str, name: str, run_id: int) -> Response:
    run = run_of(owner, name, run_id)
    if is_enterprise() or request.headers.get("X-GitHub-Api-Version") != NEW_API:
        not_found()
    if not run.group or run.last.is_over:
        return jsonify({"total_count": 0, "concurrency_groups": []})
    members = [
        {"run_id": one.id, "run_name": one.title, "job_id": None, "status": one.last.status}
        for one in [*actions().ahead_of(run), run]
    ]
    group = {"group_name": run.group, "group_members": members}
    return jsonify({"total_count": 1, "concurrency_groups": [group]})
