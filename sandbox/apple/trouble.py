"""A refusal of App Store Connect, as its API words it.

https://developer.apple.com/documentation/appstoreconnectapi/interpreting-and-handling-errors
"""

from __future__ import annotations

import uuid
from typing import Any

UNACCEPTABLE = "An attribute value is not acceptable for the current resource state."
OTHER_STATE = "The request cannot be fulfilled because of the state of another resource."
BAD_ATTRIBUTE = "The provided entity includes an attribute with an invalid value"
BAD_RELATIONSHIP = "The provided entity includes a relationship with an invalid value"
NO_ATTRIBUTE = "The provided entity is missing a required attribute"
NO_RELATIONSHIP = "The provided entity is missing a required relationship"


class Trouble(Exception):
    """`errors` are the objects of the answer's list `errors`."""

    def __init__(self, status: int, *errors: dict[str, Any]) -> None:
        super().__init__(errors[0].get("detail", errors[0]["title"]))
        self.status = status
        self.errors = [{"id": str(uuid.uuid4()), "status": str(status), **one} for one in errors]


def said(code: str, title: str, detail: str = "", pointer: str = "") -> dict[str, Any]:
    """One error object without id and status."""
    found: dict[str, Any] = {"code": code, "title": title}
    if detail:
        found["detail"] = detail
    if pointer:
        found["source"] = {"pointer": pointer}
    return found


def conflict(code: str, title: str, detail: str, pointer: str = "") -> Trouble:
    return Trouble(409, said(code, title, detail, pointer))


def wrong_state(detail: str) -> Trouble:
    return conflict("STATE_ERROR", OTHER_STATE, detail)


def invalid(attribute: str, detail: str, kind: str = "") -> Trouble:
    code = f"ENTITY_ERROR.ATTRIBUTE.INVALID{kind and '.' + kind}"
    return conflict(code, BAD_ATTRIBUTE, detail, f"/data/attributes/{attribute}")


def unmodifiable(attribute: str) -> Trouble:
    detail = f"The attribute '{attribute}' can not be modified."
    code = "ENTITY_ERROR.ATTRIBUTE.INVALID.INVALID_STATE"
    return conflict(code, UNACCEPTABLE, detail, f"/data/attributes/{attribute}")


def unfit(relationship: str, detail: str) -> Trouble:
    code = "ENTITY_ERROR.RELATIONSHIP.INVALID"
    return conflict(code, BAD_RELATIONSHIP, detail, f"/data/relationships/{relationship}")


def needed(attribute: str) -> dict[str, Any]:
    """The error of an attribute without a value."""
    detail = f"You must provide a value for the attribute '{attribute}' with this request"
    code = "ENTITY_ERROR.ATTRIBUTE.REQUIRED"
    return said(code, NO_ATTRIBUTE, detail, f"/data/attributes/{attribute}")


def needed_relationship(name: str) -> dict[str, Any]:
    detail = f"You must provide a value for the relationship '{name}' with this request"
    code = "ENTITY_ERROR.RELATIONSHIP.REQUIRED"
    return said(code, NO_RELATIONSHIP, detail, f"/data/relationships/{name}")


def missing(kind: str, key: str) -> Trouble:
    detail = f"There is no resource of type '{kind}' with id '{key}'"
    return Trouble(404, said("NOT_FOUND", "The specified resource does not exist", detail))
