"""The OpenAPI document: what all operations share, and its documentation page."""

from __future__ import annotations

from typing import Any

from drf_spectacular.views import SpectacularSwaggerSplitView

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `errors` names every problem by the request's own field names.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["type", "title", "status", "detail", "code", "errors"],
}
_REFUSED = {
    "description": "Refused: `code` is for programs, `detail` for people.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def add_problems(result: dict[str, Any], **_rest: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: adds the problem responses to each operation."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("4XX", _REFUSED)
    return result


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files, without inline scripts."""

    url_name = "api_schema"
    url_self = "?script="
    # The framework would answer OPTIONS with a renderer that this page lacks: a 500.
    http_method_names = ["get", "head"]
