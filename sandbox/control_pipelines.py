"""The control API of GitLab CI, below /sandbox/api/gitlab_ci/. Its one job is the project
dream11/mobile/app, and its `builds` are pipelines by their ids, as for every CI server of the
sandbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from sandbox.ci_files import Refused
from sandbox.context import state
from sandbox.control import guard, json_body, refuse
from sandbox.pipeline_jobs import Pipeline
from sandbox.pipelines import Pipelines
from sandbox.project_hooks import ProjectHook
from sandbox.projects import Project

blueprint = Blueprint("control_pipelines", __name__, url_prefix="/sandbox/api/gitlab_ci")
blueprint.before_request(guard)
PERSON = "priya"
PROJECT = 4201
SETTINGS = {
    "autoFinishSeconds": "auto_finish_seconds",
    "autoFinishResult": "auto_finish_result",
    "runnersWork": "runners_work",
}


def _engine() -> Pipelines:
    return state().pipelines


def _project() -> Project:
    return state().gitlab.projects[PROJECT]


def _pipeline(number: int) -> Pipeline:
    found = _engine().pipelines.get(number)
    if found is None:
        refuse(404, f"no pipeline {number}")
    return found


def _facts(pipeline: Pipeline) -> dict[str, Any]:
    result = pipeline.status if pipeline.is_over else None
    return {**asdict(pipeline), "number": pipeline.id, "result": result}


def _json() -> dict[str, Any]:
    file = _engine().files[PROJECT]
    hooks = _engine().hooks.values()
    return {
        "name": _project().path,
        **{name: getattr(_engine(), attribute) for name, attribute in SETTINGS.items()},
        "text": file.text,
        "texts": file.texts,
        "webhooks": [{"url": h.url, "failures": h.failures} for h in hooks],
        "builds": [_facts(one) for one in _engine().of_project(PROJECT) if not one.upstream],
    }


@blueprint.get("/jobs")
def projects() -> Response:
    return jsonify({"jobs": [_json()]})


@blueprint.route("/jobs/", methods=["PATCH", "POST"])
@blueprint.route("/jobs/<path:name>", methods=["PATCH", "POST"])
def change(name: str = "") -> Response:
    """Change settings, the CI file (`text`, `texts` by branch), or add a `webhook`."""
    body, file = json_body(), _engine().files[PROJECT]
    if "webhook" in body:
        _add_hook(dict(body.pop("webhook")))
    file.text = str(body.pop("text", file.text))
    file.texts |= body.pop("texts", {})
    if body.keys() - SETTINGS.keys():
        refuse(400, "unknown setting")
    for setting, value in body.items():
        setattr(_engine(), SETTINGS[setting], value)
    state().touch()
    state().settle()
    return jsonify(_json())


def _add_hook(given: dict[str, Any]) -> None:
    """`style`: signed, or else the token."""
    secret, is_signed = str(given.get("secret", "")), given.get("style") == "signed"
    hook_id = 701 + len(_engine().hooks)
    hook = ProjectHook(hook_id, PROJECT, str(given.get("url", "")))
    hook.signing_token, hook.token = (secret, "") if is_signed else ("", secret)
    _engine().hooks[hook_id] = hook


@blueprint.post("/jobs/<path:name>/builds")
def start_by_hand(name: str) -> tuple[Response, int]:
    """Start a pipeline as a person does on GitLab's page: `user`, `branch`, `inputs`,
    `variables`."""
    body = json_body()
    try:
        made = _engine().create(
            _project(),
            str(body.get("branch", "main")),
            inputs=dict(body.get("inputs", {})),
            variables=dict(body.get("variables", {})),
            user=str(body.get("user", PERSON)),
            source="web",
        )
    except Refused as error:
        refuse(409, str(error))
    state().settle()
    return jsonify(_facts(made)), 201


@blueprint.post("/jobs/<path:name>/builds/<int:number>/finish")
def finish(name: str, number: int) -> Response:
    found, result = _pipeline(number), str(json_body().get("result", "success")).lower()
    words = {"failure": "failed", "aborted": "canceled"}
    try:
        _engine().finish(found, words.get(result, result))
    except ValueError as error:
        refuse(400, str(error))
    return jsonify(_facts(found))


@blueprint.post("/jobs/<path:name>/builds/<int:number>/retry")
def retry(name: str, number: int) -> Response:
    found, body = _pipeline(number), json_body()
    _engine().retry(found, user=str(body.get("user", PERSON)))
    if "result" in body:
        _engine().finish(found, str(body["result"]))
    return jsonify(_facts(found))


@blueprint.post("/jobs/<path:name>/builds/<int:number>/play")
def play(name: str, number: int) -> Response:
    """Start its first manual or delayed job."""
    found = _pipeline(number)
    waiting = [job for job in found.now if job.status in ("manual", "scheduled")]
    if not waiting:
        refuse(409, "no job waits to be started")
    _engine().play(waiting[0], user=str(json_body().get("user", PERSON)))
    return jsonify(_facts(found))


@blueprint.delete("/jobs/<path:name>/builds/<int:number>")
def delete(name: str, number: int) -> Response:
    _engine().delete(_pipeline(number))
    return jsonify({"ok": True})
