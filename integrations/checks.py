"""The checks of a verification as pages and the API show them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from delivr.pages.names import NAMES
from integrations.providers.registry import ProviderKey, check_names


class CheckState(enum.StrEnum):
    PASSED = "PASSED"
    WARNING = "WARNING"
    FAILED = "FAILED"
    NOT_TESTABLE = "NOT_TESTABLE"


def shown(key: ProviderKey, check: Mapping[str, Any]) -> dict[str, Any]:
    """A stored check with its `state`, and a `label` that says what was tried."""
    return {**check, "state": state_of(check), "label": label_of(key, check)}


def state_of(check: Mapping[str, Any]) -> CheckState:
    # Checks that an older version stored have only the code.
    if not check.get("tested", check["code"] != "not_testable"):
        return CheckState.NOT_TESTABLE
    if check["ok"]:
        return CheckState.PASSED
    return CheckState.WARNING if check["level"] == "WARNING" else CheckState.FAILED


def label_of(key: ProviderKey, check: Mapping[str, Any]) -> str:
    name, _mark, one = check["name"].partition(":")
    subject = check.get("subject") or one
    words = str(check_names(key).get(name) or NAMES.get(name) or name)
    if "%(subject)s" in words:
        return words % {"subject": subject}
    return f"{words}: {subject}" if subject else words
