"""Who asks the GitHub stand-in: by a token of a person or of an app's installation, or as the app
itself by a JWT.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import re
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import g, request

from sandbox.context import state
from sandbox.github_apps import App
from sandbox.providers.github import TOKENS, Token, blueprint, refuse

LONGEST_JWT = 600  # seconds
SKEW = 60  # that GitHub allows
SUSPENDED = "This installation has been suspended"
_OPEN = re.compile(r"/app-manifests/[^/]+/conversions$")  # the code is the credential
_AS_APP = re.compile(r"^/(github|api/v3)/(app(/.*)?|repos/[^/]+/[^/]+/installation)$")


@blueprint.before_request
def authenticate() -> None:
    g.token = g.token_ends = None
    if not request.headers.get("User-Agent"):
        refuse(403, "Request forbidden by administrative rules. Send a User-Agent header.")
    if _OPEN.search(request.path):
        return
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if not secret:
        refuse(401, "Requires authentication")
    if kind.lower() not in ("token", "bearer"):
        refuse(401, "Bad credentials")
    if _AS_APP.search(request.path):
        g.app = _app_behind(secret.strip())
        return
    g.token, g.token_ends = _token_behind(secret.strip())
    if state().github.refuses and not request.path.endswith("/user"):
        refuse(403, state().github.refuses)


def _token_behind(secret: str) -> tuple[Token, float | None]:
    ends = state().github.token_ends.get(secret)
    is_over = ends is not None and ends <= time.time()
    token = TOKENS.get(secret) or _token_of_app(secret)
    if token is None or is_over:
        refuse(401, "Bad credentials")
    return token, ends


def _token_of_app(secret: str) -> Token | None:
    found = state().github_apps.behind(secret)
    if found is None:
        return None
    app, installation = found
    if installation.is_suspended:
        refuse(403, SUSPENDED)
    push = installation.permissions.get("contents") == "write"
    return Token(app.login, push, None, is_app=True, installation=installation)


def _app_behind(secret: str) -> App:
    """The app that signed the JWT."""
    try:
        claims = jwt.decode(secret, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        refuse(401, "A JSON web token could not be decoded")
    issuer = str(claims.get("iss", ""))
    app = state().github_apps.apps.get(int(issuer)) if issuer.isdecimal() else None
    if app is None:
        refuse(404, "Integration not found")
    _check_times(claims)
    key: Any = load_pem_private_key(app.pem.encode(), password=None).public_key()
    try:
        jwt.decode(secret, key, algorithms=["RS256"], options={"verify_iat": False})
    except jwt.InvalidTokenError:
        refuse(401, "A JSON web token could not be decoded")
    return app


def _check_times(claims: dict[str, Any]) -> None:
    now, issued, ends = time.time(), claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now + SKEW:
        refuse(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the "
            "assertion was issued",
        )
    if not isinstance(ends, int) or ends < now:
        refuse(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future "
            "time at which the assertion expires",
        )
    if ends > now + LONGEST_JWT:
        refuse(401, "'Expiration time' claim ('exp') is too far in the future")
