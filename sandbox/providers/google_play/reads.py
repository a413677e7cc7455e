"""What can be read without an edit: how each release of a track stands.

https://developers.google.com/android-publisher/api-ref/rest/v3/applications.tracks.releases
"""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from sandbox.play.app import PREFIX, Release
from sandbox.play.trouble import missing
from sandbox.providers.google_play.access import APPLICATION, admit, blueprint, play

MOST = 20


@blueprint.get(f"{APPLICATION}/tracks/<track>/releases")
def releases(package: str, track: str) -> Response:
    app, _user = admit(package)
    if track not in app.tracks:
        raise missing(f"Track not found: {track}")
    if not play().settings.has_summaries:
        raise missing("Method not found.")
    found = [_summary(track, one) for one in app.known(track)[:MOST]]
    return jsonify({"releases": found} if found else {})


def _summary(track: str, release: Release) -> dict[str, Any]:
    return {
        "releaseName": release["name"],
        "track": track,
        "activeArtifacts": [{"versionCode": int(code)} for code in release["versionCodes"]],
        "releaseLifecycleState": f"{PREFIX}{release['lifecycle']}",
    }
