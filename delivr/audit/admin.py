from django.contrib import admin

from delivr.admin_site.read_only import ReadOnlyAdmin
from delivr.audit.models import AuditEvent, AuditSeal


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "tenant_id", "actor_label", "action", "subject_label")
    list_filter = ("action",)
    search_fields = ("actor_label", "subject_id", "subject_label", "tenant__id")


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin):
    list_display = ("seq", "tenant_id", "event_id", "sealed_at", "hash")
    search_fields = ("tenant__id", "hash")
