"""Google's token endpoint, and the part of the Play Developer API that delivr reads, plus edits.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
https://developers.google.com/android-publisher/api-ref/rest
"""

from __future__ import annotations

import secrets
import time
from typing import Any, NoReturn

import jwt
from flask import Blueprint, Response, abort, jsonify, request

from sandbox import accounts as known
from sandbox.context import accounts, state
from sandbox.stores import Edit, Stores

blueprint = Blueprint("google_play", __name__)
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/androidpublisher"
TOKEN_LIFE = 3599  # seconds
ASSERTION_LIFE = 3600
PACKAGES = {known.APP_IDENTIFIER}
FORBIDDEN_PACKAGES = {"com.dream11.partner"}  # exists, but this account was not invited
TRACKS = ("production", "beta", "alpha", "internal")
APPLICATION = "/play/androidpublisher/v3/applications/<package>"


# Token endpoint


@blueprint.post("/google/token")
def token() -> Response | tuple[Response, int]:
    if request.form.get("grant_type") != GRANT:
        return _no_token("unsupported_grant_type", "Invalid grant_type: must be jwt-bearer")
    assertion = request.form.get("assertion", "")
    try:
        claims = _claims(assertion)
    except jwt.InvalidSignatureError:
        return _no_token("invalid_grant", "Invalid JWT Signature.")
    except jwt.InvalidTokenError as error:
        return _no_token("invalid_grant", f"Invalid JWT: {error}")
    if claims["iss"] != known.GOOGLE_CLIENT_EMAIL:
        return _no_token("invalid_grant", "Invalid grant: account not found")
    if claims["exp"] - claims["iat"] > ASSERTION_LIFE:
        return _no_token(
            "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)"
        )
    if not claims.get("scope"):
        return _no_token("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    return jsonify(_issue(claims["scope"]))


def _claims(assertion: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        assertion,
        accounts().google_public_key,
        algorithms=["RS256"],
        audience=[known.GOOGLE_TOKEN_URI, request.base_url],
        options={"require": ["exp", "iat", "iss", "aud"]},
    )
    return claims


def _no_token(error: str, description: str) -> tuple[Response, int]:
    return jsonify({"error": error, "error_description": description}), 400


def _issue(scope: str) -> dict[str, Any]:
    access_token = f"ya29.sandbox.{secrets.token_urlsafe(24)}"
    _stores().google_tokens[access_token] = (time.time() + TOKEN_LIFE, scope)
    return {"access_token": access_token, "expires_in": TOKEN_LIFE, "token_type": "Bearer"}


def _stores() -> Stores:
    return state().stores


# Play


def refuse(code: int, message: str, status: str, reason: str, domain: str = "global") -> NoReturn:
    detail = {"message": message, "domain": domain, "reason": reason}
    error: dict[str, Any] = {"code": code, "message": message, "errors": [detail]}
    if status:
        error["status"] = status
    answer = jsonify({"error": error})
    answer.status_code = code
    abort(answer)


def _admit(package: str) -> None:
    """Abort unless a valid token with the right scope may access the package."""
    kind, _, access_token = request.headers.get("Authorization", "").partition(" ")
    expiry, scope = _stores().google_tokens.get(access_token, (0.0, ""))
    if kind.lower() != "bearer" or expiry <= time.time():
        words = "Request had invalid authentication credentials. Expected OAuth 2 access token."
        refuse(401, words, "UNAUTHENTICATED", "authError")
    if SCOPE not in scope.split():
        words = "Request had insufficient authentication scopes."
        refuse(403, words, "PERMISSION_DENIED", "insufficientPermissions")
    if package in FORBIDDEN_PACKAGES:
        refuse(403, "The caller does not have permission", "PERMISSION_DENIED", "forbidden")
    if package not in PACKAGES:
        words = "No application was found for the given package name."
        refuse(404, words, "", "applicationNotFound", "androidpublisher")


@blueprint.get(f"{APPLICATION}/tracks/<track>/releases")
def releases(package: str, track: str) -> Response:
    _admit(package)
    if track not in TRACKS:
        refuse(404, f"Track not found: {track}", "NOT_FOUND", "notFound")
    if track != "production":
        return jsonify({})
    release = {
        "releaseName": "1.4.0",
        "track": track,
        "activeArtifacts": [{"versionCode": 140}],
        "releaseLifecycleState": "RELEASE_LIFECYCLE_STATE_PUBLISHED",
    }
    return jsonify({"releases": [release]})


@blueprint.post(f"{APPLICATION}/edits")
def insert_edit(package: str) -> Response:
    _admit(package)
    return jsonify(_edit_json(_stores().insert_edit(package)))


@blueprint.get(f"{APPLICATION}/edits/<edit_id>")
def get_edit(package: str, edit_id: str) -> Response:
    _admit(package)
    edit = _stores().edit(package, edit_id)
    if edit is None:
        refuse(
            400, "This Edit has been deleted or has expired.", "", "editExpired", "androidpublisher"
        )
    return jsonify(_edit_json(edit))


def _edit_json(edit: Edit) -> dict[str, str]:
    return {"id": edit.id, "expiryTimeSeconds": str(int(edit.expires_at))}


@blueprint.route("/play/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/google/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path: str) -> Response:
    refuse(404, "Not Found", "NOT_FOUND", "notFound")
