"""The OpenAPI document is written for the people who call the API, and its examples are true."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from jsonschema import Draft202012Validator
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from delivr.api import openapi, reference
from delivr.api.docs import entries

pytestmark = pytest.mark.on_sqlite
SLUGS = [group.slug for group in reference.groups()]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(openapi.document(), default=str))
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path.removeprefix(openapi.PREFIX)}", operation


def media_types(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for described in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from described.get("content", {}).values()


def test_every_operation_is_told_once_and_nothing_else_is(document: dict[str, Any]) -> None:
    told = [operation.call for group in reference.groups() for operation in group.operations]
    assert sorted(told) == sorted(call for call, _operation in operations(document))


def test_every_operation_has_texts_a_group_and_its_errors(document: dict[str, Any]) -> None:
    groups = {group.title for group in reference.groups()}
    for call, operation in operations(document):
        assert operation["summary"], call
        assert operation["description"], call
        assert set(operation["tags"]) <= groups, call
        assert {"401", "429"} <= set(operation["responses"]), call
        assert ("{" in call) == ("404" in operation["responses"]), call
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{call}: {parameter['name']}"


def test_every_field_is_told(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, part in schema.get("properties", {}).items():
            assert part.get("description"), f"{name}.{field}"


def test_nothing_is_told_that_does_not_exist(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    fields = {f for schema in schemas.values() for f in schema.get("properties", {})}
    dotted = {f"{n}.{f}" for n, schema in schemas.items() for f in schema.get("properties", {})}
    parameters = {p["name"] for _c, o in operations(document) for p in o.get("parameters", [])}
    texts = reference.texts()
    assert set(texts["fields"]) <= fields | dotted
    assert set(texts["schemas"]) | set(reference.examples()) <= set(schemas)
    assert set(texts["parameters"]) <= parameters


def test_the_error_codes_are_those_of_the_code() -> None:
    source = "".join(
        path.read_text()
        for app in ("delivr", "integrations", "releases", "builds", "submissions")
        for path in (settings.BASE_DIR / app).rglob("*.py")
        if "tests" not in path.relative_to(settings.BASE_DIR).parts
    )
    named = reference.errors()["named"]
    used = {e for g in reference.groups() for operation in g.operations for e in operation.errors}
    assert used == set(named)
    for code in [*named, *reference.errors()["usual"]]:
        assert f'"{code}"' in source, code


# --- Nothing of the code -------------------------------------------------------------------------


def docstrings() -> Iterator[str]:
    for view in views(get_resolver()):
        methods = (getattr(view, name, None) for name in ("get", "post", "patch", "delete"))
        yield from filter(None, map(inspect.getdoc, (*view.__mro__, *filter(None, methods))))
    for serializer in subclasses(BaseSerializer):
        yield inspect.getdoc(serializer) or ""


def views(resolver: URLResolver) -> Iterator[type[APIView]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "cls"):
            yield pattern.callback.cls


def subclasses(base: type) -> Iterator[type]:
    for found in base.__subclasses__():
        yield found
        yield from subclasses(found)


def descriptions(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("description"), str):
            yield part["description"]
        for inner in part.values():
            yield from descriptions(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from descriptions(inner)


def test_no_docstring_of_the_code_is_in_the_document(document: dict[str, Any]) -> None:
    told = {" ".join(text.split()) for text in descriptions(document)}
    written = {" ".join(text.split()) for text in docstrings()} - {""}
    assert written  # else this would compare with nothing
    assert not told & written
    assert not [text for text in told if re.search(r"\bself\.\w|[Ss]erializer", text)]


# --- Examples ------------------------------------------------------------------------------------


def as_json_schema(part: Any) -> Any:
    """OpenAPI 3.0's schema as JSON Schema: `nullable`, and references to where they are here."""
    if isinstance(part, list):
        return [as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: as_json_schema(value) for key, value in part.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if part.get("nullable") is True else made


def test_every_body_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    components = as_json_schema(document["components"])
    for call, operation in operations(document):
        for media in media_types(operation):
            if media["schema"].get("format") == "binary":
                continue  # a file
            shown = list(examples_of(media))
            if media["schema"].get("$ref") != f"{openapi.SCHEMAS}Problem":
                assert shown, f"{call} has no example"
            for whole, example in shown:
                schema = {"$ref": whole, "components": components}
                found = [e.message for e in Draft202012Validator(schema).iter_errors(example)]
                assert not found, f"{call}: {found[:3]}"


def examples_of(media: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each example with the schema that it must match: where the body depends on the kind, its
    name is that of the kind's schema."""
    whole = media["schema"]["$ref"]
    if "example" in media:
        yield whole, media["example"]
    for name, one in media.get("examples", {}).items():
        yield (whole if whole.endswith("/Problem") else openapi.SCHEMAS + name), one["value"]


def test_an_example_has_only_fields_of_its_schema(document: dict[str, Any]) -> None:
    for name, example in reference.examples().items():
        known = document["components"]["schemas"][name]["properties"]
        assert set(example) <= set(known), name


def test_a_wrong_example_would_be_found(document: dict[str, Any]) -> None:
    schema = {
        "$ref": f"{openapi.SCHEMAS}Release",
        "components": as_json_schema(document["components"]),
    }
    wrong = {**reference.examples()["Release"], "status": "SHIPPED"}
    assert list(Draft202012Validator(schema).iter_errors(wrong))


def test_the_examples_hold_no_whole_token() -> None:
    text = json.dumps(reference.examples())
    assert not re.search(r"dlv_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}|whsec_\w|xoxb-\w|ghp_\w", text)


# --- Pages ---------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("slug", SLUGS)
def test_a_page_of_the_docs_shows_each_operation_without_signing_in(slug: str) -> None:
    page = Client().get(f"/api/v1/docs/{slug}")
    assert page.status_code == 200
    text = page.content.decode()
    for entry in entries(slug):
        assert f'id="{entry.anchor}"' in text
        assert entry.path in text
    assert text.count(' id="') == len(set(re.findall(r' id="([^"]+)"', text)))


@pytest.mark.django_db
def test_the_overview_leads_to_each_operation() -> None:
    text = Client().get("/api/v1/docs").content.decode()
    for slug in SLUGS:
        for entry in entries(slug):
            assert f'href="/api/v1/docs/{slug}#{entry.anchor}"' in text


@pytest.mark.django_db
def test_the_guide_is_a_page_with_all_of_its_commands() -> None:
    assert 'href="/api/v1/docs/guide"' in Client().get("/api/v1/docs").content.decode()
    page = Client().get("/api/v1/docs/guide").content.decode()
    main = page.partition("<main")[2]
    source = (settings.BASE_DIR / "docs" / "api-guide.md").read_text()
    blocks = re.findall(r"<pre[^>]*>(.*?)</pre>", main, re.S)
    commands = re.findall(r"^```\w+\n(.*?)\n```$", source, re.M | re.S)
    assert [unescape(block) for block in blocks] == commands
    labels = re.findall(r'<pre[^>]* aria-label="([^"]+)"', main)
    assert len(set(labels)) == len(blocks)  # for screen readers
    assert page.count(' id="') == len(set(re.findall(r' id="([^"]+)"', page)))
    assert main.count("<h2") == len(re.findall("^## ", source, re.M))
    assert 'href="/api/v1/docs"' in main  # the way back
    words = re.sub(r"<[^>]+>", "", re.sub(r"<pre.*?</pre>", "", main, flags=re.S))
    assert not re.search(r"[`*]|\]\(|^#", unescape(words), re.M)  # no Markdown is left


@pytest.mark.django_db
def test_an_unknown_group_of_the_docs_is_not_found() -> None:
    assert Client().get("/api/v1/docs/nothing").status_code == 404


@pytest.mark.parametrize("slug", SLUGS)
def test_the_samples_are_whole_programs(slug: str) -> None:
    for entry in entries(slug):
        compile(entry.samples["python"], entry.anchor, "exec")
        words = shlex.split(entry.samples["curl"].replace("\\\n", " "))
        assert words[0] == "curl"
        if entry.requests:
            assert json.loads(words[words.index("-d") + 1]) == json.loads(entry.requests[0].example)


@pytest.mark.django_db
def test_the_samples_follow_the_chosen_language() -> None:
    page = Client().get("/api/v1/docs/releases?language=python").content.decode()
    assert "requests.post(" in page
    assert "curl &quot;" not in page
