"""Workflows of GitHub Actions: their files, and how they are dispatched. Below /api/v3 it is an
Enterprise Server 3.19, which knows fewer inputs and keys.

https://docs.github.com/en/rest/actions
"""

from __future__ import annotations

import base64
import json
from typing import Any, NoReturn

from flask import Response, g, jsonify, request

from sandbox.actions import Actions
from sandbox.context import own_url, state
from sandbox.providers import github
from sandbox.repositories import Repository, fake_sha
from sandbox.workflows import FOLDER, Workflow

NEW_API = "2026-03-10"  # the version of the API in which a dispatch always tells its run
MOST_INPUTS, MOST_ON_ENTERPRISE = 25, 10
LONGEST_INPUTS = 65_535


def actions() -> Actions:
    return state().actions


def is_enterprise() -> bool:
    return request.path.startswith("/api/v3")


def not_found() -> NoReturn:
    github.refuse(404, "Not Found")


def repository_of(owner: str, name: str) -> Repository:
    return github.find_repository(owner, name)


def may_write() -> None:
    if not g.token.may("actions"):
        github.lacking("actions")


# Files and workflows


def contents(owner: str, name: str, path: str) -> Response:
    repo = repository_of(owner, name)
    branch = request.args.get("ref") or repo.default_branch
    ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
    if state().github.ref(repo, ref) is None:
        github.refuse(404, f"No commit found for the ref {branch}")
    found = actions().workflows.get(path.removeprefix(FOLDER)) if path.startswith(FOLDER) else None
    text = found.text_on(branch.removeprefix("refs/heads/")) if found else None
    if found is None or text is None:
        not_found()
    raw = text.encode()
    return jsonify(
        {
            "type": "file",
            "encoding": "base64",
            "size": len(raw),
            "name": found.file,
            "path": path,
            "content": base64.encodebytes(raw).decode(),
            "sha": fake_sha(text),
            "url": github.api(f"/repos/{repo.full_name}/contents/{path}"),
            "html_url": f"https://github.com/{repo.full_name}/blob/{branch}/{path}",
        }
    )


def environments(owner: str, name: str) -> Response:
    repository_of(owner, name)
    return jsonify({"total_count": 1, "environments": [{"id": 1, "name": "production"}]})


def workflows(owner: str, name: str) -> Response:
    repo = repository_of(owner, name)
    if repo.full_name != "dream11/app":
        return jsonify({"total_count": 0, "workflows": []})
    found = [_workflow_json(repo, one) for one in actions().workflows.values()]
    return jsonify({"total_count": len(found), "workflows": found})


def workflow_of(repo: Repository, wanted: str) -> Workflow:
    found = actions().workflow(wanted) if repo.full_name == "dream11/app" else None
    if found is None or found.text_on(repo.default_branch) is None:
        not_found()
    return found


def workflow(owner: str, name: str, wanted: str) -> Response:
    repo = repository_of(owner, name)
    return jsonify(_workflow_json(repo, workflow_of(repo, wanted)))


def _workflow_json(repo: Repository, found: Workflow) -> dict[str, Any]:
    return {
        "id": found.id,
        "node_id": f"W_{found.id}",
        "name": found.name,
        "path": found.path,
        "state": found.state,
        "created_at": "2024-01-15T09:00:00Z",
        "updated_at": "2026-01-15T09:00:00Z",
        "url": github.api(f"/repos/{repo.full_name}/actions/workflows/{found.id}"),
        "html_url": f"https://github.com/{repo.full_name}/blob/main/{found.path}",
        "badge_url": "",
    }


def switch_workflow(owner: str, name: str, wanted: str, verb: str) -> tuple[str, int]:
    found = workflow_of(repository_of(owner, name), wanted)
    may_write()
    if verb not in ("enable", "disable"):
        not_found()
    found.state = "active" if verb == "enable" else "disabled_manually"
    state().touch()
    return "", 204


# Dispatch


def dispatch(owner: str, name: str, wanted: str) -> Any:
    repo = repository_of(owner, name)
    found = workflow_of(repo, wanted)
    may_write()
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        github.refuse(400, "Problems parsing JSON")
    branch, inputs = _checked(repo, found, body)
    run = actions().start(found, repo, branch, inputs=inputs, actor=g.token.login)
    state().settle()
    is_new = request.headers.get("X-GitHub-Api-Version") == NEW_API
    if not body.get("return_run_details") and not is_new:
        return "", 204
    url = github.api(f"/repos/{repo.full_name}/actions/runs/{run.id}")
    html = f"{own_url('')}{repo.full_name}/actions/runs/{run.id}"
    return jsonify({"workflow_run_id": run.id, "run_url": url, "html_url": html})


def _checked(repo: Repository, found: Workflow, body: dict[str, Any]) -> tuple[str, dict[str, str]]:
    known = {"ref", "inputs"} if is_enterprise() else {"ref", "inputs", "return_run_details"}
    for key in body.keys() - known:
        github.refuse(422, f'Invalid request.\n\n"{key}" is not a permitted key.')
    ref = body.get("ref")
    if not isinstance(ref, str) or not ref:
        github.refuse(422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
    branch = ref.removeprefix("refs/heads/")
    if state().github.ref(repo, f"refs/heads/{branch}") is None:
        github.refuse(422, f"No ref found for: {ref}")
    if found.state != "active":
        github.refuse(403, "Cannot trigger a 'workflow_dispatch' on a disabled workflow")
    declared = found.dispatch(branch) if found.text_on(branch) is not None else None
    if declared is None:
        github.refuse(422, "Workflow does not have 'workflow_dispatch' trigger")
    return branch, _inputs(declared, body.get("inputs") or {})


def _inputs(declared: dict[str, dict[str, Any]], given: Any) -> dict[str, str]:
    most = MOST_ON_ENTERPRISE if is_enterprise() else MOST_INPUTS
    if not isinstance(given, dict):
        github.refuse(422, "Invalid request.\n\nFor 'properties/inputs', it is not an object.")
    if len(declared) > most:
        github.refuse(
            422,
            f"failed to parse workflow: you may only define up to {most} inputs for a "
            "`workflow_dispatch` event",
        )
    if len(json.dumps(given, separators=(",", ":"), ensure_ascii=False)) > LONGEST_INPUTS:
        github.refuse(422, "inputs are too large.")
    if strange := sorted(given.keys() - declared.keys()):
        github.refuse(422, f"Unexpected inputs provided: {json.dumps(strange)}")
    return {n: v for n, about in declared.items() if (v := _input(n, about, given)) is not None}


def _input(name: str, about: dict[str, Any], given: dict[str, Any]) -> str | None:
    default = about.get("default")
    value = given.get(name, _as_text(default))
    if about.get("required") and value in (None, ""):
        github.refuse(422, f"Required input '{name}' not provided")
    if value is None:
        return None
    if not isinstance(value, str):
        github.refuse(422, f"Invalid value for input '{name}': it is not a string")
    options = [_as_text(option) for option in about.get("options") or []]
    if about.get("type") == "choice" and value not in options:
        github.refuse(
            422, f"Provided value '{value}' for input '{name}' not in the list of allowed values"
        )
    if about.get("type") == "boolean" and value not in ("true", "false"):
        github.refuse(422, f"Input '{name}' must be a boolean")
    return value


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
