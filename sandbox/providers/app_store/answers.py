"""Answers as JSON:API documents, with links, paging and included resources.

https://jsonapi.org/format/1.0/
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, request

from sandbox.apple.records import Record
from sandbox.apple.shapes import SHAPES
from sandbox.context import own_url
from sandbox.providers.app_store.access import store
from sandbox.providers.app_store.parameters import Query, cursor

INCLUDED = 10  # of a relationship to many, unless asked otherwise
HIDDEN = {"webhooks": ("secret",)}


def base() -> str:
    return f"{own_url('appstore')}/v1"


def url_of(record: Record) -> str:
    return f"{base()}/{record.type}/{record.id}"


def one(record: Record | None, query: Query, status: int = 200) -> Response:
    document: dict[str, Any] = {"data": resource(record, query) if record else None}
    if record and (included := _included([record], query)):
        document["included"] = included
    document["links"] = {"self": request.base_url}
    answer = jsonify(document)
    answer.status_code = status
    return answer


def page(found: list[Record], query: Query) -> Response:
    """A page of the list, and where the next one is."""
    shown = found[query.start : query.start + query.limit]
    document: dict[str, Any] = {"data": [resource(record, query) for record in shown]}
    if included := _included(shown, query):
        document["included"] = included
    document |= _paging(len(found), query)
    return jsonify(document)


def linkages(found: list[Record], query: Query) -> Response:
    shown = found[query.start : query.start + query.limit]
    return jsonify({"data": [linkage(record) for record in shown], **_paging(len(found), query)})


def _paging(total: int, query: Query) -> dict[str, Any]:
    links = {"self": request.url}
    end = query.start + query.limit
    paging: dict[str, Any] = {"total": total, "limit": query.limit}
    if end < total:
        given = {**request.args.to_dict(), "cursor": cursor(end), "limit": str(query.limit)}
        links["next"] = f"{request.base_url}?{urlencode(given)}"
        paging["nextCursor"] = cursor(end)
    return {"links": links, "meta": {"paging": paging}}


def linkage(record: Record) -> dict[str, str]:
    return {"type": record.type, "id": record.id}


def resource(record: Record, query: Query) -> dict[str, Any]:
    wanted = query.fields.get(record.type)
    shown = {
        name: value
        for name, value in record.attributes.items()
        if (wanted is None or name in wanted) and name not in HIDDEN.get(record.type, ())
    }
    found: dict[str, Any] = {"type": record.type, "id": record.id}
    if shown or record.attributes:
        found["attributes"] = shown
    names = [n for n in SHAPES[record.type].names if wanted is None or n in wanted]
    if names:
        found["relationships"] = {name: _relationship(record, name, query) for name in names}
    found["links"] = {"self": url_of(record)}
    return found


def _relationship(record: Record, name: str, query: Query) -> dict[str, Any]:
    url = url_of(record)
    links = {"self": f"{url}/relationships/{name}", "related": f"{url}/{name}"}
    if name not in query.include:
        return {"links": links}
    related = store().records.related(record, name)
    if not SHAPES[record.type].is_plural(name):
        return {"data": linkage(related[0]) if related else None, "links": links}
    limit = query.limits.get(name, INCLUDED)
    return {
        "meta": {"paging": {"total": len(related), "limit": limit}},
        "data": [linkage(other) for other in related[:limit]],
        "links": links,
    }


def _included(shown: list[Record], query: Query) -> list[dict[str, Any]]:
    """Each related resource once."""
    found: dict[tuple[str, str], Record] = {}
    for record in shown:
        for name in query.include:
            limit = query.limits.get(name, INCLUDED)
            for other in store().records.related(record, name)[:limit]:
                found.setdefault((other.type, other.id), other)
    plain = Query(fields=query.fields)
    return [resource(other, plain) for other in found.values()]


def nothing() -> Response:
    return Response(status=204)
