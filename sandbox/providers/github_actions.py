"""GitHub's REST API for Actions, beside that for repositories.

https://docs.github.com/en/rest/actions
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from sandbox.providers import github_files as files
from sandbox.providers import github_runs as runs
from sandbox.providers import github_workflows as workflows


def add_to(blueprint: Blueprint) -> None:
    """Add the routes to GitHub's blueprint, before its route for everything unknown."""
    repo = "/repos/<owner>/<name>"
    below = f"{repo}/actions/runs"
    routes: tuple[tuple[str, str, Any], ...] = (
        ("GET", f"{repo}/contents/<path:path>", workflows.contents),
        ("GET", f"{repo}/environments", workflows.environments),
        ("GET", f"{repo}/actions/workflows", workflows.workflows),
        ("GET", f"{repo}/actions/workflows/<wanted>", workflows.workflow),
        ("PUT", f"{repo}/actions/workflows/<wanted>/<verb>", workflows.switch_workflow),
        ("POST", f"{repo}/actions/workflows/<wanted>/dispatches", workflows.dispatch),
        ("GET", f"{repo}/actions/workflows/<wanted>/runs", runs.workflow_runs),
        ("GET", below, runs.all_runs),
        ("GET", f"{below}/<int:run_id>", runs.one_run),
        ("GET", f"{below}/<int:run_id>/attempts/<int:number>", runs.one_attempt),
        ("GET", f"{below}/<int:run_id>/attempts/<int:number>/jobs", runs.jobs_of_attempt),
        ("GET", f"{below}/<int:run_id>/jobs", runs.jobs_of_run),
        ("POST", f"{below}/<int:run_id>/cancel", runs.cancel),
        ("POST", f"{below}/<int:run_id>/force-cancel", runs.force_cancel),
        ("POST", f"{below}/<int:run_id>/rerun", runs.rerun),
        ("POST", f"{below}/<int:run_id>/rerun-failed-jobs", runs.rerun),
        ("GET", f"{below}/<int:run_id>/pending_deployments", runs.pending_deployments),
        ("POST", f"{below}/<int:run_id>/pending_deployments", runs.review_deployments),
        ("GET", f"{below}/<int:run_id>/concurrency_groups", runs.groups_of_run),
        ("GET", f"{below}/<int:run_id>/artifacts", files.artifacts_of_run),
        ("GET", f"{repo}/actions/artifacts/<int:artifact_id>/zip", files.artifact_zip),
        ("GET", f"{repo}/actions/jobs/<int:job_id>/logs", files.job_logs),
        ("GET", f"{repo}/check-runs/<int:job_id>/annotations", files.notes_of_job),
    )
    for method, path, view in routes:
        blueprint.add_url_rule(path, view_func=view, methods=[method])
