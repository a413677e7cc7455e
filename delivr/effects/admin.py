from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delivr.admin_site.read_only import NamedValuesFilter, ReadOnlyAdmin
from delivr.effects.models import (
    OPEN_STATES,
    Effect,
    EffectState,
    Heartbeat,
    IntegrationHealth,
)
from delivr.effects.operations import cancel_effect, retry_effect


@admin.register(Effect)
class EffectAdmin(ReadOnlyAdmin):
    list_filter: ClassVar[tuple[Any, ...]] = ("state", ("last_error_code", NamedValuesFilter))
    list_select_related = ("tenant",)
    search_fields = ("id", "dedupe_key", "release_id", "build_id", "integration_id", "tenant__id")
    actions: tuple[str, ...] = ("retry", "cancel")

    def few(self, request: HttpRequest, rows: QuerySet[Effect]) -> QuerySet[Effect] | None:
        state = request.GET.get("state__exact")
        if state == EffectState.DEAD:  # however old: they wait for a person
            return rows.filter(state=state, done_at__isnull=False)
        return rows.filter(state=state) if state in OPEN_STATES else None

    @admin.action(description=_("Retry failed effects"), permissions=["operate"])
    def retry(self, request: HttpRequest, rows: QuerySet[Effect]) -> None:
        actor: Any = request.user
        self.operate(request, rows, lambda effect: retry_effect(effect=effect, actor=actor))

    @admin.action(description=_("Do not send"), permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Effect]) -> None:
        actor: Any = request.user
        self.operate(request, rows, lambda effect: cancel_effect(effect=effect, actor=actor))


@admin.register(IntegrationHealth)
class IntegrationHealthAdmin(ReadOnlyAdmin):
    list_display = (
        "integration_id",
        "tenant",
        "failures",
        "failing_since",
        "open_until",
        "rate_limited_until",
        "credentials_refused_at",
    )
    list_select_related = ("tenant",)
    search_fields = ("integration_id", "tenant__id", "tenant__name")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "at", "broker_down_since")
    search_fields = ("name",)
