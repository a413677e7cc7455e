"""The control API of GitHub Actions, below /sandbox/api/github_actions/. Its `jobs` are workflow
files and its `builds` run numbers, as for every CI server of the sandbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from sandbox.action_runs import Hook, Run
from sandbox.actions import REVIEWER, Actions, Refused
from sandbox.context import state
from sandbox.control import guard, json_body, refuse
from sandbox.repositories import Repository
from sandbox.workflows import STATES, Workflow

blueprint = Blueprint("control_actions", __name__, url_prefix="/sandbox/api/github_actions")
blueprint.before_request(guard)
SETTINGS = {
    "autoFinishSeconds": "auto_finish_seconds",
    "autoFinishResult": "auto_finish_result",
    "nextNumber": "next_number",
    "state": "state",
    "text": "text",
}
TROUBLES = ("", "doubled", "shuffled", "dropped")


def _actions() -> Actions:
    return state().actions


def _workflow(file: str) -> Workflow:
    found = _actions().workflows.get(file)
    if found is None:
        refuse(404, f"no workflow {file!r}")
    return found


def _run(file: str, number: int) -> Run:
    found = _actions().numbered(file, number)
    if found is None:
        refuse(404, f"no run {file} #{number}")
    return found


def _json(workflow: Workflow) -> dict[str, Any]:
    settings = {name: getattr(workflow, attribute) for name, attribute in SETTINGS.items()}
    hook = _actions().hooks.get(workflow.file)
    return {
        "name": workflow.file,
        **settings,
        "texts": workflow.texts,
        "webhook": {"url": hook.url, "trouble": hook.trouble} if hook else None,
        "builds": [run_facts(run) for run in _actions().newest(workflow.file)],
    }


def run_facts(run: Run) -> dict[str, Any]:
    return {**asdict(run), "status": run.last.status, "result": run.last.conclusion or None}


@blueprint.get("/jobs")
def workflows() -> Response:
    return jsonify({"jobs": [_json(one) for one in _actions().workflows.values()]})


@blueprint.get("/jobs/<file>")
def workflow(file: str) -> Response:
    return jsonify(_json(_workflow(file)))


@blueprint.route("/jobs/<file>", methods=["PATCH", "POST"])
def change(file: str) -> Response:
    """Change its settings, its `texts` by branch (null: not on that branch) and its `webhook`."""
    found, body = _workflow(file), json_body()
    if "webhook" in body:
        _hook(found, dict(body.pop("webhook")))
    found.texts |= body.pop("texts", {})
    if body.get("state", "active") not in STATES or body.keys() - SETTINGS.keys():
        refuse(400, "unknown or bad setting")
    for name, value in body.items():
        setattr(found, SETTINGS[name], value)
    state().touch()
    state().settle()
    return jsonify(_json(found))


def _hook(workflow: Workflow, given: dict[str, Any]) -> None:
    given.pop("style", None)  # GitHub has one way to sign
    trouble = given.pop("trouble", "")
    if trouble not in TROUBLES or given.keys() - {"url", "secret", "events"}:
        refuse(400, "a webhook has url, secret, events and trouble")
    _actions().hooks[workflow.file] = Hook(workflow.id, trouble=trouble, **given)


@blueprint.post("/jobs/<file>/builds")
def start_by_hand(file: str) -> tuple[Response, int]:
    """Start a run as a person does on GitHub's page: `user`, `branch`, `inputs`."""
    body = json_body()
    run = _actions().start(
        _workflow(file),
        _repository(),
        str(body.get("branch", "main")),
        inputs=dict(body.get("inputs", {})),
        actor=str(body.get("user", REVIEWER)),
    )
    state().settle()
    return jsonify(run_facts(run)), 201


def _repository() -> Repository:
    found = state().github.find("dream11", "app")
    assert found is not None  # noqa: S101 -- it is always there
    return found


@blueprint.post("/jobs/<file>/builds/<int:number>/finish")
def finish(file: str, number: int) -> Response:
    run, result = _run(file, number), str(json_body().get("result", "success")).lower()
    try:
        _actions().finish(run, "cancelled" if result == "aborted" else result)
    except ValueError as error:
        refuse(400, str(error))
    return jsonify(run_facts(run))


@blueprint.post("/jobs/<file>/builds/<int:number>/approve")
def approve(file: str, number: int) -> Response:
    run = _run(file, number)
    _actions().approve(run)
    return jsonify(run_facts(run))


@blueprint.post("/jobs/<file>/builds/<int:number>/rerun")
def rerun(file: str, number: int) -> Response:
    run, body = _run(file, number), json_body()
    try:
        _actions().rerun(run, actor=str(body.get("user", REVIEWER)))
        if "result" in body:
            _actions().finish(run, str(body["result"]))
    except (Refused, ValueError) as error:
        refuse(409, str(error))
    return jsonify(run_facts(run))


@blueprint.post("/jobs/<file>/builds/<int:number>/stubborn")
def be_stubborn(file: str, number: int) -> Response:
    """From now on it does not react when it is cancelled."""
    run = _run(file, number)
    run.is_stubborn = True
    state().touch()
    return jsonify(run_facts(run))


@blueprint.post("/runners")
def runners() -> Response:
    """`work`: whether runners take jobs; `hang`: whether new runs never get a job."""
    body, actions = json_body(), _actions()
    actions.runners_work = bool(body.get("work", actions.runners_work))
    actions.hangs = bool(body.get("hang", actions.hangs))
    state().touch()
    state().settle()
    return jsonify({"work": actions.runners_work, "hang": actions.hangs})
