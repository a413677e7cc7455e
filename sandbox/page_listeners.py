"""The part of the sandbox's board with received events and cards, the settings of the endpoint, and
its control API."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from sandbox.context import clock_time, state, to_page
from sandbox.control import guard, json_body
from sandbox.listeners import Card, Event

blueprint = Blueprint("page_listeners", __name__)
blueprint.before_request(guard)
SHOWN = 15
STATUSES = (204, 200, 302, 400, 410, 429, 500, 503)
_LINK = re.compile(r"\[((?:[^\]\\]|\\.)*)\]\(([^)]*)\)")
_ESCAPED = re.compile(r"\\(.)")


def board() -> dict[str, Any]:
    """What the board shows of it."""
    listeners = state().listeners
    return {
        "events": [_event(one) for one in listeners.events[: -SHOWN - 1 : -1]],
        "cards": [_card(one) for one in listeners.cards[: -SHOWN - 1 : -1]],
    }


def _event(event: Event) -> dict[str, Any]:
    data = event.body.get("data")
    data = data if isinstance(data, dict) else {}
    release = data.get("release")
    release = release if isinstance(release, dict) else {}
    facts = {"sequence": data.get("sequence"), "version": release.get("version")}
    return {
        "id": event.id,
        "type": event.body.get("type", "?"),
        "verdict": event.verdict,
        "is_repeat": event.is_repeat,
        "at": clock_time(event.at),
        "facts": {name: value for name, value in facts.items() if value is not None},
    }


def _card(card: Card) -> dict[str, Any]:
    blocks = [one for one in card.content.get("body", []) if isinstance(one, dict)]
    texts = [_plain(str(one.get("text", ""))) for one in blocks]
    actions = [one for one in card.content.get("actions", []) if isinstance(one, dict)]
    return {
        "title": texts[0] if texts else "",
        "lines": [line for text in texts[1:] for line in text.split("\n") if line.strip()],
        "actions": [str(one.get("title", "")) for one in actions],
        "at": clock_time(card.at),
    }


def _plain(text: str) -> str:
    """Markdown as Teams shows it, without the addresses of links."""
    return _ESCAPED.sub(r"\1", _LINK.sub(r"\1", text))


@blueprint.post("/settings/endpoint")
def save() -> Response:
    status = request.form.get("status", 0, type=int)
    if status not in STATUSES:
        abort(400)
    _change(request.form.get("secret", "").strip() or state().listeners.secret, status)
    return to_page("page.settings", saved="endpoint")


@blueprint.route("/sandbox/api/endpoint", methods=["GET", "PATCH", "POST"])
def control() -> Response:
    """Read what was received; change the `secret` and the `status` of the answers."""
    listeners = state().listeners
    if request.method != "GET":
        body = json_body()
        _change(
            str(body.get("secret", listeners.secret)), int(body.get("status", listeners.status))
        )
    events = [asdict(one) for one in listeners.events]
    return jsonify({"status": listeners.status, "events": events})


def _change(secret: str, status: int) -> None:
    with state().lock:
        state().listeners.secret, state().listeners.status = secret, status
        state().touch()
