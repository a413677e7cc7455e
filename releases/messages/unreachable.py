"""Channels that take no messages any more: an address that its mail server refuses for good."""

from __future__ import annotations

from delivr.effects.models import Effect, EffectState
from integrations import recipients
from integrations.models import CommunicationIntegration


def is_silent(effect: Effect) -> bool:
    """True if nothing more is sent to the message's channel."""
    rows = CommunicationIntegration.objects.for_tenant(effect.tenant_id)
    found = rows.filter(pk=effect.integration_id).first()
    return found is not None and effect.payload["channel"] in found.silent


def lock(effect: Effect) -> None:
    """Lock the connection if `note` may write to it: before the effect's own row."""
    if _failed_now(effect):
        recipients.locked(tenant_id=effect.tenant_id, connection_id=effect.integration_id)


def note(effect: Effect) -> None:
    """The message was given up: if the channel was refused for good, send no more to it."""
    if not _failed_now(effect):
        return
    found = recipients.locked(tenant_id=effect.tenant_id, connection_id=effect.integration_id)
    if found is not None and effect.last_error_code == found.provider_class.unreachable_code:
        recipients.note_refused(found, effect.payload["channel"], effect.last_error)


def _failed_now(effect: Effect) -> bool:
    """It ends with an error, and not because a person cancels what had failed before."""
    return effect.state == EffectState.LEASED and effect.last_error_code != ""
