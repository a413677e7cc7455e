"""The checks of a verification as pages and the API show them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from delivr.pages.names import NAMES
from integrations.providers.registry import check_names


class CheckState(enum.StrEnum):
    PASSED = "PASSED"
    WARNING = "WARNING"
    FAILED = "FAILED"
    NOT_TESTABLE = "NOT_TESTABLE"


def shown(kind: str, check: Mapping[str, Any]) -> dict[str, Any]:
    """A stored check with its `state`, and a `label` that says what was tried."""
    return {**check, "state": state_of(check), "label": label_of(kind, check)}


def state_of(check: Mapping[str, Any]) -> CheckState:
    # Checks that an older version stored have only the code.
    if not check.get("tested", check["code"] != "not_testable"):
        return CheckState.NOT_TESTABLE
    if check["ok"]:
        return CheckState.PASSED
    return CheckState.WARNING if check["level"] == "WARNING" else CheckState.FAILED


def label_of(kind: str, check: Mapping[str, Any]) -> str:
    name, _mark, one = check["name"].partition(":")
    subject = check.get("subject") or one
    words = str(check_names(kind).get(name) or NAMES.get(name) or name)
    if "%(subject)s" in words:
        return words % {"subject": subject}
    return f"{words}: {subject}" if subject else words
