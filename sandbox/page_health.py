"""The part of the sandbox's board with the figures of each version, and their control API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from sandbox.context import state, to_page
from sandbox.control import guard, json_body, refuse
from sandbox.health import Version

blueprint = Blueprint("page_health", __name__)
blueprint.before_request(guard)


def board() -> dict[str, Any]:
    """What the board shows of it, the newest first."""
    return {"measured": list(state().health.versions.values())[::-1]}


@blueprint.post("/sandbox/health")
def save() -> Response:
    given = {name: value for name, value in request.form.items() if value.strip()}
    try:
        state().health.put(given)
    except ValueError:
        abort(400)
    return to_page("page.home")


# Control API


@blueprint.get("/sandbox/api/health")
def figures() -> Response:
    return jsonify(state().health.dump())


@blueprint.post("/sandbox/api/health")
def put() -> Response:
    """Set the figures of one build: `version`, `build`, and any of `sessions`, `users`,
    `crashFreeSessions`, `crashFreeUsers`, `anrRate` (percentages); `lag` in seconds alone."""
    facts = json_body()
    try:
        if "lag" in facts:
            state().health.lag = float(facts["lag"])
        found: Version | None = state().health.put(facts) if "version" in facts else None
    except (TypeError, ValueError) as error:
        refuse(400, str(error))
    state().touch()
    return jsonify(asdict(found) if found else {"lag": state().health.lag})
