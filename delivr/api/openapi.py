"""The OpenAPI document: what drf-spectacular reads from the code, with the texts and examples of
`delivr/api/reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from delivr.api import reference
from delivr.api.problems import MEDIA_TYPE, problem_body
from delivr.tenants.models import Role

PREFIX = "/api/v1"
SCHEMAS = "#/components/schemas/"
_PROBLEM = {
    "type": "object",
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
_IDEMPOTENCY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": 255},
    "description": "Up to 255 characters of your choice. If you repeat the same request with the "
    "same key within a day, you get the first response again, and nothing happens twice.",
}


class RoleSchema(AutoSchema):
    """Notes of each operation which role it needs (`x-role`)."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            asked = "read_role" if self.method == "GET" else "write_role"
            operation["x-role"] = str(getattr(self.view, asked))
        return operation


@cache
def document() -> dict[str, Any]:
    """The document of this installation, which does not change while the process runs."""
    generator: Any = SchemaGenerator
    made: dict[str, Any] = generator().get_schema(request=None, public=True)
    return made


def describe(result: dict[str, Any], **_rest: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: replaces the code's docstrings with the texts of `reference`."""
    schemas = result["components"].setdefault("schemas", {})
    schemas["Problem"] = dict(_PROBLEM)
    for name, schema in schemas.items():
        _describe_schema(name, schema)
    found = dict(_operations(result))
    result["tags"] = []
    for group in reference.groups():
        result["tags"].append({"name": group.title, "description": group.about})
        for told in group.operations:
            if operation := found.get(told.call):
                _describe(operation, told, group.title, schemas)
    return result


def _operations(result: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            operation.pop("description", None)
            yield f"{method.upper()} {path.removeprefix(PREFIX)}", operation


# --- Schemas -------------------------------------------------------------------------------------


def _describe_schema(name: str, schema: dict[str, Any]) -> None:
    texts = reference.texts()
    schema.pop("description", None)
    if told := texts["schemas"].get(name):
        schema["description"] = told
    for field, part in schema.get("properties", {}).items():
        part.pop("description", None)
        if told := texts["fields"].get(f"{name}.{field}") or texts["fields"].get(field):
            if "$ref" in part:  # which allows nothing beside itself
                part["allOf"] = [{"$ref": part.pop("$ref")}]
            part["description"] = told
    example = reference.examples().get(name)
    if example is not None:
        schema["example"] = example


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """What a media type says of its example: one, or one for each kind."""
    name = schema.get("$ref", "").removeprefix(SCHEMAS)
    kinds = schemas.get(name, {}).get("oneOf", [])
    known = reference.examples()
    if kinds:
        names = [kind["$ref"].removeprefix(SCHEMAS) for kind in kinds]
        return {"examples": {n: {"value": known[n]} for n in names if n in known}}
    if results := schemas.get(name, {}).get("properties", {}).get("results"):
        found = _example(results["items"], schemas)
        return {"example": {"results": examples_of(found), "next": None}}
    return {"example": known[name]} if name in known else {}


def examples_of(media: Mapping[str, Any]) -> list[Any]:
    """The examples of a media type."""
    several = [one["value"] for one in media.get("examples", {}).values()]
    return [media["example"]] if "example" in media else several


# --- Operations ----------------------------------------------------------------------------------


def _describe(
    operation: dict[str, Any], told: reference.Operation, tag: str, schemas: Mapping[str, Any]
) -> None:
    operation["summary"], operation["tags"] = told.summary, [tag]
    role = Role(operation["x-role"])
    needs = (
        f"Needs the role `{role}`." if role == Role.OWNER else f"Needs the role `{role}` or above."
    )
    operation["description"] = f"{told.about}\n\n{needs}"
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if words := reference.texts()["parameters"].get(parameter["name"]):
            parameter["description"] = words
    if told.idempotent:
        parameters.append(_IDEMPOTENCY)
    media = [*operation.get("requestBody", {}).get("content", {}).values()]
    for status, answer in operation["responses"].items():
        answer["description"] = answer["description"] or HTTPStatus(int(status)).phrase
        media += answer.get("content", {}).values()
    for one in media:
        one.update(_example(one["schema"], schemas))
    operation["responses"].update(_refusals(operation, told))


def _refusals(operation: Mapping[str, Any], told: reference.Operation) -> dict[str, Any]:
    """The error responses by status, each with its codes and an example of each."""
    codes: dict[str, tuple[int, str]] = {}
    usual, named = reference.errors()["usual"], reference.errors()["named"]
    for code in _usual_codes(operation, told):
        codes[code] = usual[code]
    codes |= {code: named[code] for code in told.errors}
    found: dict[str, Any] = {}
    for code, (status, words) in sorted(codes.items(), key=lambda row: row[1][0]):
        answer = found.setdefault(str(status), {"description": "", **_problem_content()})
        answer["description"] += f"* `{code}`: {words}\n"
        value = problem_body(status, code, words, _example_errors(code))
        answer["content"][MEDIA_TYPE]["examples"][code] = {"value": value}
    return {**found, "4XX": {"description": "Refused for another reason.", **_problem_content()}}


def _problem_content() -> dict[str, Any]:
    media: dict[str, Any] = {"schema": {"$ref": f"{SCHEMAS}Problem"}, "examples": {}}
    return {"content": {MEDIA_TYPE: media}}


def _example_errors(code: str) -> dict[str, list[str]]:
    return {"field": ["What is wrong with it."]} if code == "invalid" else {}


def _usual_codes(operation: Mapping[str, Any], told: reference.Operation) -> Iterator[str]:
    """Codes that follow from the operation's shape."""
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    if "requestBody" in operation or "query" in places or told.idempotent:
        yield "invalid"
    yield "not_authenticated"
    if operation["x-role"] != Role.VIEWER:
        yield "forbidden"
    if "path" in places:
        yield "not_found"
    if told.idempotent:
        yield from ("still_running", "idempotency_key_reused")
    yield "throttled"
