"""Names for the ids in the audit log."""

from __future__ import annotations

from collections.abc import Iterable

from django import template

from builds.activity.lists import sent_lines
from builds.models import WebhookDelivery
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tenants.models import ApiToken, Tenant
from integrations.templatetags.connection_names import connection_names

register = template.Library()


@register.simple_tag
def audit_names(tenant: Tenant, events: Iterable[AuditEvent]) -> dict[str, str]:
    """Names of the tenant's connections and channels and of the rows' effects and deliveries, by
    id; names of the rows' tokens, by the beginning of the token."""
    subjects = {event.subject_id for event in events}
    effects = Effect.objects.for_tenant(tenant).filter(pk__in=_of(subjects, "eff_"))
    deliveries = WebhookDelivery.objects.for_tenant(tenant).filter(pk__in=_of(subjects, "whd_"))
    names = connection_names(tenant)
    names |= {str(token): token.name for token in _tokens(tenant, events) if token.name}
    for line in sent_lines(tenant, list(effects)):
        names[line.id] = f"{line.text} ({line.version})" if line.version else line.text
    for pk, pipeline_id in deliveries.values_list("pk", "pipeline_id"):
        names[pk] = names.get(pipeline_id, pk)
    return names


def _tokens(tenant: Tenant, events: Iterable[AuditEvent]) -> Iterable[ApiToken]:
    beginnings = [event.subject_label for event in events if event.subject_label.startswith("dlv_")]
    key_ids = [beginning.split("_")[1] for beginning in beginnings]
    tokens: Iterable[ApiToken] = ApiToken.objects.for_tenant(tenant).filter(key_id__in=key_ids)
    return tokens


def _of(ids: set[str], prefix: str) -> list[str]:
    return [pk for pk in ids if pk.startswith(prefix)]
