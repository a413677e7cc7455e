"""The body of a request, checked against what its type allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request

from sandbox.apple.records import Record
from sandbox.apple.trouble import Trouble, needed, needed_relationship, said, unfit
from sandbox.providers.app_store.access import refuse, store

BAD_BODY = "The request body is not a valid JSON:API document"
Types = dict[type, str]
NAMES: Types = {str: "STRING", bool: "BOOLEAN", list: "ARRAY"}


@dataclass(frozen=True)
class Form:
    """What a body may hold: attributes with their type (a null is always allowed), relationships
    with the type of the other side; `needs` names those that it must hold, `choices` the values of
    some attributes."""

    attributes: Mapping[str, type] = field(default_factory=dict)
    relationships: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    listed: tuple[str, ...] = ()  # relationships to many


@dataclass
class Body:
    values: dict[str, Any]
    related: dict[str, Record | None]
    lists: dict[str, list[Record]] = field(default_factory=dict)

    def one(self, name: str) -> Record:
        """A relationship that the form needs."""
        found = self.related[name]
        if found is None:
            raise Trouble(409, needed_relationship(name))
        return found


def read(form: Form, kind: str, key: str | None = None) -> Body:
    """Raises Trouble. `key`: the id in the path, which the body repeats."""
    data = _data()
    if data.get("type") != kind:
        words = f"'{data.get('type')}' is not the type of this resource: '{kind}'"
        refuse(409, "ENTITY_ERROR.TYPE.INVALID", "The type does not fit", words)
    if key is not None and data.get("id") != key:
        words = "The id in the body is not the one in the path"
        refuse(409, "ENTITY_ERROR.ID.INVALID", "The id does not fit", words)
    if key is None and "id" in data:
        refuse(409, "ENTITY_ERROR.ID.NOT_ALLOWED", "An id was given", "Ids are not chosen.")
    values, links = data.get("attributes", {}), data.get("relationships", {})
    if not isinstance(values, dict) or not isinstance(links, dict):
        refuse(422, "ENTITY_UNPROCESSABLE", BAD_BODY)
    _check_names(form, values, links)
    _check_values(form, values)
    lists = {n: _many(form, n, links[n]) for n in form.listed if n in links}
    related = {n: _related(form, n, link) for n, link in links.items() if n not in lists}
    return Body(values, related, lists)


def _data() -> dict[str, Any]:
    body = request.get_json(silent=True)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        refuse(422, "ENTITY_UNPROCESSABLE", BAD_BODY, "An object 'data' is expected.")
    return data


def _check_names(form: Form, values: dict[str, Any], links: dict[str, Any]) -> None:
    errors = []
    for part, given, allowed in (
        ("attribute", values, form.attributes),
        ("relationship", links, form.relationships),
    ):
        for name in given.keys() - allowed.keys():
            words = f"'{name}' is not {'an' if part == 'attribute' else 'a'} {part} on the resource"
            code = f"ENTITY_ERROR.{part.upper()}.UNKNOWN"
            title = f"The provided entity includes an unknown {part}"
            errors.append(said(code, title, words, f"/data/{part}s/{name}"))
    for name in form.needs:
        if name in form.attributes and values.get(name) is None:
            errors.append(needed(name))
        if name in form.relationships and not (links.get(name) or {}).get("data"):
            errors.append(needed_relationship(name))
    if errors:
        raise Trouble(409, *errors)


def _check_values(form: Form, values: dict[str, Any]) -> None:
    errors = []
    for name, value in values.items():
        wanted, choices = form.attributes[name], form.choices.get(name)
        words = ""
        if value is not None and not isinstance(value, wanted):
            words = f"'{value}' is not of the type {NAMES[wanted]}"
        elif value is not None and choices and value not in choices:
            words = f"'{value}' is not one of {', '.join(choices)}"
        if words:
            code = (
                "ENTITY_ERROR.ATTRIBUTE.TYPE" if not choices else "ENTITY_ERROR.ATTRIBUTE.INVALID"
            )
            title = "An attribute in the provided entity has the wrong type or value"
            errors.append(said(code, title, words, f"/data/attributes/{name}"))
    if errors:
        raise Trouble(409, *errors)


def _related(form: Form, name: str, link: Any) -> Record | None:
    data = link.get("data") if isinstance(link, dict) else None
    return None if data is None else _found(name, data, form.relationships[name])


def _many(form: Form, name: str, link: Any) -> list[Record]:
    data = link.get("data") if isinstance(link, dict) else None
    if not isinstance(data, list):
        refuse(422, "ENTITY_UNPROCESSABLE", BAD_BODY, f"'{name}' is a list.")
    return [_found(name, one, form.relationships[name]) for one in data]


def _found(name: str, data: Any, kind: str) -> Record:
    if not isinstance(data, dict) or data.get("type") != kind:
        raise unfit(name, f"A resource of type '{kind}' is expected.")
    found = store().records.find(kind, str(data.get("id", "")))
    if found is None:
        raise unfit(name, f"{kind} with id {data.get('id')} cannot be found")
    return found


def linkages(kind: str, name: str) -> list[Record]:
    """The resources in the body of a relationship to many. Raises Trouble."""
    body = request.get_json(silent=True)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        refuse(422, "ENTITY_UNPROCESSABLE", BAD_BODY, "A list 'data' is expected.")
    return [_found(name, one, kind) for one in data]


def linkage(kind: str, name: str) -> Record | None:
    """The resource in the body of a relationship to one; None to remove it. Raises Trouble."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or "data" not in body:
        refuse(422, "ENTITY_UNPROCESSABLE", BAD_BODY, "An object or null 'data' is expected.")
    return None if body["data"] is None else _found(name, body["data"], kind)
