"""Edits and what is inside: tracks, bundles, countries, details.

https://developers.google.com/android-publisher/api-ref/rest/v3/edits
"""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from sandbox.play.app import Release, shown
from sandbox.play.edits import BEHAVIORS, CANCEL, Edit
from sandbox.play.trouble import bad
from sandbox.providers.google_play.access import APPLICATION, admit, blueprint, play

EDIT = f"{APPLICATION}/edits/<edit_id>"
FORM_FACTORS = ("DEFAULT", "WEAR", "AUTOMOTIVE", "FORM_FACTOR_UNSPECIFIED")


def found(package: str, edit_id: str) -> Edit:
    _app, user = admit(package)
    return play().edits.find(package, edit_id, user)


def edit_json(edit: Edit) -> dict[str, str]:
    return {"id": edit.id, "expiryTimeSeconds": str(int(edit.expires_at))}


@blueprint.post(f"{APPLICATION}/edits")
def insert_edit(package: str) -> Response:
    _app, user = admit(package)
    return jsonify(edit_json(play().edits.insert(package, user)))


@blueprint.get(EDIT)
def get_edit(package: str, edit_id: str) -> Response:
    return jsonify(edit_json(found(package, edit_id)))


@blueprint.delete(EDIT)
def delete_edit(package: str, edit_id: str) -> Response:
    play().edits.delete(found(package, edit_id))
    return Response(status=204)


@blueprint.post(f"{EDIT}:validate")
def validate(package: str, edit_id: str) -> Response:
    edit = found(package, edit_id)
    play().edits.validate(edit)
    return jsonify(edit_json(edit))


@blueprint.post(f"{EDIT}:commit")
def commit(package: str, edit_id: str) -> Response:
    edit = found(package, edit_id)
    behavior = request.args.get("changesInReviewBehavior", CANCEL)
    held_back = request.args.get("changesNotSentForReview", "false").lower()
    if behavior not in BEHAVIORS or held_back not in ("true", "false"):
        raise bad("Invalid value of a query parameter.")
    play().edits.commit(edit, held_back=held_back == "true", behavior=behavior)
    return jsonify(edit_json(edit))


# Tracks


def _track_json(edit: Edit, track: str) -> dict[str, Any]:
    releases = [shown(one) for one in play().edits.track(edit, track)]
    return {"track": track, "releases": releases} if releases else {"track": track}


@blueprint.get(f"{EDIT}/tracks")
def tracks(package: str, edit_id: str) -> Response:
    edit = found(package, edit_id)
    listed = [_track_json(edit, name) for name in edit.tracks]
    return jsonify({"kind": "androidpublisher#tracksListResponse", "tracks": listed})


@blueprint.post(f"{EDIT}/tracks")
def create_track(package: str, edit_id: str) -> Response:
    edit, body = found(package, edit_id), _body()
    if (
        body.get("type") != "CLOSED_TESTING"
        or body.get("formFactor", "DEFAULT") not in FORM_FACTORS
    ):
        raise bad("Only tracks of the type CLOSED_TESTING can be created.")
    name = str(body.get("track", ""))
    play().edits.add_track(edit, name)
    return jsonify(_track_json(edit, name))


@blueprint.get(f"{EDIT}/tracks/<track>")
def track_of(package: str, edit_id: str, track: str) -> Response:
    return jsonify(_track_json(found(package, edit_id), track))


@blueprint.put(f"{EDIT}/tracks/<track>")
def put_track(package: str, edit_id: str, track: str) -> Response:
    return _write(found(package, edit_id), track, _body().get("releases", []))


@blueprint.patch(f"{EDIT}/tracks/<track>")
def patch_track(package: str, edit_id: str, track: str) -> Response:
    """Merges at the top alone: a list of releases replaces the one that is there."""
    edit, body = found(package, edit_id), _body()
    known: list[Release] = [shown(one) for one in play().edits.track(edit, track)]
    return _write(edit, track, body.get("releases", known))


def _write(edit: Edit, track: str, releases: Any) -> Response:
    if _body().get("track", track) != track:
        raise bad("The track in the body is not the one in the path.")
    play().edits.write(edit, track, releases)
    play().touch()
    return jsonify(_track_json(edit, track))


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise bad("Invalid JSON payload received.")
    return body


# Bundles and what else the app has


@blueprint.get(f"{EDIT}/bundles")
def bundles(package: str, edit_id: str) -> Response:
    edit = found(package, edit_id)
    known = {**play().apps[package].used, **edit.uploaded}
    listed = [{"versionCode": int(code), **hashes} for code, hashes in known.items()]
    return jsonify({"kind": "androidpublisher#bundlesListResponse", "bundles": listed})


@blueprint.get(f"{EDIT}/apks")
def apks(package: str, edit_id: str) -> Response:
    found(package, edit_id)
    return jsonify({"kind": "androidpublisher#apksListResponse"})


@blueprint.get(f"{EDIT}/countryAvailability/<track>")
def countries(package: str, edit_id: str, track: str) -> Response:
    edit = found(package, edit_id)
    play().edits.track(edit, track)
    codes = play().apps[package].countries.get(track, [])
    listed = [{"countryCode": code} for code in codes]
    same = track != "production"
    return jsonify({"countries": listed, "restOfWorld": False, "syncWithProduction": same})


@blueprint.get(f"{EDIT}/details")
def details(package: str, edit_id: str) -> Response:
    found(package, edit_id)
    return jsonify({"defaultLanguage": "en-US", "contactEmail": "priya@sandbox.example"})


@blueprint.get(f"{EDIT}/listings")
def listings(package: str, edit_id: str) -> Response:
    found(package, edit_id)
    words = {"title": "Dream11", "shortDescription": "Fantasy sports with your friends."}
    listing = {"language": "en-US", **words, "fullDescription": words["shortDescription"]}
    answer = {"kind": "androidpublisher#listingsListResponse", "listings": [listing]}
    return jsonify(answer)
