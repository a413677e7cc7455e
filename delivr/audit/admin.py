from django.contrib import admin

from delivr.audit.models import AuditEvent
from delivr.read_only import ReadOnlyAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "tenant", "actor_label", "action", "subject_label")
    list_filter = ("action",)
    list_select_related = ("tenant",)
    search_fields = ("actor_label", "subject_id", "subject_label", "tenant__id", "tenant__name")
    date_hierarchy = "at"
