"""The operator's view of connections: read and verify; changes are made on the pages."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from delivr.admin_site.read_only import ModelAdmin, ReadOnly, ReadOnlyAdmin, state_of
from delivr.tenants.models import User
from integrations.models import (
    FAMILIES,
    Connection,
    EarlierWebhookSecret,
    EndpointAttempt,
    StoreWebhookSecret,
)
from integrations.verification import verify


class ConnectionAdmin(ReadOnly, ModelAdmin):
    """Read-only and without secrets: a change here would bypass the rules and the audit log."""

    model: type[Connection]
    list_display = (
        "__str__",
        "id",
        "tenant",
        state_of("verification_status", "verification"),
        "last_verified_at",
        "disconnected_at",
    )
    list_select_related = ("tenant",)
    search_fields = ("id", "display_name", "tenant__id", "tenant__name")
    date_hierarchy = "created_at"
    actions = ("verify_again",)

    def get_list_filter(self, request: HttpRequest) -> Any:
        is_gone = ("disconnected_at", admin.EmptyFieldListFilter)
        return (self.model.type_field, "verification_status", is_gone)

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.action(description=_("Verify again"), permissions=["verify"])
    def verify_again(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        """Verify each connection now, one after the other (network, up to about 20 s each)."""
        actor = cast(User, request.user)
        for connection in chosen.filter(disconnected_at=None).select_related("tenant"):
            self._tell(request, verify(connection, actor=actor))

    def _tell(self, request: HttpRequest, connection: Connection) -> None:
        words = f"{connection}: {connection.get_verification_status_display()}"
        level = messages.SUCCESS if connection.is_valid else messages.WARNING
        self.message_user(request, words, level)


admin.site.register(list(FAMILIES.values()), ConnectionAdmin)


@admin.register(EarlierWebhookSecret)
class EarlierWebhookSecretAdmin(ReadOnlyAdmin):
    list_display = ("id", "pipeline", "until")
    list_select_related = ("pipeline",)
    search_fields = ("id", "pipeline__id", "tenant__id")
    date_hierarchy = "until"


@admin.register(StoreWebhookSecret)
class StoreWebhookSecretAdmin(ReadOnlyAdmin):
    list_display = ("id", "target", "created_at", "until", "heard_at", "heard_event")
    list_select_related = ("target",)
    search_fields = ("id", "target__id", "tenant__id")
    date_hierarchy = "created_at"


@admin.register(EndpointAttempt)
class EndpointAttemptAdmin(ReadOnlyAdmin):
    """What was sent and answered is hidden: only the tenant's own pages show it."""

    list_display = ("id", "tenant", "integration_id", "event", "status", "at")
    list_select_related = ("tenant",)
    search_fields = ("id", "message_id", "integration_id", "tenant__id")
    hidden = ("body", "answer")
    date_hierarchy = "at"
