"""Reading: lists, single resources, what is related to them."""

from __future__ import annotations

from typing import NoReturn

from flask import Response, jsonify, request

from sandbox.apple.records import Record
from sandbox.apple.shapes import SHAPES
from sandbox.apple.trouble import missing
from sandbox.providers.app_store import answers, parameters
from sandbox.providers.app_store.access import blueprint, refuse, store

VERSION = "appStoreVersions"
NO_GET = ("appStoreVersionReleaseRequests", "webhookPings", "buildBetaNotifications")


@blueprint.get("/v1/<kind>")
def every(kind: str) -> Response:
    shape = SHAPES.get(kind)
    if shape is None:
        unknown(f"v1/{kind}")
    if not shape.top:
        not_allowed(kind, "GET_COLLECTION")
    query = parameters.read(kind, many=True)
    return answers.page(parameters.choose(store().records, query, store().records.all(kind)), query)


@blueprint.get("/v1/<kind>/<key>")
def single(kind: str, key: str) -> Response:
    found = resource(kind, key)
    if kind in NO_GET:
        not_allowed(kind, "GET_INSTANCE")
    return answers.one(found, parameters.read(kind, many=False))


@blueprint.get("/v1/<kind>/<key>/<name>")
def related(kind: str, key: str, name: str) -> Response:
    found = resource(kind, key)
    shape = SHAPES[kind]
    if not shape.knows(name):
        unknown(f"v1/{kind}/{key}/{name}")
    there = shape.type_of(name)
    is_plural = shape.is_plural(name)
    if there not in SHAPES:  # a relationship that the sandbox knows by name only
        return answers.page([], parameters.Query()) if is_plural else _none()
    query = parameters.read(there, many=is_plural)
    if not is_plural:
        return answers.one(store().records.one(found, name), query)
    others = store().records.related(found, name)
    return answers.page(parameters.choose(store().records, query, others), query)


def _none() -> Response:
    return answers.one(None, parameters.Query())


@blueprint.get("/v1/<kind>/<key>/relationships/<name>")
def linked(kind: str, key: str, name: str) -> Response:
    found, shape = resource(kind, key), SHAPES[kind]
    if not shape.knows(name):
        unknown(f"v1/{kind}/{key}/relationships/{name}")
    others = store().records.related(found, name) if shape.type_of(name) in SHAPES else []
    if shape.is_plural(name):
        return answers.linkages(others, parameters.read(shape.type_of(name), many=True))
    document = {"data": answers.linkage(others[0]) if others else None}
    return jsonify({**document, "links": {"self": request.base_url}})


def resource(kind: str, key: str) -> Record:
    """Raises Trouble: 404. A version that was just made is not found everywhere at once."""
    if kind not in SHAPES:
        unknown(f"v1/{kind}/{key}")
    found = store().records.get(kind, key)
    if kind == VERSION and request.method == "GET" and found.private.get("hidden_reads", 0) > 0:
        found.private["hidden_reads"] -= 1
        store().touch()
        raise missing(kind, key)
    return found


def not_allowed(kind: str, what: str) -> NoReturn:
    detail = f"The resource '{kind}' does not allow '{what}'."
    refuse(403, "FORBIDDEN_ERROR", "The given operation is not allowed", detail)


@blueprint.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
def unknown(path: str) -> NoReturn:
    refuse(
        404,
        "NOT_FOUND",
        "The specified resource does not exist",
        f"The path '/{path}' does not exist",
    )
