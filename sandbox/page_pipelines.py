"""The part of the sandbox's board on which GitLab's pipelines are ended, gone on with and retried;
and the pages of a pipeline and a job, to which delivr links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, render_template, request

from sandbox.ci_files import Refused
from sandbox.context import state, to_page
from sandbox.control import guard
from sandbox.control_pipelines import PERSON, PROJECT
from sandbox.gitlab_json import log_of
from sandbox.pipeline_jobs import Job, Pipeline
from sandbox.pipelines import ENDS, Pipelines

blueprint = Blueprint("page_pipelines", __name__)
blueprint.before_request(guard)
SHOWN = 8
LOOKS = {
    "created": "queued",
    "pending": "queued",
    "waiting_for_resource": "queued",
    "scheduled": "queued",
    "manual": "unstable",
    "canceling": "running",
    "canceled": "aborted",
    "failed": "failure",
}


def _engine() -> Pipelines:
    return state().pipelines


def board() -> dict[str, Any]:
    """What the board shows of it."""
    listed = _engine().of_project(PROJECT)[:SHOWN]
    return {
        "pipelines": [_shown(pipeline) for pipeline in listed],
        "gitlab_runners_work": _engine().runners_work,
        "pipeline_ends": ENDS,
    }


def _shown(pipeline: Pipeline) -> dict[str, Any]:
    project = state().gitlab.projects[pipeline.project]
    return {
        "id": pipeline.id,
        "name": pipeline.name,
        "branch": pipeline.ref,
        "status": pipeline.status,
        "look": LOOKS.get(pipeline.status, pipeline.status),
        "is_over": pipeline.is_over,
        "upstream": pipeline.upstream,
        "given": {n: v for n, v in {**pipeline.inputs, **pipeline.variables}.items() if v},
        "jobs": [_job(job) for job in pipeline.now],
        "url": f"/gitlab/{project.path}/-/pipelines/{pipeline.id}",
    }


def _job(job: Job) -> dict[str, Any]:
    may_play = job.status in ("manual", "scheduled")
    look = LOOKS.get(job.status, job.status)
    about = {"id": job.id, "name": job.name, "stage": job.stage, "status": job.status}
    return {**about, "look": look, "may_play": may_play}


@blueprint.post("/sandbox/pipelines/<verb>")
def act(verb: str) -> Response:
    """End or retry a pipeline, start a manual job of it, or break and mend the runners."""
    engine = _engine()
    if verb == "runners":
        engine.runners_work = not engine.runners_work
        state().touch()
        return to_page("page.home")
    pipeline = engine.pipelines.get(request.form.get("pipeline", -1, type=int))
    job = engine.job(request.form.get("job", -1, type=int))
    acts: dict[str, Callable[[Pipeline], None]] = {
        "finish": lambda found: engine.finish(found, request.form.get("result", "")),
        "retry": lambda found: engine.retry(found, user=PERSON),
        "play": lambda found: engine.play(job, user=PERSON) if job in found.jobs else abort(400),
    }
    if pipeline is None or verb not in acts:
        abort(400)
    try:
        acts[verb](pipeline)
    except (Refused, ValueError):
        abort(400)
    return to_page("page.home")


@blueprint.get("/gitlab/<path:project>/-/pipelines/<int:pipeline_id>")
def pipeline_page(project: str, pipeline_id: int) -> str:
    pipeline = _engine().pipelines.get(pipeline_id)
    if pipeline is None or state().gitlab.projects[pipeline.project].path != project:
        abort(404)
    logs = [_with_log(pipeline, job) for job in pipeline.now if job.started_at and job.is_over]
    return render_template("sandbox/pipeline.html", pipeline=_shown(pipeline), logs=logs)


def _with_log(pipeline: Pipeline, job: Job) -> dict[str, Any]:
    log = "" if job.is_bridge else log_of(job, {**pipeline.inputs, **pipeline.variables})
    return {"name": job.name, "log": log}
