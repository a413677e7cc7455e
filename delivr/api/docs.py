"""The pages about the API at /api/v1/docs, made from the OpenAPI document: an overview, and one for
each group of operations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pprint import pformat
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from delivr.api import guide, openapi, reference
from delivr.api.problems import MEDIA_TYPE

LANGUAGES = {"curl": "curl", "python": "Python"}
# The schema whose example contains the id in an example's path.
_IDS = {
    "release_id": "Release",
    "build_id": "Build",
    "test_build_id": "TestBuild",
    "effect_id": "Effect",
    "delivery_id": "Delivery",
    "member_id": "Member",
    "invitation_id": "Invitation",
    "token_key": "Token",
    "attempt_id": "EndpointAttempt",
}
_CONNECTION = re.compile(r"/integrations/(\w+)/{connection_id}")
_LIST = re.compile(r"^Paginated(\w+)List$")
_DEPTH = 4  # of the objects in objects that a table of fields names


@dataclass(frozen=True)
class Line:
    """A field or parameter: one row of a table."""

    name: str
    type: str
    is_required: bool
    about: str


@dataclass(frozen=True)
class Body:
    """A JSON body: its fields, and an example as text."""

    name: str
    fields: list[Line]
    example: str


@dataclass(frozen=True)
class Refusal:
    status: str
    code: str
    about: str


@dataclass(frozen=True)
class Entry:
    """All that a page shows of one operation."""

    anchor: str
    method: str
    path: str
    summary: str
    about: str
    parameters: list[Line]
    requests: list[Body]
    answers: list[tuple[str, list[Body]]]
    refusals: list[Refusal]
    samples: Mapping[str, str]


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    shown = {
        "groups": [(group, entries(group.slug)) for group in reference.groups()],
        "variables": f"export DELIVR={settings.BASE_URL}\nexport TOKEN=dlv_…",
    }
    return render(request, "api/overview.html", shown)


@require_safe
def group_page(request: HttpRequest, group: str) -> HttpResponse:
    """The operations of one group, with examples in the language of `?language=`."""
    found = next((g for g in reference.groups() if g.slug == group), None)
    if found is None:
        raise Http404
    language = request.GET.get("language", "")
    language = language if language in LANGUAGES else "curl"
    shown = {
        "group": found,
        "entries": entries(group),
        "sample_language": language,
        "language_label": LANGUAGES[language],
        "group_tabs": list(_group_tabs(group, language)),
        "languages": [
            {"label": label, "href": f"?language={key}", "current": key == language}
            for key, label in LANGUAGES.items()
        ],
    }
    return render(request, "api/group.html", shown)


@require_safe
def guide_page(request: HttpRequest) -> HttpResponse:
    first, *others = guide.sections()
    return render(request, "api/guide.html", {"guide": first, "sections": others})


def _group_tabs(current: str, language: str) -> Iterator[dict[str, Any]]:
    for group in reference.groups():
        address = reverse("api_docs_group", args=[group.slug])
        href = f"{address}?language={language}"
        yield {"label": group.title, "href": href, "current": group.slug == current}


@cache
def entries(slug: str) -> list[Entry]:
    """The operations of a group, as its page shows them."""
    paths, schemas = openapi.document()["paths"], openapi.document()["components"]["schemas"]
    group = next(g for g in reference.groups() if g.slug == slug)
    found = []
    for told in group.operations:
        method, path = told.call.split(" ")
        operation = paths[openapi.PREFIX + path][method.lower()]
        found.append(_entry(told, method, openapi.PREFIX + path, operation, schemas))
    return found


def _entry(
    told: reference.Operation,
    method: str,
    path: str,
    operation: Mapping[str, Any],
    schemas: Mapping[str, Any],
) -> Entry:
    requests = _bodies(operation.get("requestBody", {}), schemas)
    answers = {s: a for s, a in operation["responses"].items() if s.startswith("2")}
    return Entry(
        anchor=slugify(told.summary),
        method=method,
        path=path,
        summary=told.summary,
        about=operation["description"],
        parameters=[_parameter(p) for p in operation.get("parameters", [])],
        requests=requests,
        answers=[(status, _bodies(answer, schemas)) for status, answer in answers.items()],
        refusals=list(_refusals(operation["responses"])),
        samples=_samples(method, path, requests[0].example if requests else ""),
    )


def _parameter(parameter: Mapping[str, Any]) -> Line:
    required, about = parameter.get("required", False), parameter.get("description", "")
    return Line(parameter["name"], _type_of(parameter["schema"], {}), required, about)


def _refusals(responses: Mapping[str, Any]) -> Iterator[Refusal]:
    for status, answer in responses.items():
        content = answer.get("content", {}).get(MEDIA_TYPE, {})
        for code, example in content.get("examples", {}).items():
            yield Refusal(status, code, example["value"]["detail"])


# --- Bodies --------------------------------------------------------------------------------------


def _bodies(described: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Body]:
    """The body of a request or response; several if it depends on the kind."""
    media = described.get("content", {}).get("application/json")
    if media is None:
        return []
    name = _name_of(media["schema"])
    title = _LIST.sub(r"list of \1", name)
    if "examples" in media:
        return [
            Body(kind, list(_fields(schemas[kind], schemas)), _json(example["value"]))
            for kind, example in media["examples"].items()
        ]
    shown = _json(media["example"]) if "example" in media else ""
    return [Body(title, list(_fields(schemas[name], schemas)), shown)]


def _fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], within: str = "", depth: int = 0
) -> Iterator[Line]:
    """Every field, those of objects within as `pipelines[].builds[].id`."""
    for kind in schema.get("oneOf", [])[:1]:
        schema = _resolve(kind, schemas)
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        is_required = name in required and not within
        type_ = _type_of(part, schemas)
        yield Line(f"{within}{name}", type_, is_required, part.get("description", ""))
        inner, marks = (part["items"], "[].") if "items" in part else (part, ".")
        if depth < _DEPTH:
            yield from _fields(
                _resolve(inner, schemas), schemas, f"{within}{name}{marks}", depth + 1
            )


def _name_of(part: Mapping[str, Any]) -> str:
    """The name of the schema that a part refers to, or nothing."""
    [only] = part.get("allOf", [part])
    return str(only.get("$ref", "")).removeprefix(openapi.SCHEMAS)


def _resolve(part: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    name = _name_of(part)
    return schemas[name] if name else part


def _type_of(part: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The type in words of JSON: `string`, `integer or null`, `array of object`, or the choices."""
    found = _resolve(part, schemas)
    if "items" in found:
        words = f"array of {_type_of(found['items'], schemas)}"
    elif "enum" in found:
        words = " | ".join(str(choice) for choice in found["enum"])
    else:
        words = str(found.get("format") or found.get("type", "object"))
    words = {"int64": "integer", "email": "string", "uri": "string"}.get(words, words)
    return f"{words} or null" if part.get("nullable") else words


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


