"""The control API of Any CI, below /sandbox/api/webhook/. Its `jobs` are receivers, by their name
or by their address, and its `builds` numbers, as for every CI server of the sandbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from sandbox.context import state
from sandbox.control import guard, json_body, refuse
from sandbox.receivers import Build, Receiver, Receivers

blueprint = Blueprint("control_receivers", __name__, url_prefix="/sandbox/api/webhook")
blueprint.before_request(guard)
SETTINGS = {
    "autoFinishSeconds": "auto_finish_seconds",
    "autoFinishResult": "auto_finish_result",
    "queueSeconds": "queue_seconds",
    "silent": "is_silent",
    "buildsRepeats": "builds_repeats",
    "hasStatus": "has_status",
}


def _receivers() -> Receivers:
    return state().receivers


def _receiver(name: str) -> Receiver:
    found = _receivers().all.get(name.rpartition("/")[2])
    if found is None:
        refuse(404, f"no receiver {name!r}")
    return found


def _json(receiver: Receiver) -> dict[str, Any]:
    settings = {name: getattr(receiver, attribute) for name, attribute in SETTINGS.items()}
    builds = [build_facts(build) for build in _receivers().newest(receiver.name)]
    return {"name": receiver.name, **settings, "builds": builds}


def build_facts(build: Build) -> dict[str, Any]:
    return {**asdict(build), "result": build.result or None}


@blueprint.get("/jobs")
def receivers() -> Response:
    return jsonify({"jobs": [_json(one) for one in _receivers().all.values()]})


@blueprint.route("/jobs/<path:name>", methods=["PATCH", "POST"])
def change(name: str) -> Response:
    """Change its settings, and the `secret` in its `webhook`."""
    found, body = _receiver(name), json_body()
    webhook = body.pop("webhook", {})
    if body.keys() - SETTINGS.keys() or not isinstance(webhook, dict):
        refuse(400, "unknown or bad setting")
    found.secret = str(webhook.get("secret", found.secret))
    for setting, value in body.items():
        setattr(found, SETTINGS[setting], value)
    state().touch()
    state().settle()
    return jsonify(_json(found))


@blueprint.post("/builds/<int:number>/finish")
def finish(number: int) -> Response:
    build = _receivers().numbered(number)
    if build is None:
        refuse(404, f"no build #{number}")
    try:
        _receivers().finish(build, str(json_body().get("result", "SUCCESS")))
    except ValueError as error:
        refuse(400, str(error))
    return jsonify(build_facts(build))
