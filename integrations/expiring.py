"""Emails to owners and admins before a credential expires: `mail.expiring`, 14, 7 and 1 days
before, once each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from delivr.tenants.models import Role
from integrations.expiry import WARN, expiry_words
from integrations.mails import ConnectionMail, create_mail_to_each
from integrations.models import FAMILIES, Connection

DAYS = (1, 7, WARN.days)
MANAGERS = (Role.OWNER, Role.ADMIN)


def due_warnings() -> list[str]:
    """Ids of the connections whose credential expires within 14 days."""
    now = timezone.now()
    return [
        pk
        for model in FAMILIES.values()
        for pk in model.objects.filter(
            disconnected_at=None, credential_expires_at__range=(now, now + WARN)
        ).values_list("pk", flat=True)
    ]


@transaction.atomic
def warn_by_id(connection_id: str) -> None:
    """The job `expiry`: create the mails for the threshold that was reached, once.

    A credential that is connected five days before it expires causes one mail at once and one on
    the last day.
    """
    model = next(m for m in FAMILIES.values() if m.owns(connection_id))
    rows = model.objects.select_related("tenant")
    connection = rows.filter(pk=connection_id, disconnected_at=None).first()
    if connection is None or not ends_soon(connection):
        return
    ends = connection.credential_expires_at
    days = next(days for days in DAYS if ends - timezone.now() <= timedelta(days=days))
    occasion = f"expiring:{connection.pk}:{ends.date().isoformat()}:{days}"
    create_mail_to_each(connection, "mail.expiring", MANAGERS, occasion=occasion)


def ends_soon(connection: Connection) -> bool:
    """True if the credential's expiry is known, within 14 days and not past."""
    ends, now = connection.credential_expires_at, timezone.now()
    return ends is not None and now < ends <= now + WARN


class ExpiryMail(ConnectionMail):
    """Unneeded once a credential that lasts longer was entered, or when it has expired."""

    roles, template = MANAGERS, "integrations/expiring"

    def still_applies(self, connection: Connection) -> bool:
        return ends_soon(connection)

    def extra_context(self, connection: Connection) -> dict[str, Any]:
        return {"expiry": expiry_words(connection)}
