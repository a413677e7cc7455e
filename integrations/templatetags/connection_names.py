"""Names for the ids in stored texts."""

from __future__ import annotations

from django import template

from delivr.tenants.models import Tenant
from integrations.in_short import connections_in_short
from integrations.models import CommunicationIntegration

register = template.Library()


@register.simple_tag
def connection_names(tenant: Tenant) -> dict[str, str]:
    """The names of the tenant's connections and chat channels, by id."""
    names = {}
    for connection in connections_in_short(tenant):
        names[connection.pk] = str(connection)
        if isinstance(connection, CommunicationIntegration):
            ids = connection.recipients
            names |= {channel: connection.channel_name(channel) for channel in ids}
    return names
