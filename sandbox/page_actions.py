"""The part of the sandbox's board on which runs of GitHub Actions are ended, approved and run
again; and a run's own page, to which delivr links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, render_template, request

from sandbox.action_runs import Run
from sandbox.actions import REVIEWER, Actions, Refused
from sandbox.context import state, to_page
from sandbox.control import guard
from sandbox.github_json import log_of
from sandbox.workflows import Workflow

blueprint = Blueprint("page_actions", __name__)
blueprint.before_request(guard)
ALWAYS_SHOWN = ("ios.yml", "android.yml")
SHOWN_RUNS = 5
ENDS = ("success", "failure", "cancelled")
LOOKS = {
    "in_progress": "running",
    "pending": "queued",
    "waiting": "unstable",
    "cancelled": "aborted",
}


def _actions() -> Actions:
    return state().actions


def board() -> dict[str, Any]:
    """What the board shows of it."""
    found = list(_actions().workflows.values())
    shown = [one for one in found if one.file in ALWAYS_SHOWN or _actions().newest(one.file)]
    return {
        "workflows": [_workflow(one) for one in shown],
        "idle_workflows": [one.file for one in found if one not in shown],
        "runners_work": _actions().runners_work,
        "ends": ENDS,
    }


def _workflow(workflow: Workflow) -> dict[str, Any]:
    runs = _actions().newest(workflow.file)[:SHOWN_RUNS]
    return {"file": workflow.file, "name": workflow.name, "runs": [_run(run) for run in runs]}


def _run(run: Run) -> dict[str, Any]:
    attempt = run.last
    status = attempt.conclusion or attempt.status
    ended = attempt.ended_at or state().clock()
    return {
        "id": run.id,
        "number": run.number,
        "title": run.title,
        "branch": run.branch,
        "attempt": attempt.number,
        "status": status,
        "look": LOOKS.get(status, status),
        "is_over": attempt.is_over,
        "waits": attempt.status == "waiting",
        "environment": run.environment,
        "inputs": {name: value for name, value in run.inputs.items() if value},
        "seconds": round(ended - (attempt.started_at or attempt.created_at)),
        "url": f"/{run.repository}/actions/runs/{run.id}",
    }


@blueprint.post("/sandbox/actions/start")
def start() -> Response:
    """Start a run as a person does on GitHub's own page."""
    form = request.form
    workflow = _actions().workflows.get(form.get("name", ""))
    repository = state().github.find("dream11", "app")
    if workflow is None or repository is None:
        abort(400)
    inputs = {"version": form.get("version", "")}
    branch = form.get("branch", "")
    _actions().start(workflow, repository, branch, inputs=inputs, actor=REVIEWER)
    state().settle()
    return to_page("page.home")


@blueprint.post("/sandbox/actions/<verb>")
def act(verb: str) -> Response:
    """End, approve or re-run a run, or break and fix the runners."""
    actions = _actions()
    if verb == "runners":
        actions.runners_work = not actions.runners_work
        state().touch()
        return to_page("page.home")
    run = actions.run(request.form.get("run", -1, type=int))
    acts: dict[str, Callable[[Run], None]] = {
        "finish": lambda run: actions.finish(run, request.form.get("result", "")),
        "approve": actions.approve,
        "rerun": lambda run: actions.rerun(run, actor=REVIEWER),
    }
    if run is None or verb not in acts:
        abort(400)
    try:
        acts[verb](run)
    except (Refused, ValueError):
        abort(400)
    return to_page("page.home")


@blueprint.get("/<owner>/<name>/actions/runs/<int:run_id>")
@blueprint.get("/<owner>/<name>/actions/runs/<int:run_id>/<path:below>")
def run_page(owner: str, name: str, run_id: int, below: str = "") -> str:
    run = _actions().run(run_id)
    if run is None or run.repository != f"{owner}/{name}":
        abort(404)
    log = log_of(run, run.last) if run.last.is_over else ""
    return render_template("sandbox/run.html", run=_run(run), file=run.file, log=log)
