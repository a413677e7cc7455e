"""The query of a request: strict, as Apple's is. What is unknown is an error, not ignored."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from flask import request

from sandbox.apple.records import Record, Records
from sandbox.apple.shapes import SHAPES, Shape
from sandbox.providers.app_store.access import refuse

LARGEST, USUAL = 200, 50
LARGEST_INCLUDED = 50
_BRACKETS = re.compile(r"(filter|fields|limit|exists)\[([^\]]+)\]")
INCLUDED = "limit of an included relationship"


@dataclass
class Query:
    """`fields` by type, `filters` by name, `include` the names of relationships."""

    limit: int = USUAL
    start: int = 0
    sort: str = ""
    include: tuple[str, ...] = ()
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)


def bad(name: str, code: str, detail: str) -> NoReturn:
    title = "A parameter has an invalid value"
    refuse(400, f"PARAMETER_ERROR.{code}", title, detail, source={"parameter": name})


def read(kind: str, *, many: bool) -> Query:
    """The query of a list of a type, or of one resource of it. Raises Trouble."""
    shape, found = SHAPES[kind], Query()
    for name, values in request.args.lists():
        if len(values) > 1:
            bad(name, "ILLEGAL", f"The parameter '{name}' can not be used more than once")
        if not _take(found, shape, name, values[0], many=many):
            bad(name, "ILLEGAL", f"The parameter '{name}' can not be used with this request")
    _check_fields(found, kind)
    if many and shape.top and shape.wants and request.path.count("/") == 3:
        _check_wanted(found, shape)
    return found


def _take(found: Query, shape: Shape, name: str, value: str, *, many: bool) -> bool:
    """False for a parameter that does not exist here."""
    match = _BRACKETS.fullmatch(name)
    if match:
        return _take_bracketed(found, shape, match[1], match[2], value, many=many)
    if name == "include":
        found.include = tuple(value.split(","))
        for one in found.include:
            if not shape.knows(one):
                bad(name, "INVALID", f"'{one}' is not a valid relationship name")
        return True
    if not many:
        return False
    if name == "limit":
        found.limit = _number(name, value, LARGEST)
    elif name == "cursor":
        found.start = _position(value)
    elif name == "sort":
        found.sort = value
        if value.removeprefix("-") not in shape.sorts:
            bad(name, "INVALID", f"'{value}' is not a valid order")
    else:
        return False
    return True


def _take_bracketed(
    found: Query, shape: Shape, word: str, name: str, value: str, *, many: bool
) -> bool:
    values = tuple(value.split(","))
    if word == "fields":
        found.fields[name] = values
    elif word == "filter" and many and name in shape.filters:
        found.filters[name] = values
    elif word == "limit" and shape.knows(name) and shape.is_plural(name):
        found.limits[name] = _number(f"limit[{name}]", value, LARGEST_INCLUDED)
    else:
        return False
    return True


def _check_fields(found: Query, kind: str) -> None:
    shape = SHAPES[kind]
    reachable = {kind, *(shape.type_of(name) for name in shape.names)}
    for one in found.fields:
        if one not in reachable:
            bad(f"fields[{one}]", "ILLEGAL", f"The parameter 'fields[{one}]' can not be used")


def _check_wanted(found: Query, shape: Shape) -> None:
    if shape.wants not in found.filters:
        name = f"filter[{shape.wants}]"
        bad(name, "REQUIRED", f"The parameter '{name}' is required")


def _number(name: str, value: str, largest: int) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= largest:
        bad(name, "INVALID", f"'{value}' is not a valid limit: 1 to {largest}")
    return int(value)


def cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"at:{position}".encode()).decode().rstrip("=")


def _position(text: str) -> int:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        return int(raw.removeprefix("at:"))
    except ValueError:
        bad("cursor", "INVALID", f"'{text}' is not a valid cursor")


def choose(records: Records, query: Query, every: Iterable[Record]) -> list[Record]:
    """Those that fit the filters, in the wanted order; without one, the newest last."""
    shown = [one for one in every if _fits(records, query, one)]
    if query.sort:
        name = query.sort.removeprefix("-")
        shown.sort(key=lambda one: _rank(records, one, name), reverse=query.sort.startswith("-"))
    return shown


def _rank(records: Records, one: Record, name: str) -> tuple[int, str]:
    value = "" if one[name] is None else str(one[name])
    if SHAPES[one.type].knows(name):
        value = next((str(other["version"]) for other in records.related(one, name)), "")
    return (len(value) if value.isdecimal() else 0, value)


def _fits(records: Records, query: Query, one: Record) -> bool:
    for name, wanted in query.filters.items():
        path = SHAPES[one.type].filters[name]
        values = {_text(value) for value in records.values(one, path)}
        is_prefix = (one.type, name) == ("apps", "bundleId")
        if is_prefix and any(value.startswith(w) for value in values for w in wanted if w):
            continue
        if not values & set(wanted):
            return False
    return True


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("state")
    return str(value).lower() if isinstance(value, bool) else str(value)
