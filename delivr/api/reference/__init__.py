"""The texts of the OpenAPI document: descriptions, errors and examples, in files beside this one.

They are documentation for people who call the API, like `docs`. The code's docstrings are for
people who change the code.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Operation:
    """`call` is method and path below /api/v1, as in the OpenAPI document."""

    call: str
    summary: str
    about: str
    idempotent: bool = False
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The operations for one task: a tag of the document, and a page of the docs."""

    slug: str
    title: str
    about: str
    operations: list[Operation] = field(default_factory=list)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text())


@cache
def groups() -> list[Group]:
    """All groups in the order of the docs, with one operation for each family if the operation
    exists for all of them."""
    source = _read("operations.toml")
    return [
        Group(
            slug=group["slug"],
            title=group["title"],
            about=group["about"].strip(),
            operations=list(_operations(group["operations"], source["families"])),
        )
        for group in source["groups"]
    ]


def _operations(rows: list[dict[str, Any]], families: dict[str, Any]) -> Iterator[Operation]:
    common = [row for row in rows if "{family}" in row["call"]]
    for family, words in families.items() if common else ():
        for row in common:
            texts = {
                key: row[key].replace("{family}", family) for key in ("call", "summary", "about")
            }
            for name, word in words.items():
                texts = {key: text.replace(f"{{{name}}}", word) for key, text in texts.items()}
            yield _operation({**row, **texts})
    yield from (_operation(row) for row in rows if row not in common)


def _operation(row: dict[str, Any]) -> Operation:
    return Operation(
        call=row["call"],
        summary=row["summary"],
        about=row["about"].strip(),
        idempotent=row.get("idempotent", False),
        errors=tuple(row.get("errors", ())),
    )


@cache
def errors() -> dict[str, dict[str, tuple[int, str]]]:
    """`usual` and `named`: by code, the status and when it occurs."""
    return {
        part: {code: (status, words) for code, (status, words) in rows.items()}
        for part, rows in _read("errors.toml").items()
    }


@cache
def texts() -> dict[str, dict[str, str]]:
    """`schemas`, `parameters` and `fields`: what each name means."""
    return _read("fields.toml")


@cache
def examples() -> dict[str, Any]:
    """An example of each schema, by the schema's name."""
    found: dict[str, Any] = json.loads((HERE / "examples.json").read_text())
    return found
