"""Who may call the Play Developer API, and how it refuses."""

from __future__ import annotations

import time
from typing import NoReturn

from flask import Blueprint, Response, jsonify, request

from sandbox.context import state
from sandbox.play.app import App
from sandbox.play.store import Play
from sandbox.play.trouble import Trouble, forbidden, missing

blueprint = Blueprint("google_play", __name__)
SCOPE = "https://www.googleapis.com/auth/androidpublisher"
FORBIDDEN_PACKAGES = {"com.dream11.partner"}  # exists, but this account was not invited
API = "androidpublisher/v3/applications/<package>"
APPLICATION = f"/play/{API}"
VIEW = "CAN_VIEW_NON_FINANCIAL_DATA"


def play() -> Play:
    return state().stores.play


@blueprint.errorhandler(Trouble)
def troubled(trouble: Trouble) -> tuple[Response, int]:
    detail = {"message": trouble.message, "domain": trouble.domain, "reason": trouble.reason}
    error = {"code": trouble.code, "message": trouble.message, "errors": [detail]}
    if trouble.status:
        error["status"] = trouble.status
    return jsonify({"error": error}), trouble.code


def admit(package: str) -> tuple[App, str]:
    """The app, and the user whose token may access it. Raises Trouble."""
    user = _user()
    if package in FORBIDDEN_PACKAGES:
        raise forbidden()
    app = play().apps.get(package)
    if app is None:
        words = "No application was found for the given package name."
        raise Trouble(404, words, "", "applicationNotFound", "androidpublisher")
    play().demand(user, VIEW)
    play().count()
    return app, user


def _user() -> str:
    kind, _, access_token = request.headers.get("Authorization", "").partition(" ")
    expiry, scope, user = play().tokens.get(access_token, (0.0, "", ""))
    if kind.lower() != "bearer" or expiry <= time.time():
        words = "Request had invalid authentication credentials. Expected OAuth 2 access token."
        raise Trouble(401, words, "UNAUTHENTICATED", "authError")
    if SCOPE not in scope.split():
        words = "Request had insufficient authentication scopes."
        raise Trouble(403, words, "PERMISSION_DENIED", "insufficientPermissions")
    return user


@blueprint.route("/play/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/google/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path: str) -> NoReturn:
    raise missing("Not Found")
