"""What people call the ids that the rows of the audit log hold."""

from __future__ import annotations

from collections.abc import Iterable

from django import template

from builds.activity import sent_lines
from builds.models import WebhookDelivery
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tenants.models import Tenant
from integrations.templatetags.connection_names import connection_names

register = template.Library()


@register.simple_tag
def audit_names(tenant: Tenant, events: Iterable[AuditEvent]) -> dict[str, str]:
    """By id: the tenant's connections and channels, and the effects and deliveries of the rows."""
    subjects = {event.subject_id for event in events}
    effects = Effect.objects.for_tenant(tenant).filter(pk__in=_of(subjects, "eff_"))
    deliveries = WebhookDelivery.objects.for_tenant(tenant).filter(pk__in=_of(subjects, "whd_"))
    names = connection_names(tenant)
    for line in sent_lines(tenant, list(effects)):
        names[line.id] = f"{line.text} ({line.version})" if line.version else line.text
    for pk, pipeline_id in deliveries.values_list("pk", "pipeline_id"):
        names[pk] = names.get(pipeline_id, pk)
    return names


def _of(ids: set[str], prefix: str) -> list[str]:
    return [pk for pk in ids if pk.startswith(prefix)]
