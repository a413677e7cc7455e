"""Refusals of what needs a permission that creating an epic does not.

The account was accepted a moment before, so they are about this one thing: they must not make the
whole connection wait for other credentials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..base import ProviderError

T = TypeVar("T")
# Data Center answers 401 where a permission is missing, the gateway where a scope is.
_CODES = ("forbidden", "bad_credentials", "missing_scope")

LINK = "Link Issues"
COMMENT = "Add Comments"
MOVE = "Transition Issues"
EDIT = "Edit Issues"
ADMINISTER = "Administer Projects"
_SCOPES = {ADMINISTER: "manage:jira-project"}


def permitted(permission: str, act: Callable[[], T]) -> T:
    """Call `act`, which needs this permission in the project."""
    try:
        return act()
    except ProviderError as error:
        if error.code not in _CODES:
            raise
        failure = error
    scope = _SCOPES.get(permission, "write:jira-work")
    raise ProviderError.refused(
        "missing_permission",
        failure.message,
        f"Give the account the permission “{permission}” in the project (a token with scopes also "
        f"needs {scope}), then retry. Or switch this off in the release settings.",
    )
