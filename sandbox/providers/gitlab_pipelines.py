"""Pipelines, jobs, files and webhooks in GitLab's REST API.

https://docs.gitlab.com/api/pipelines/
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask import Response, g, jsonify, redirect, request

from sandbox.ci_files import Refused
from sandbox.context import own_url, state
from sandbox.gitlab_json import job_json, log_of, pipeline_basics, pipeline_json, stamp
from sandbox.pipeline_jobs import Job, Pipeline
from sandbox.pipelines import Pipelines
from sandbox.project_hooks import ProjectHook
from sandbox.projects import DEVELOPER, MAINTAINER, Project
from sandbox.providers.gitlab import (
    blueprint,
    find_project,
    forbidden,
    given,
    not_found,
    page_of,
    paged,
    projects,
    refuse,
    refuse_input,
    require_code,
    require_level,
    user_json,
)

_FILTERS = ("ref", "source", "status", "sha", "name")
_ROLES = {"developer": 30, "maintainer": 40, "owner": 50, "no_one_allowed": 99}
INPUTS_SINCE = (17, 10)


def engine() -> Pipelines:
    return state().pipelines


def _project(id_or_path: str) -> Project:
    found = find_project(id_or_path)
    if not found.builds_enabled:
        forbidden()
    return found


def _pipeline(project: str, pipeline_id: int) -> Pipeline:
    found = engine().pipelines.get(pipeline_id)
    if found is None or found.project != _project(project).id:
        not_found()
    return found


def _job(project: str, job_id: int) -> tuple[Pipeline, Job]:
    found = engine().job(job_id)
    pipeline = engine().pipeline_of(found) if found else None
    if found is None or pipeline is None or pipeline.project != _project(project).id:
        not_found()
    return pipeline, found


def _json(pipeline: Pipeline, *, named: bool = True) -> dict[str, Any]:
    page = page_of(projects().projects[pipeline.project])
    name = {"name": pipeline.name or None} if named else {}
    return {**pipeline_json(pipeline, page, user_json(pipeline.user)), **name}


def _job_json(pipeline: Pipeline, job: Job) -> dict[str, Any]:
    page = page_of(projects().projects[pipeline.project])
    now = state().clock()
    shown = job_json(pipeline, job, page, now=now, user=user_json(job.user))
    if not job.is_bridge:
        return shown
    child = engine().pipelines.get(job.downstream or 0)
    return {**shown, "downstream_pipeline": pipeline_basics(child, page) if child else None}


# Files


@blueprint.get("/projects/<enc:project>/repository/files/<enc:path>")
def file(project: str, path: str) -> Response:
    """Of a project's files the stand-in knows the CI file."""
    found = find_project(project)
    require_code(found)
    ref = given("ref")["ref"]
    ref = str(found.default_branch if ref == "HEAD" else ref)
    if projects().commit(found, ref) is None:
        not_found("Commit")
    ci_file = engine().files.get(found.id)
    text = ci_file.text_on(ref) if ci_file and ci_file.path == path else None
    if text is None:
        not_found("File")
    raw = text.encode()
    return jsonify(
        {
            "file_name": path.rpartition("/")[2],
            "file_path": path,
            "size": len(raw),
            "encoding": "base64",
            "content": base64.b64encode(raw).decode(),
            "ref": ref,
            "commit_id": projects().commit(found, ref),
        }
    )


# Pipelines


@blueprint.get("/projects/<enc:project>/pipelines")
def pipelines(project: str) -> Response:
    """Child pipelines are only listed where their source is asked for."""
    found = _project(project)
    listed = [one for one in engine().of_project(found.id) if _fits(one)]
    listed.sort(key=lambda one: one.id, reverse=request.args.get("sort", "desc") == "desc")
    page = page_of(found)
    return paged([{**pipeline_basics(p, page), "name": p.name or None} for p in listed])


def _fits(pipeline: Pipeline) -> bool:
    wanted = request.args
    is_child = pipeline.source == "parent_pipeline"
    return (
        all(
            wanted.get(name, getattr(pipeline, name)) == getattr(pipeline, name)
            for name in _FILTERS
        )
        and wanted.get("username", pipeline.user) == pipeline.user
        and _moment("updated_after") <= pipeline.updated_at
        and _moment("created_after") <= pipeline.created_at
        and (not is_child or "source" in wanted)
    )


def _moment(name: str) -> float:
    text = request.args.get(name)
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        refuse_input(f"{name} is invalid")


