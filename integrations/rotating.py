"""Verifies a new credential before it replaces the old one.

Only if the old one works. Otherwise there is nothing to lose, and the entered values are stored and
then verified, as in `operations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.models import Connection
from integrations.operations import Errors, cleaned_values, edit
from integrations.providers.registry import secrets_of
from integrations.verification import Findings, run_checks, store_findings

C = TypeVar("C", bound=Connection)


class CredentialRefused(ValidationError):
    """The new credential failed `checks`; the old one is still in use."""

    def __init__(self, field: str, findings: Findings) -> None:
        self.checks = findings.checks
        bad = findings.bad[0]
        words = " ".join(filter(None, [bad.message, bad.hint]))
        kept = _("The new credential was not saved. The stored one is still in use.")
        super().__init__({field: [f"{words} {kept}"]})


def change(
    connection: C,
    *,
    actor: User | None,
    values: Mapping[str, Any],
    known_errors: Errors | None = None,
) -> C:
    """`edit`; a new credential of a verified connection is verified first (network, outside of any
    transaction).

    Raises CredentialRefused if a check fails, ValidationError as `edit` does, and Conflict if
    someone else changed the connection in the meantime.
    """
    if known_errors or not tries_first(connection, values):
        return edit(connection, actor=actor, values=values, known_errors=known_errors)
    candidate = candidate_of(connection, values=values)
    findings = run_checks(candidate)
    if findings.bad:
        raise CredentialRefused(_secrets_in(connection, values)[0], findings)
    return take(candidate, findings, actor=actor, values=values)


def tries_first(connection: Connection, values: Mapping[str, Any]) -> bool:
    """True if a new credential has to be verified because the stored one works."""
    return connection.is_valid and bool(_secrets_in(connection, values))


def _secrets_in(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    return [n for n in secrets_of(connection.provider_key) if values.get(n)]


def candidate_of(
    connection: C, *, values: Mapping[str, Any], known_errors: Errors | None = None
) -> C:
    """The changed connection, unsaved. Raises ValidationError."""
    candidate = cast(C, type(connection).objects.get(pk=connection.pk))
    cleaned = cleaned_values(candidate, values, known_errors=known_errors)
    for name, value in cleaned.items():
        candidate.set_value(name, value)
    return candidate


@transaction.atomic
def take(candidate: C, findings: Findings, *, actor: User | None, values: Mapping[str, Any]) -> C:
    """Store the verified `candidate`. Raises Conflict if the connection was changed in the
    meantime."""
    fresh = cast(C, type(candidate).objects.select_for_update().get(pk=candidate.pk))
    if not fresh.is_same_as(candidate):
        raise Conflict("changed", _("Someone changed this connection in the meantime. Try again."))
    edited = edit(fresh, actor=actor, values=values)
    return store_findings(edited, findings, actor=actor)
