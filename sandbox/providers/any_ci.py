"""The receivers of Any CI: `POST /anyci/hooks/<name>` takes a trigger, `GET
/anyci/status/<buildId>` tells how a build is, and `/anyci/builds/<number>` is its page."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, abort, jsonify, make_response, render_template, request

from sandbox.accounts import ANY_CI_TOKEN
from sandbox.context import state
from sandbox.receivers import Build, Receiver, Receivers

blueprint = Blueprint("any_ci", __name__, url_prefix="/anyci")
WANTED = {"buildId", "version", "branch", "commit", "platform", "parameters", "callbackUrl"}


def _receivers() -> Receivers:
    return state().receivers


def _refuse(status: int, words: str) -> Response:
    return make_response(jsonify({"error": words}), status)


def _may_come_in(receiver: Receiver) -> bool:
    headers = {name.lower(): value for name, value in request.headers.items()}
    is_ours = headers.get("authorization") == f"Bearer {ANY_CI_TOKEN}"
    return is_ours and _receivers().is_genuine(receiver, headers, request.get_data())


@blueprint.post("/hooks/<name>")
def take(name: str) -> Response:
    receiver = _receivers().all.get(name)
    if receiver is None:
        return _refuse(404, "no such receiver")
    if not _may_come_in(receiver):
        return _refuse(401, "the signature or the token is wrong")
    data = _trigger()
    if data is None or data["buildId"] != request.headers["webhook-id"]:
        return _refuse(400, "this is no trigger")
    build = _receivers().take(receiver, data)
    told = _receivers().told(build)
    accepted = {name: told[name] for name in ("buildNumber", "buildUrl")}
    return make_response(jsonify(accepted), 202)


def _trigger() -> dict[str, Any] | None:
    """The data of a `build.trigger`, exactly as the contract has it."""
    try:
        document = json.loads(request.get_data())
    except ValueError:
        return None
    is_trigger = isinstance(document, dict) and document.get("type") == "build.trigger"
    if not is_trigger or document.keys() != {"type", "data"}:
        return None
    data = document["data"]
    return data if isinstance(data, dict) and data.keys() == WANTED else None


@blueprint.get("/status/<build_id>")
def status(build_id: str) -> Response:
    build = _receivers().find(build_id)
    known = list(_receivers().all.values()) if build is None else [_receiver_of(build)]
    if not any(_may_come_in(one) for one in known):
        return _refuse(401, "the signature or the token is wrong")
    if build is None or not _receiver_of(build).has_status:
        return _refuse(404, "no such build")
    return jsonify(_receivers().told(build))


def _receiver_of(build: Build) -> Receiver:
    return _receivers().all[build.receiver]


@blueprint.get("/builds/<int:number>")
def page(number: int) -> str:
    build = _receivers().numbered(number)
    if build is None:
        abort(404)
    return render_template("sandbox/receiver_build.html", build=build)