@blueprint.post("/projects/<enc:project>/pipeline")
def create(project: str) -> tuple[Response, int]:
    """All that keeps it from being created is a 400 with `base`."""
    found = find_project(project)
    about = given("ref")
    if not found.builds_enabled:
        forbidden()
    require_level(found, DEVELOPER)
    ref, inputs = str(about["ref"]), about.get("inputs") or {}
    if isinstance(inputs, dict) and inputs and not _knows_inputs():
        inputs = {}  # an older GitLab does not know the parameter, and says nothing
    if f"refs/heads/{ref}" not in projects().refs[found.id]:
        _base("Reference not found")
    if _is_protected(found, ref):
        _base(
            f"You do not have sufficient permission to run a pipeline on '{ref}'. Please select a "
            "different branch or contact your administrator for assistance."
        )
    variables = _variables(found, about.get("variables") or [])
    try:
        made = engine().create(
            found, ref, inputs=inputs, variables=variables, user=g.token.username
        )
    except Refused as error:
        _base(str(error))
    answer = jsonify(_json(made, named=False))
    state().settle()
    return answer, 201


def _base(words: str) -> Any:
    refuse(400, {"base": [words]})


def _knows_inputs() -> bool:
    numbers = projects().version.partition("-")[0].split(".")
    return (int(numbers[0]), int(numbers[1])) >= INPUTS_SINCE


def _is_protected(project: Project, ref: str) -> bool:
    rule = project.protecting("heads", ref)
    return rule is not None and g.token.level < rule.level


def _variables(project: Project, listed: Any) -> dict[str, str]:
    if not isinstance(listed, list) or any("key" not in one for one in listed):
        refuse_input("variables is invalid")
    if listed and g.token.level < _ROLES[project.variables_role]:
        _base("Insufficient permissions to set pipeline variables")
    return {str(one["key"]): str(one.get("value", "")) for one in listed}


@blueprint.get("/projects/<enc:project>/pipelines/<int:pipeline_id>")
def pipeline(project: str, pipeline_id: int) -> Response:
    return jsonify(_json(_pipeline(project, pipeline_id)))


@blueprint.delete("/projects/<enc:project>/pipelines/<int:pipeline_id>")
def delete(project: str, pipeline_id: int) -> tuple[str, int]:
    found = _pipeline(project, pipeline_id)
    if g.token.level < MAINTAINER:
        forbidden()
    engine().delete(found)
    return "", 204


@blueprint.get("/projects/<enc:project>/pipelines/<int:pipeline_id>/variables")
def variables(project: str, pipeline_id: int) -> Response:
    """For maintainers, and for who started it."""
    found = _pipeline(project, pipeline_id)
    if g.token.level < MAINTAINER and found.user != g.token.username:
        forbidden()
    named = found.variables.items()
    return paged(
        [{"key": n, "value": v, "variable_type": "env_var", "raw": False} for n, v in named]
    )


@blueprint.get("/projects/<enc:project>/pipelines/<int:pipeline_id>/jobs")
def jobs(project: str, pipeline_id: int) -> Response:
    """The newest first; those that were retried only where they are asked for."""
    return _listed(_pipeline(project, pipeline_id), bridges=False)


@blueprint.get("/projects/<enc:project>/pipelines/<int:pipeline_id>/bridges")
def bridges(project: str, pipeline_id: int) -> Response:
    return _listed(_pipeline(project, pipeline_id), bridges=True)


def _listed(found: Pipeline, *, bridges: bool) -> Response:
    with_retried = not bridges and request.args.get("include_retried") in ("true", "1", "True")
    every = found.jobs if with_retried else found.now
    scopes = request.args.getlist("scope[]") or request.args.getlist("scope")
    listed = [job for job in every if job.is_bridge == bridges]
    listed = [job for job in listed if not scopes or job.status in scopes]
    return paged([_job_json(found, job) for job in sorted(listed, key=lambda j: -j.id)])


@blueprint.post("/projects/<enc:project>/pipelines/<int:pipeline_id>/retry")
def retry(project: str, pipeline_id: int) -> tuple[Response, int]:
    found = _changeable(project, pipeline_id)
    engine().retry(found, user=g.token.username)
    return jsonify(_json(found, named=False)), 201


@blueprint.post("/projects/<enc:project>/pipelines/<int:pipeline_id>/cancel")
def cancel(project: str, pipeline_id: int) -> Response:
    """One that is over is answered as if it had been canceled."""
    found = _changeable(project, pipeline_id)
    engine().cancel(found)
    return jsonify(_json(found, named=False))


