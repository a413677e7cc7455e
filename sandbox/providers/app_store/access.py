"""Who may call App Store Connect: tokens, keys and their roles, the agreement and the hourly limit.

https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests
"""

from __future__ import annotations

import time
from typing import Any, NoReturn

import jwt
from flask import Blueprint, Response, g, jsonify, request

from sandbox import accounts as known
from sandbox.apple.store import AppStore
from sandbox.apple.trouble import Trouble, said
from sandbox.context import accounts, state

blueprint = Blueprint("app_store", __name__, url_prefix="/appstore")
AUDIENCE = "appstoreconnect-v1"
LONGEST_LIFE = 20 * 60  # seconds
# The hour of a new sandbox is not unused, as that of a real key seldom is.
USED_BEFORE = 54
AGREEMENT = "FORBIDDEN.REQUIRED_AGREEMENTS_MISSING_OR_EXPIRED"


def store() -> AppStore:
    return state().stores.apple


def refuse(status: int, code: str, title: str, detail: str = "", **more: Any) -> NoReturn:
    raise Trouble(status, {**said(code, title, detail), **more})


@blueprint.errorhandler(Trouble)
def troubled(trouble: Trouble) -> tuple[Response, int]:
    return jsonify({"errors": trouble.errors}), trouble.status


def _unauthorized() -> NoReturn:
    refuse(
        401,
        "NOT_AUTHORIZED",
        "Authentication credentials are missing or invalid.",
        "Provide a properly configured and signed bearer token that has not expired.",
    )


@blueprint.before_request
def authenticate() -> None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bearer":
        _unauthorized()
    try:
        key_id = jwt.get_unverified_header(token).get("kid", "")
        claims = _claims(token)
    except jwt.InvalidTokenError:
        _unauthorized()
    now = time.time()
    if claims["exp"] > min(claims.get("iat", now), now) + LONGEST_LIFE:
        _unauthorized()
    _check_key(key_id)
    g.key_id = key_id
    _count(key_id)


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        accounts().apple_public_key,
        algorithms=["ES256"],
        audience=AUDIENCE,
        issuer=known.APPLE_ISSUER_ID,
        options={"require": ["exp", "iss", "aud"]},
    )
    return claims


def _check_key(key_id: str) -> None:
    """Refuse an unknown key, and one whose role or agreement does not suffice."""
    if key_id == known.APPLE_FORBIDDEN_KEY_ID:
        _forbid()
    if key_id == known.APPLE_NO_AGREEMENT_KEY_ID or "agreement" in store().settings.missing:
        refuse(403, AGREEMENT, "A required agreement is missing or has expired.")
    if key_id not in (known.APPLE_KEY_ID, known.APPLE_DEVELOPER_KEY_ID):
        _unauthorized()
    if key_id == known.APPLE_DEVELOPER_KEY_ID and request.method != "GET":
        _forbid()  # the role Developer reads and uploads


def _forbid() -> NoReturn:
    refuse(
        403,
        "FORBIDDEN_ERROR",
        "This request is forbidden for security reasons",
        "The API key in use does not allow this request",
    )


def _count(key_id: str) -> None:
    g.left = store().left(key_id) - USED_BEFORE
    if g.left < 0:
        refuse(
            429,
            "RATE_LIMIT_EXCEEDED",
            "The request rate limit has been reached.",
            "We've received too many requests for this API. Please wait and try again.",
        )


@blueprint.after_request
def rate_limit(response: Response) -> Response:
    left = max(g.get("left", 0), 0)
    limit = store().settings.hourly_limit
    response.headers["X-Rate-Limit"] = f"user-hour-lim:{limit};user-hour-rem:{left};"
    return response
