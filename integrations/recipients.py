"""Recipients of messages to which nothing is sent any more, and what changes that."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects import clock
from delivr.failures import Conflict
from delivr.tenants.models import User
from delivr.unsubscribe import hash_of
from integrations.choices import Silence
from integrations.models import SILENT, CommunicationIntegration


def locked(*, tenant_id: str, connection_id: str) -> CommunicationIntegration | None:
    """The connection, locked; None if it was removed."""
    rows = CommunicationIntegration.objects.for_tenant(tenant_id).select_for_update()
    found: CommunicationIntegration | None = rows.filter(pk=connection_id).first()
    return found


def note_refused(connection: CommunicationIntegration, recipient: str, words: str) -> None:
    """Send no more to a recipient that was refused for good, in the caller's transaction, which
    holds the row's lock."""
    if recipient in connection.channels:
        _silence(connection, recipient, Silence.REFUSED, words)
        changes = {"recipient": [recipient, "refused"]}
        record(actor=None, action="recipient.refused", subject=connection, changes=changes)


@transaction.atomic
def unsubscribe(*, tenant_id: str, connection_id: str, hashed: str) -> None:
    """End the messages to the recipient with this hash, as itself asked. Does nothing if there is
    none, or if it gets none already."""
    connection = locked(tenant_id=tenant_id, connection_id=connection_id)
    recipient = _with_hash(connection, hashed)
    if connection is None or recipient is None:
        return
    if connection.silent.get(recipient, {}).get("why") == Silence.UNSUBSCRIBED:
        return
    _silence(connection, recipient, Silence.UNSUBSCRIBED, "")
    changes = {"recipient": [recipient, "unsubscribed"]}
    record(actor=None, action="recipient.unsubscribed", subject=connection, changes=changes)


@transaction.atomic
def subscribe_again(*, tenant_id: str, connection_id: str, hashed: str) -> None:
    """Take back `unsubscribe`, which only the recipient can. Does nothing if there is nothing to
    take back."""
    connection = locked(tenant_id=tenant_id, connection_id=connection_id)
    recipient = _with_hash(connection, hashed)
    if connection is None or recipient is None:
        return
    if connection.silent.get(recipient, {}).get("why") != Silence.UNSUBSCRIBED:
        return
    _store(connection, _others(connection, recipient))
    changes = {"recipient": [recipient, "subscribed again"]}
    record(actor=None, action="recipient.subscribed_again", subject=connection, changes=changes)


def _with_hash(connection: CommunicationIntegration | None, hashed: str) -> str | None:
    known = connection.recipients if connection else []
    return next((one for one in known if hash_of(one) == hashed), None)


@transaction.atomic
def send_again(*, connection: CommunicationIntegration, recipient: str, actor: User) -> None:
    """Try a refused recipient again. Raises Conflict if it was not refused."""
    found = locked(tenant_id=connection.tenant_id, connection_id=connection.pk)
    why = found.silent.get(recipient, {}).get("why") if found else None
    if found is None or why != Silence.REFUSED:
        raise Conflict("not_refused", _("Emails to this address are not stopped by a refusal."))
    _store(found, _others(found, recipient))
    changes = {"recipient": [recipient, "tried again"]}
    record(actor=actor, action="recipient.tried_again", subject=found, changes=changes)


def _silence(
    connection: CommunicationIntegration, recipient: str, why: Silence, words: str
) -> None:
    about = {"why": why.value, "words": words, "at": clock.now().isoformat()}
    _store(connection, {**_others(connection, recipient), recipient: about})


def _others(connection: CommunicationIntegration, recipient: str) -> dict[str, Any]:
    known = connection.options.get(SILENT, {})
    return {one: about for one, about in known.items() if one.lower() != recipient.lower()}


def _store(connection: CommunicationIntegration, silent: dict[str, Any]) -> None:
    connection.options = {**connection.options, SILENT: silent}
    connection.revision += 1
    connection.save(update_fields=["options", "revision", "updated_at"])