@blueprint.post("/projects/<enc:project>/jobs/<int:job_id>/cancel")
def cancel_job(project: str, job_id: int) -> tuple[Response, int]:
    """`force` ends one that its runner goes on with, and takes a maintainer."""
    found, one = _job(project, job_id)
    is_forced = given().get("force") in (True, "true")
    require_level(projects().projects[found.project], MAINTAINER if is_forced else DEVELOPER)
    if is_forced and one.status == "canceling":
        engine().end_job(one, "canceled")
        engine().settle(state().clock())
    return jsonify(_job_json(found, one)), 201


def _changeable(project: str, pipeline_id: int) -> Pipeline:
    found = _pipeline(project, pipeline_id)
    require_level(projects().projects[found.project], DEVELOPER)
    return found


# Jobs


@blueprint.get("/projects/<enc:project>/jobs/<int:job_id>")
def job(project: str, job_id: int) -> Response:
    return jsonify(_job_json(*_job(project, job_id)))


@blueprint.post("/projects/<enc:project>/jobs/<int:job_id>/<any(play, retry):verb>")
def change_job(project: str, job_id: int, verb: str) -> tuple[Response, int]:
    found, one = _job(project, job_id)
    require_level(projects().projects[found.project], DEVELOPER)
    try:
        if verb == "play":
            engine().play(one, user=g.token.username)
        else:
            one = engine().retry_job(one, user=g.token.username)
    except Refused as error:
        refuse(400 if verb == "play" else 403, f"{400 if verb == 'play' else 403} {error}")
    return jsonify(_job_json(found, one)), 200 if verb == "play" else 201


@blueprint.get("/projects/<enc:project>/jobs/<int:job_id>/trace")
def trace(project: str, job_id: int) -> Response:
    """The whole log, also while the job runs; no part of it can be asked for."""
    found, one = _job(project, job_id)
    if one.is_bridge:
        not_found()
    text = log_of(one, {**found.inputs, **found.variables}) if one.started_at else ""
    return Response(text, 200, content_type="text/plain")


@blueprint.get("/projects/<enc:project>/jobs/<int:job_id>/artifacts")
def artifacts(project: str, job_id: int) -> Any:
    """The files themselves, or where GitLab keeps them elsewhere (here: of even jobs), a link that
    takes no token."""
    _found, one = _job(project, job_id)
    if one.status != "success" or "artifacts" not in one.about or engine().has_expired(one):
        not_found()
    if one.id % 2 == 0:
        token = state().actions.link(f"artifact:{one.id}")
        return redirect(f"{own_url('storage')}/{token}", 302)
    return Response(b"PK\x05\x06" + bytes(18), 200, content_type="application/zip")


# Webhooks


def _hook_json(hook: ProjectHook) -> dict[str, Any]:
    """Without its secrets, as GitLab tells it."""
    shown = asdict(hook)
    signing, until = shown.pop("signing_token"), shown.pop("disabled_until")
    return {
        **{name: shown[name] for name in ("id", "url", "pipeline_events")},
        "project_id": hook.project,
        "job_events": False,
        "push_events": False,
        "enable_ssl_verification": True,
        "signing_token_present": bool(signing),
        "alert_status": hook.alert_status(state().clock()),
        "disabled_until": stamp(until),
        "created_at": "2026-01-15T09:00:00.000Z",
    }


def _hooks_of(project: str) -> Project:
    found = find_project(project)
    require_level(found, MAINTAINER)
    return found


@blueprint.get("/projects/<enc:project>/hooks")
def hooks(project: str) -> Response:
    found = _hooks_of(project)
    return paged([_hook_json(h) for h in engine().hooks.values() if h.project == found.id])


@blueprint.get("/projects/<enc:project>/hooks/<int:hook_id>")
def hook(project: str, hook_id: int) -> Response:
    found, one = _hooks_of(project), engine().hooks.get(hook_id)
    if one is None or one.project != found.id:
        not_found()
    return jsonify(_hook_json(one))


@blueprint.post("/projects/<enc:project>/hooks")
def add_hook(project: str) -> tuple[Response, int]:
    found, about = _hooks_of(project), given("url")
    hook = ProjectHook(
        701 + len(engine().hooks),
        found.id,
        str(about["url"]),
        str(about.get("token", "")),
        str(about.get("signing_token", "")),
        about.get("pipeline_events") in (True, "true", "1"),
    )
    engine().hooks[hook.id] = hook
    state().touch()
    return jsonify(_hook_json(hook)), 201
