"""What the OpenAPI document says of every operation alike, and its page for people."""

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
    """A hook of drf-spectacular: each operation may also be answered by a problem."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("4XX", _REFUSED)
    return result


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files, without an inline script."""

    url_name = "api_schema"
    url_self = "?script="
    # The framework's answer to OPTIONS would need a renderer that a page has not: a 500.
    http_method_names = ["get", "head"]
