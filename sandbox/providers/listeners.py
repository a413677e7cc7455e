"""`POST /listener/events` receives signed events; `POST /teams/workflows/<name>/invoke` is a
workflow of Power Automate, which accepts cards.

https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, make_response, request

from sandbox.accounts import TEAMS_SIGNATURE
from sandbox.context import state

endpoint = Blueprint("listener", __name__, url_prefix="/listener")
teams = Blueprint("teams", __name__, url_prefix="/teams")
MOST_BYTES = 28_000
CARD = "application/vnd.microsoft.card.adaptive"


@endpoint.post("/events")
def take() -> Response:
    headers = {name.lower(): value for name, value in request.headers.items()}
    with state().lock:
        state().listeners.take(headers, request.get_data())
    return make_response("", state().listeners.status)


@teams.post("/workflows/<name>/invoke")
def invoke(name: str) -> Response:
    """202 whatever the card looks like; a broken one fails within the workflow."""
    if request.args.get("sig") != TEAMS_SIGNATURE:
        return _refuse(401, "DirectApiAuthorizationRequired")
    if name != "releases":
        return _refuse(404, "WorkflowNotFound")
    if len(request.get_data()) > MOST_BYTES:
        return _refuse(413, "RequestEntityTooLarge")
    for content in _cards():
        with state().lock:
            state().listeners.show(content)
    return make_response("", 202)


def _refuse(status: int, code: str) -> Response:
    body = json.dumps({"error": {"code": code, "message": code}})
    return Response(body, status, content_type="application/json")


def _cards() -> list[dict[str, Any]]:
    document = request.get_json(silent=True)
    if not isinstance(document, dict) or document.get("type") != "message":
        return []
    found = [one for one in document.get("attachments", []) if isinstance(one, dict)]
    contents = [one.get("content") for one in found if one.get("contentType") == CARD]
    return [one for one in contents if isinstance(one, dict) and one.get("type") == "AdaptiveCard"]
