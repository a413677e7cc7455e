"""Uploading bundles, at once or in pieces. The file stays on disk, and only until it was read.

https://developers.google.com/android-publisher/upload
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from typing import IO, Any

from flask import Response, jsonify, request

from sandbox.context import own_url
from sandbox.play import bundles
from sandbox.play.edits import TESTING, Edit
from sandbox.play.trouble import bad, missing
from sandbox.providers.google_play.access import API, blueprint, play
from sandbox.providers.google_play.edits import found

UPLOADS = f"/play/upload/{API}/edits/<edit_id>/bundles"
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class Session:
    """An upload in pieces. Not kept over a restart of the sandbox."""

    edit: str
    file: IO[bytes]
    received: int = 0
    answer: dict[str, Any] | None = None  # when it is complete, for who asks again


SESSIONS: dict[str, Session] = {}


@blueprint.post(UPLOADS)
def upload(package: str, edit_id: str) -> Response:
    edit = found(package, edit_id)
    play().demand(edit.user, TESTING)
    kind = request.args.get("uploadType")
    if kind == "media":
        return jsonify(_taken(edit, request.environ["wsgi.input"]))
    if kind != "resumable":
        raise bad("The uploadType must be media or resumable.")
    key = secrets.token_urlsafe(16)
    SESSIONS[key] = Session(edit.id, tempfile.TemporaryFile())  # noqa: SIM115 -- open until it is read
    below = request.path.removeprefix("/play/")
    url = f"{own_url('play')}/{below}?uploadType=resumable&upload_id={key}"
    return Response(status=200, headers={"Location": url})


@blueprint.put(UPLOADS)
def go_on(package: str, edit_id: str) -> Response:
    """The next piece, or a question how much has arrived."""
    edit, key = found(package, edit_id), request.args.get("upload_id", "")
    session = SESSIONS.get(key)
    if session is None or session.edit != edit.id:
        raise missing("The upload session was not found.")
    if session.answer is not None:
        return jsonify(session.answer)
    first, total = _place(session)
    if first is not None:
        if first != session.received:
            return _so_far(session)
        shutil.copyfileobj(request.environ["wsgi.input"], session.file)
        session.received = session.file.tell()
    if total is None or session.received < total:
        return _so_far(session)
    try:
        session.answer = _taken(edit, session.file)
    finally:
        session.file.close()
        if session.answer is None:
            del SESSIONS[key]
    return jsonify(session.answer)


def _place(session: Session) -> tuple[int | None, int | None]:
    """Where the piece begins, None for a question; and how long the file is, if that is known.
    Without a range it is the whole file."""
    text = request.headers.get("Content-Range")
    if text is None:
        return session.received, session.received + (request.content_length or 0)
    match = _RANGE.fullmatch(text)
    if match is None:
        raise bad("The Content-Range is not valid.")
    first = None if match[1] is None else int(match[1])
    return first, None if match[3] == "*" else int(match[3])


def _so_far(session: Session) -> Response:
    headers = {"Range": f"bytes=0-{session.received - 1}"} if session.received else {}
    return Response(status=308, headers=headers)


def _taken(edit: Edit, file: IO[bytes]) -> dict[str, Any]:
    bundle = bundles.read(file)
    bundles.check_package(bundle, edit.package)
    play().edits.upload(edit, bundle.code, bundle.hashes)
    return {"versionCode": bundle.code, **bundle.hashes}
