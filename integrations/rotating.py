"""A new credential is tried beside the old one before it takes its place.

Only where the old one works: a connection that does not work has nothing to lose, and what was
entered is stored and then verified, as in `operations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from delivr.conflict import Conflict
from delivr.tenants.models import User
from integrations.models import Connection
from integrations.operations import Errors, cleaned_values, edit
from integrations.providers.registry import provider_class
from integrations.verification import Findings, look_at, store_findings

C = TypeVar("C", bound=Connection)


class CredentialRefused(ValidationError):
    """The new credential failed `checks`; the old one stays in force."""

    def __init__(self, field: str, findings: Findings) -> None:
        self.checks = findings.checks
        bad = findings.bad[0]
        words = " ".join(filter(None, [bad.message, bad.hint]))
        kept = _("The stored one is still in force: the new one was not taken.")
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

    Raises CredentialRefused where a check fails, and ValidationError as `edit` does; Conflict where
    somebody else changed the connection meanwhile.
    """
    secrets = [n for n in provider_class(connection.kind).secret_fields if values.get(n)]
    if not connection.is_valid or not secrets or known_errors:
        return edit(connection, actor=actor, values=values, known_errors=known_errors)
    candidate = cast(C, type(connection).objects.get(pk=connection.pk))
    for name, value in cleaned_values(candidate, values).items():
        setattr(candidate, name, value)
    findings = look_at(candidate)
    if findings.bad:
        raise CredentialRefused(secrets[0], findings)
    with transaction.atomic():
        fresh = cast(C, type(connection).objects.select_for_update().get(pk=connection.pk))
        if fresh.updated_at != candidate.updated_at:
            raise Conflict("changed", _("Somebody changed this connection meanwhile. Try again."))
        edited = edit(fresh, actor=actor, values=values)
        return store_findings(edited, findings, actor=actor)
