"""Who did what: append-only."""

from django.conf import settings
from django.db import models

from delivr.tenants.models import TenantOwned, unique_per_tenant


class AuditEvent(TenantOwned):
    """One change, written in its transaction. `actor` is null for what delivr did by itself."""

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64, blank=True)
    subject_label = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "audit_events"
        ordering = ["-at", "-id"]
        constraints = [unique_per_tenant("audit_event")]
        indexes = [models.Index(fields=["tenant", "-at"], name="audit_by_time")]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.action} {self.subject_label}"
