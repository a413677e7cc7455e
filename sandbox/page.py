"""The page at / for a person who watches the sandbox."""

from __future__ import annotations

from flask import Blueprint, Response

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
def home() -> Response:
    return Response("The sandbox is running.", content_type="text/plain")
