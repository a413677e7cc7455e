"""The part of the sandbox's board on which builds of Any CI are ended, and the settings of its
receivers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request

from sandbox.context import state, to_page
from sandbox.control import guard
from sandbox.receivers import RESULTS, Build, Receiver

blueprint = Blueprint("page_receivers", __name__)
blueprint.before_request(guard)
SHOWN_BUILDS = 5


def board() -> dict[str, Any]:
    """What the board shows of it."""
    return {"receivers": [_receiver(one) for one in state().receivers.all.values()]}


def _receiver(receiver: Receiver) -> dict[str, Any]:
    builds = state().receivers.newest(receiver.name)[:SHOWN_BUILDS]
    return {
        "name": receiver.name,
        "is_silent": receiver.is_silent,
        "builds": [_build(build) for build in builds],
    }


def _build(build: Build) -> dict[str, Any]:
    ended = build.ended_at or state().clock()
    return {
        "number": build.number,
        "status": build.status,
        "is_over": bool(build.result),
        "seconds": round(ended - (build.started_at or build.created_at)),
        "facts": {name: build.data.get(name) for name in ("version", "branch", "buildId")},
    }


@blueprint.post("/sandbox/receivers/finish")
def finish() -> Response:
    build = state().receivers.numbered(request.form.get("number", -1, type=int))
    result = request.form.get("result", "")
    if build is None or result not in RESULTS:
        abort(400)
    state().receivers.finish(build, result)
    return to_page("page.home")


@blueprint.post("/settings/receiver")
def save() -> Response:
    form = request.form
    receiver = state().receivers.all.get(form.get("name", ""))
    result = form.get("autoFinishResult", "SUCCESS")
    if receiver is None or result not in RESULTS:
        abort(400)
    receiver.secret = form.get("secret", "").strip() or receiver.secret
    receiver.auto_finish_seconds = form.get("autoFinishSeconds", type=float)
    receiver.auto_finish_result = result
    receiver.is_silent = "isSilent" in form
    receiver.builds_repeats = "buildsRepeats" in form
    receiver.has_status = "hasStatus" in form
    state().touch()
    return to_page("page.settings", saved="receiver")
