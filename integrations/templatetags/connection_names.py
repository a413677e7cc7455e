"""What people call the ids that stored texts hold."""

from __future__ import annotations

from django import template

from delivr.tenants.models import Tenant
from integrations.models import CommunicationIntegration, ScmIntegration, TargetIntegration

register = template.Library()


@register.simple_tag
def connection_names(tenant: Tenant) -> dict[str, str]:
    """By id: the tenant's connections that others name, and its chat channels."""
    names = {
        connection.pk: str(connection)
        for model in (ScmIntegration, TargetIntegration)
        for connection in model.objects.for_tenant(tenant)
    }
    for chat in CommunicationIntegration.objects.for_tenant(tenant):
        names |= {channel: chat.channel_name(channel) for channel in chat.slack_channels}
    return names
