"""The control API of the two stores, below /sandbox/api/appstore/ and /sandbox/api/play/: what they
hold, and what a person does there (`POST …/acts/<act>` with facts as a JSON object)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from sandbox.apple import acts as apple_acts
from sandbox.apple.gaps import SWITCHES
from sandbox.apple.trouble import Trouble
from sandbox.context import state
from sandbox.control import guard, json_body, refuse
from sandbox.play import acts as play_acts

blueprint = Blueprint("control_stores", __name__, url_prefix="/sandbox/api")
blueprint.before_request(guard)


@blueprint.get("/appstore")
def app_store() -> Response:
    """All resources with their private facts, the settings, and the acts and switches."""
    about = {"acts": list(apple_acts.ACTS), "switches": SWITCHES}
    return jsonify({**state().stores.apple.dump(), **about})


@blueprint.post("/appstore/acts/<act>")
def act_on_app_store(act: str) -> Response:
    if act not in apple_acts.ACTS:
        refuse(404, f"no act {act!r}; one of {', '.join(apple_acts.ACTS)}")
    facts: dict[str, Any] = json_body()
    store = state().stores.apple
    try:
        found = apple_acts.ACTS[act](store, facts)
    except Trouble as trouble:
        refuse(409, str(trouble))
    except (KeyError, LookupError, TypeError, ValueError) as error:
        refuse(400, f"{type(error).__name__}: {error}")
    state().touch()
    state().settle()
    return jsonify({"type": found.type, "id": found.id, "attributes": found.attributes})


@blueprint.get("/play")
def google_play() -> Response:
    """The app with its tracks, open edits, rights and settings, and the acts and switches."""
    play = state().stores.play
    switches = {
        name: {"about": about, "on": play_acts.is_on(play, name)}
        for name, about in play_acts.SWITCHES.items()
    }
    return jsonify({**play.dump(), "acts": list(play_acts.ACTS), "switches": switches})


@blueprint.post("/play/acts/<act>")
def act_on_play(act: str) -> Response:
    if act not in play_acts.ACTS:
        refuse(404, f"no act {act!r}; one of {', '.join(play_acts.ACTS)}")
    facts: dict[str, Any] = json_body()
    try:
        play_acts.ACTS[act](state().stores.play, facts)
    except (KeyError, LookupError, TypeError, ValueError) as error:
        refuse(400, f"{type(error).__name__}: {error}")
    state().touch()
    return google_play()
