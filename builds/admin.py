from django.contrib import admin

from builds.models import Build, BuildEvent, WebhookDelivery
from delivr.read_only import ReadOnlyAdmin, ReadOnlyInline


class EventInline(ReadOnlyInline):
    model = BuildEvent
    hidden = ("id", "tenant")
    fk_name = "build"


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = ("id", "release_pipeline", "tenant", "attempt", "number", "status", "created_at")
    list_filter = ("status",)
    list_select_related = ("release_pipeline__release", "tenant")
    search_fields = ("id", "number", "queue_id", "tenant__id", "tenant__name")
    date_hierarchy = "created_at"
    inlines = (EventInline,)


@admin.register(BuildEvent)
class BuildEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "build_id", "tenant", "source", "from_status", "to_status", "applied")
    list_filter = ("source", "to_status", "applied")
    list_select_related = ("tenant",)
    search_fields = ("build__id", "tenant__id")
    date_hierarchy = "at"


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Without the body: it is the tenant's, and shown on their own page."""

    list_display = ("id", "pipeline_id", "tenant", "state", "reason", "received_at")
    list_filter = ("state", "trust")
    list_select_related = ("tenant",)
    search_fields = ("id", "pipeline__id", "dedupe_key", "tenant__id", "tenant__name")
    date_hierarchy = "received_at"
    hidden = ("body",)
