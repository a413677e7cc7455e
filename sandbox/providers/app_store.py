"""App Store Connect: apps and builds, with a token whose ES256 signature is checked.

https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any, NoReturn

import jwt
from flask import Blueprint, Response, abort, jsonify, request

from sandbox import accounts as known
from sandbox.context import accounts, own_url

blueprint = Blueprint("app_store", __name__, url_prefix="/appstore")
AUDIENCE = "appstoreconnect-v1"
LONGEST_LIFE = 20 * 60  # seconds
HOURLY_LIMIT = 3600


@dataclass(frozen=True)
class App:
    id: str
    name: str
    bundle_id: str
    sku: str


# The filter also matches prefixes, so a client must compare the results.
APPS = (
    App("6450000002", "Dream11 Beta", f"{known.APP_IDENTIFIER}.beta", "DREAM11BETA"),
    App("6450000001", "Dream11", known.APP_IDENTIFIER, "DREAM11"),
)
LIST_WORDS = {"limit", "sort", "cursor"}
LIST_PARAMETERS = {
    "apps": LIST_WORDS | {"filter[bundleId]", "filter[name]", "filter[sku]", "fields[apps]"},
    "builds": LIST_WORDS
    | {"filter[app]", "filter[version]", "filter[preReleaseVersion.version]"}
    | {"filter[processingState]", "fields[builds]", "include"},
}


def refuse(status: int, code: str, title: str, detail: str = "", **more: Any) -> NoReturn:
    error = {"id": str(uuid.uuid4()), "status": str(status), "code": code, "title": title, **more}
    if detail:
        error["detail"] = detail
    answer = jsonify({"errors": [error]})
    answer.status_code = status
    abort(answer)


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
        refuse(
            403,
            "FORBIDDEN_ERROR",
            "This request is forbidden for security reasons",
            "The API key in use does not allow this request",
        )
    if key_id == known.APPLE_NO_AGREEMENT_KEY_ID:
        refuse(
            403,
            "FORBIDDEN.REQUIRED_AGREEMENTS_MISSING_OR_EXPIRED",
            "A required agreement is missing or has expired.",
        )
    if key_id != known.APPLE_KEY_ID:
        _unauthorized()


@blueprint.after_request
def rate_limit(response: Response) -> Response:
    response.headers["X-Rate-Limit"] = (
        f"user-hour-lim:{HOURLY_LIMIT};user-hour-rem:{HOURLY_LIMIT - 55};"
    )
    return response


@blueprint.get("/v1/apps")
def apps() -> Response:
    limit = _check_list("apps")
    wanted = [w for w in request.args.get("filter[bundleId]", "").split(",") if w]
    found = [a for a in APPS if not wanted or any(a.bundle_id.startswith(w) for w in wanted)]
    return _list([_app_json(app) for app in found], limit)


@blueprint.get("/v1/apps/<app_id>")
def app(app_id: str) -> Response:
    found = next((a for a in APPS if a.id == app_id), None)
    if found is None:
        detail = f"There is no resource of type 'apps' with id '{app_id}'"
        refuse(404, "NOT_FOUND", "The specified resource does not exist", detail)
    return jsonify({"data": _app_json(found), "links": {"self": request.base_url}})


@blueprint.get("/v1/builds")
def builds() -> Response:
    return _list([], _check_list("builds"))


def _check_list(kind: str) -> int:
    """The page size. Unknown parameters are an error, not ignored."""
    for name in request.args:
        if name not in LIST_PARAMETERS[kind]:
            _bad_parameter(
                name, "PARAMETER_ERROR.ILLEGAL", f"The parameter '{name}' can not be used"
            )
    limit = request.args.get("limit", "50")
    if not limit.isdecimal() or not 1 <= int(limit) <= 200:
        _bad_parameter("limit", "PARAMETER_ERROR.INVALID", f"'{limit}' is not a valid limit")
    return int(limit)


def _bad_parameter(name: str, code: str, detail: str) -> NoReturn:
    refuse(400, code, "A parameter has an invalid value", detail, source={"parameter": name})


def _list(items: list[dict[str, Any]], limit: int) -> Response:
    paging = {"paging": {"total": len(items), "limit": limit}}
    return jsonify({"data": items[:limit], "links": {"self": request.url}, "meta": paging})


def _app_json(app: App) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "name": app.name,
        "bundleId": app.bundle_id,
        "sku": app.sku,
        "primaryLocale": "en-US",
    }
    if asked := request.args.get("fields[apps]"):
        attributes = {name: value for name, value in attributes.items() if name in asked.split(",")}
    url = f"{own_url('appstore')}/v1/apps/{app.id}"
    return {"type": "apps", "id": app.id, "attributes": attributes, "links": {"self": url}}


@blueprint.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
def unknown(path: str) -> Response:
    refuse(
        404,
        "NOT_FOUND",
        "The specified resource does not exist",
        f"The path '/{path}' does not exist",
    )
