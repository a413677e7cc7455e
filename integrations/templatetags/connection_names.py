"""Names for the ids in stored texts."""

from __future__ import annotations

from django import template

from delivr.tenants.models import Tenant
from integrations.models import FAMILIES, CommunicationIntegration

register = template.Library()


@register.simple_tag
def connection_names(tenant: Tenant) -> dict[str, str]:
    """The names of the tenant's connections and chat channels, by id."""
    names = {}
    for model in FAMILIES.values():
        for connection in model.objects.for_tenant(tenant):
            names[connection.pk] = str(connection)
            if isinstance(connection, CommunicationIntegration):
                ids = connection.recipients
                names |= {channel: connection.channel_name(channel) for channel in ids}
    return names
