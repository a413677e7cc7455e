"""Google's token endpoint, for service accounts.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import jwt
from flask import Response, jsonify, request

from sandbox import accounts as known
from sandbox.context import accounts
from sandbox.play.base import USERS
from sandbox.providers.google_play.access import blueprint, play

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LIFE = 3599  # seconds
ASSERTION_LIFE = 3600


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
    if claims["iss"] not in USERS:
        return _no_token("invalid_grant", "Invalid grant: account not found")
    if claims["exp"] - claims["iat"] > ASSERTION_LIFE:
        return _no_token(
            "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)"
        )
    if not claims.get("scope"):
        return _no_token("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    return jsonify(_issue(claims["scope"], claims["iss"]))


def _claims(assertion: str) -> dict[str, Any]:
    """Checked with the key of the account that the assertion names."""
    named = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
    is_ci = named == known.GOOGLE_CI_CLIENT_EMAIL
    claims: dict[str, Any] = jwt.decode(
        assertion,
        accounts().google_ci_public_key if is_ci else accounts().google_public_key,
        algorithms=["RS256"],
        audience=[known.GOOGLE_TOKEN_URI, request.base_url],
        options={"require": ["exp", "iat", "iss", "aud"]},
    )
    return claims


def _no_token(error: str, description: str) -> tuple[Response, int]:
    return jsonify({"error": error, "error_description": description}), 400


def _issue(scope: str, user: str) -> dict[str, Any]:
    access_token = f"ya29.sandbox.{secrets.token_urlsafe(24)}"
    play().tokens[access_token] = (time.time() + TOKEN_LIFE, scope, user)
    return {"access_token": access_token, "expires_in": TOKEN_LIFE, "token_type": "Bearer"}
