"""The events that endpoints are told of: one effect for each event and endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import F

from delivr.effects.operations import create_effects
from integrations.endpoints import EFFECT
from integrations.models import CommunicationIntegration
from releases.messages.events import BY_EVENT
from releases.messages.rules import Rule, rule_for

if TYPE_CHECKING:
    from releases.models import Release


def tell(
    release: Release,
    event: str,
    *,
    subject: str,
    suffix: str,
    payload: Mapping[str, Any],
    build_id: str = "",
) -> None:
    """Create the effects, in the caller's transaction. Each event has the next number of its
    release, so that a receiver can tell which of two is the newer one."""
    connected = CommunicationIntegration.objects.for_tenant(release.tenant_id)
    endpoints = [
        (communication, channel)
        for communication in connected.filter(release_rows__release=release)
        if communication.is_endpoint
        for channel in communication.channels
        if rule_for(communication, channel, BY_EVENT[event]) != Rule.OFF
    ]
    if not endpoints:
        return
    rows = type(release).objects.filter(pk=release.pk)
    rows.update(sequence=F("sequence") + 1)
    release.sequence = rows.values_list("sequence", flat=True).get()
    create_effects(
        tenant=release.tenant,
        kind=EFFECT,
        effects=[
            {
                "integration_id": endpoint.pk,
                "release_id": release.pk,
                "build_id": build_id,
                "dedupe_key": f"{subject}:event:{endpoint.pk}:{suffix}",
                "payload": {
                    **payload,
                    "name": event,
                    "sequence": release.sequence,
                    "channel": channel,
                    "channel_name": endpoint.channel_name(channel),
                },
            }
            for endpoint, channel in endpoints
        ],
    )