# --- Samples -------------------------------------------------------------------------------------


def _samples(method: str, path: str, body: str) -> dict[str, str]:
    """How a program makes the request, by language. The address and token come from outside."""
    path = _with_ids(path)
    return {"curl": _curl(method, path, body), "python": _python(method, path, body)}


def _with_ids(path: str) -> str:
    if connection := _CONNECTION.search(path):
        path = path.replace("{connection_id}", _connection_id(connection[0]))
    path = path.replace("{endpoint_id}", str(reference.examples()["EndpointAttempt"]["endpointId"]))
    for place, name in _IDS.items():
        path = path.replace(f"{{{place}}}", _id_of(name))
    return path


def _id_of(name: str) -> str:
    return str(reference.examples()[name]["id"])


def _connection_id(path: str) -> str:
    read = openapi.document()["paths"][openapi.PREFIX + path]["get"]["responses"]["200"]
    [example, *_others] = openapi.examples_of(read["content"]["application/json"])
    return str(example["id"])


def _curl(method: str, path: str, body: str) -> str:
    lines = [f'curl "$DELIVR{path}"', '-H "Authorization: Bearer $TOKEN"']
    if method != "GET":
        lines.insert(1, f"-X {method}")
    if body:
        quoted = body.replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{quoted}'"]
    return " \\\n  ".join(lines)


def _python(method: str, path: str, body: str) -> str:
    sent = pformat(json.loads(body), sort_dicts=False, width=70) if body else ""
    indented = sent.replace("\n", "\n         ")
    lines = [
        "import os",
        "import requests",
        "",
        f"response = requests.{method.lower()}(",
        f'    os.environ["DELIVR"] + "{path}",',
        '    headers={"Authorization": "Bearer " + os.environ["TOKEN"]},',
        *([f"    json={indented},"] if body else []),
        "    timeout=30,",
        ")",
        "response.raise_for_status()",
        *(["print(response.json())"] if method != "DELETE" else []),
    ]
    return "\n".join(lines)
