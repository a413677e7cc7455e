"""Fields of a project's create screen: converts a value given as text for Jira.

https://developer.atlassian.com/cloud/jira/platform/jira-rest-api-examples/ and, of what each
screen takes, `createmeta`: a field's schema, and the values that it allows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from ..http import vendor_words
from .deployments import Deployment

_SHOWN = 8  # number of allowed values that are shown
_DOCUMENTS = ("description", "environment")
_TEXT_AREA = "com.atlassian.jira.plugin.system.customfieldtypes:textarea"
_BETWEEN = " > "  # between a value of a cascading list and its child


def schema_of(field: Mapping[str, Any]) -> dict[str, Any]:
    schema = field.get("schema")
    return schema if isinstance(schema, dict) else {}


def field_id(field: Mapping[str, Any]) -> str:
    """`fieldId`, which older answers call `key`."""
    found = field.get("fieldId") or field.get("key")
    return found if isinstance(found, str) else ""


def field_name(field: Mapping[str, Any], secrets: Iterable[str]) -> str:
    return vendor_words(field.get("name"), secrets=secrets, limit=80) or "a field without a name"


def value_of(field: Mapping[str, Any], text: str, api: Deployment) -> Any:
    """The value that `text` names. Raises ValueError with a message if the field does not accept
    it."""
    schema = schema_of(field)
    kind = schema.get("type")
    if kind == "array":
        return _several(field, str(schema.get("items")), text, api)
    if kind == "option-with-child":
        return _cascade(field, text)
    return _one(field, str(kind), text, api)


def only_value(field: Mapping[str, Any]) -> tuple[Any, str] | None:
    """The value and its name if the field allows only one value, else None."""
    found = _allowed(field)
    if len(found) != 1:
        return None
    value, name = _reference(found[0]), _name(found[0])
    below = _children(found[0])
    kind = schema_of(field).get("type")
    if value is None or len(below) > 1:
        return None
    if kind == "option-with-child" and below:
        return {**value, "child": _reference(below[0])}, name + _BETWEEN + _name(below[0])
    return ([value] if kind == "array" else value), name


def what_it_takes(field: Mapping[str, Any], secrets: Iterable[str], api: Deployment) -> str:
    """A description of the values or the format that the field accepts; "" if it cannot be
    filled."""
    if found := _allowed(field):
        names = [f"{_name(item)}{_BETWEEN}{_name(b)}" for item in found for b in _children(item)]
        names = names or [_name(item) for item in found]
        shown = ", ".join(vendor_words(name, secrets=secrets, limit=60) for name in names[:_SHOWN])
        return shown + (f" … ({len(names)} values)" if len(names) > _SHOWN else "")
    schema = schema_of(field)
    kind = schema.get("items") if schema.get("type") == "array" else schema.get("type")
    words = _form(str(kind), api)[0]
    return f"{words}, separated by commas" if words and schema["type"] == "array" else words


# --- Values that are given -----------------------------------------------------------------------


def _text(text: str) -> str:
    return text


def _number(text: str) -> float | int:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("a number is needed") from None
    if not math.isfinite(number):
        raise ValueError("a number is needed")
    return int(number) if number.is_integer() else number


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("a date is needed, like 2026-11-22") from None


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("a time is needed, like 2026-11-22T08:00:00+00:00")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000%z")


def _named(key: str) -> Callable[[str], dict[str, str]]:
    return lambda text: {key: text}


_FORMS: dict[str, tuple[str, Callable[[str], Any] | None]] = {
    "string": ("a text", _text),
    "number": ("a number", _number),
    "date": ("a date like 2026-11-22", _date),
    "datetime": ("a time like 2026-11-22T08:00:00+00:00", _moment),
    "group": ("the name of a group", _named("name")),
    "version": ("the name of a version", _named("name")),
    "component": ("the name of a component", _named("name")),
    "issuelink": ("the key of an issue, like MOBILE-1", _named("key")),
    "team": ("the id of a team", _text),
}


def _form(kind: str, api: Deployment) -> tuple[str, Callable[[str], Any] | None]:
    if kind == "user":
        return api.user_words, _named(api.user_key)
    return _FORMS.get(kind, ("", None))


def _one(field: Mapping[str, Any], kind: str, text: str, api: Deployment) -> Any:
    if _allowed(field):
        return _reference(_chosen(_allowed(field), text))
    schema = schema_of(field)
    if schema.get("custom") == _TEXT_AREA or schema.get("system") in _DOCUMENTS:
        return api.text(text)
    convert = _form(kind, api)[1]
    if convert is None:
        raise ValueError("it cannot be filled from here")
    return convert(text)


def _several(field: Mapping[str, Any], kind: str, text: str, api: Deployment) -> list[Any]:
    """Values separated by commas, unless the whole text names one value."""
    found = _allowed(field)
    if any(_is_named(item, text) for item in found):
        return [_one(field, kind, text, api)]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if schema_of(field).get("system") == "labels":
        parts = ["-".join(part.split()) for part in parts]
    return [_one(field, kind, part, api) for part in parts]


def _cascade(field: Mapping[str, Any], text: str) -> dict[str, Any]:
    upper, _sign, lower = (part.strip() for part in text.partition(_BETWEEN.strip()))
    item = _chosen(_allowed(field), upper)
    value: dict[str, Any] = _reference(item)
    return {**value, "child": _reference(_chosen(_children(item), lower))} if lower else value


# --- Values that are allowed ---------------------------------------------------------------------


def _allowed(field: Mapping[str, Any]) -> list[Any]:
    """The allowed values without disabled options and archived versions."""
    return _usable(field.get("allowedValues"))


def _children(item: Any) -> list[Any]:
    return _usable(item.get("children")) if isinstance(item, dict) else []


def _usable(items: object) -> list[Any]:
    found = items if isinstance(items, list) else []
    return [item for item in found if _reference(item) is not None and not _is_closed(item)]


def _is_closed(item: Any) -> bool:
    return isinstance(item, dict) and bool(item.get("disabled") or item.get("archived"))


def _reference(item: Any) -> Any:
    """The reference by which Jira accepts an allowed value, or None."""
    if isinstance(item, str):
        return item or None
    found = item.get("id") if isinstance(item, dict) else None
    return {"id": str(found)} if isinstance(found, str | int) and str(found) else None


def _name(item: Any) -> str:
    if isinstance(item, str):
        return item
    found = item.get("value") or item.get("name") or item.get("label") or item.get("id")
    return str(found)


def _is_named(item: Any, text: str) -> bool:
    is_id = isinstance(item, dict) and str(item.get("id")) == text
    return is_id or _name(item).casefold() == text.casefold()


def _chosen(items: list[Any], text: str) -> Any:
    found = [item for item in items if _is_named(item, text)]
    exact = [item for item in found if _name(item) == text]
    if len(exact or found) != 1:
        short = re.sub(r"\s+", " ", text)[:60]
        raise ValueError(f"“{short}” is not allowed")
    return (exact or found)[0]
