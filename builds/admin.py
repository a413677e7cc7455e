from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from builds.adopting import adopt_build
from builds.cancelling import cancel_build
from builds.forms import BuildNumberForm
from builds.models import (
    WAITING_STATES,
    Build,
    BuildEvent,
    ButtonPress,
    ChatAccount,
    InsightsDay,
    InsightsKept,
    InsightsNote,
    TestBuild,
    WebhookDelivery,
)
from builds.webhooks.deliveries import replay
from delivr.admin_site.read_only import ReadOnlyAdmin, ReadOnlyInline, link_to, state_of
from delivr.effects.admin import EffectAdmin
from delivr.effects.models import Effect
from delivr.failures import Conflict
from integrations.models import find_connection
from releases.models import MOVING, Release
from releases.wording import KINDS, describe_effect

admin.site.unregister(Effect)  # delivr.effects knows no builds; LedgerAdmin adds adopting one


class KindFilter(admin.SimpleListFilter):
    """Lists the known kinds; Django's own filter would scan the whole table for them."""

    title = gettext_lazy("kind")
    parameter_name = "kind__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(KINDS.items())

    def queryset(self, request: HttpRequest, rows: QuerySet[Effect]) -> QuerySet[Effect]:
        return rows.filter(kind=self.value()) if self.value() else rows


@admin.register(Effect)
class LedgerAdmin(EffectAdmin):
    list_display = (
        "about",
        "tenant",
        state_of("state", "effect"),
        "attempts",
        "last_error",
        "created_at",
    )
    list_filter = ("state", KindFilter, *EffectAdmin.list_filter[1:])
    actions = (*EffectAdmin.actions, "adopt")
    links = ("about", "release", "build", "connection")

    def by_id(self, text: str) -> QuerySet[Effect] | None:
        """Also by that of the release or build that they are about."""
        for model, column in ((Release, "release_id"), (Build, "build_id")):
            row = model.objects.filter(pk=text.replace("\0", "")).first()
            if row is not None:
                return Effect.objects.for_tenant(row.tenant_id).filter(**{column: row.pk})
        return super().by_id(text)

    shown_first = (*links, "tenant", "state", "attempts", "last_error", "last_error_hint", "result")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *self.links)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The most useful fields first, then the times, then the rest."""
        rest = [name for name in self.get_fields(request, obj) if name not in self.shown_first]
        times = [name for name in rest if name.endswith(("_at", "_until"))]
        rest = [name for name in rest if name not in times]
        return (
            (None, {"fields": self.shown_first}),
            (_("Times"), {"fields": times}),
            (_("For programs"), {"fields": rest, "classes": ("collapse",)}),
        )

    @admin.display(description=gettext_lazy("what"), ordering="kind")
    def about(self, effect: Effect) -> str:
        return describe_effect(effect)

    @admin.display(description=gettext_lazy("release"))
    def release(self, effect: Effect) -> str:
        return link_to(Release.objects.filter(pk=effect.release_id).first(), effect.release_id)

    @admin.display(description=gettext_lazy("build"))
    def build(self, effect: Effect) -> str:
        builds = Build.objects.select_related("release_pipeline")
        return link_to(builds.filter(pk=effect.build_id).first(), effect.build_id)

    @admin.display(description=gettext_lazy("connection"))
    def connection(self, effect: Effect) -> str:
        found = find_connection(tenant=effect.tenant_id, connection_id=effect.integration_id)
        return link_to(found, effect.integration_id)

    @admin.action(description=gettext_lazy("Adopt a build…"), permissions=["operate"])
    def adopt(self, request: HttpRequest, rows: QuerySet[Effect]) -> HttpResponse | None:
        """Show a form for the build's number, then adopt the build of that number."""
        if rows.count() != 1:
            self.message_user(request, _("Choose one effect to adopt."), messages.WARNING)
            return None
        effect = rows.get()
        form = BuildNumberForm(request.POST if "chosen" in request.POST else None)
        if form.is_valid() and self._adopted(request, effect, form):
            self.message_user(request, _("Build #%(number)d is adopted.") % form.cleaned_data)
            return None
        words = {"effect": effect, "form": form, "checkbox_name": ACTION_CHECKBOX_NAME}
        context = {**self.admin_site.each_context(request), "title": _("Adopt a build"), **words}
        return TemplateResponse(request, "admin/builds/adopt.html", context)

    def _adopted(self, request: HttpRequest, effect: Effect, form: BuildNumberForm) -> bool:
        """True if the build was adopted; otherwise the form has the reason."""
        actor: Any = request.user
        try:
            adopt_build(effect=effect, number=form.cleaned_data["number"], actor=actor)
        except Conflict as conflict:
            form.add_error(None, conflict.message)
        except ValidationError as error:
            form.add_error("number", error.messages)
        return form.is_valid()


class EventInline(ReadOnlyInline):
    model = BuildEvent
    hidden = ("id", "tenant")
    fk_name = "build"


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    """The log excerpt is hidden: only the tenant's own pages show it."""

    list_display = (
        "__str__",
        "release_pipeline",
        "tenant",
        "attempt",
        state_of("status", "build"),
        "created_at",
    )
    list_filter = ("status",)
    list_select_related = ("release_pipeline__release", "tenant")
    search_fields = ("id", "number", "queue_id", "tenant__id", "tenant__name")
    inlines = (EventInline,)
    ordering = ("-created_at", "-id")
    hidden = ("log_excerpt",)
    actions = ("cancel",)

    def few(self, request: HttpRequest, rows: QuerySet[Build]) -> QuerySet[Build] | None:
        status = request.GET.get("status__exact")
        return rows.filter(status=status) if status in MOVING else None

    @admin.action(description=gettext_lazy("Cancel the build"), permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Build]) -> None:
        actor: Any = request.user
        self.operate(request, rows, lambda build: cancel_build(build=build, actor=actor))


@admin.register(BuildEvent)
class BuildEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "build_id", "tenant", "source", "from_status", "to_status", "applied")
    list_filter = ("source", "to_status", "applied")
    list_select_related = ("tenant",)
    search_fields = ("build__id", "tenant__id")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """The body is hidden: only the tenant's own pages show it."""

    list_display = (
        "id",
        "pipeline",
        "tenant",
        state_of("state", "delivery"),
        "reason",
        "received_at",
    )
    list_filter = ("state", "trust")
    list_select_related = ("tenant", "pipeline")
    search_fields = ("id", "pipeline__id", "dedupe_key", "tenant__id", "tenant__name")
    hidden = ("body",)
    actions = ("replay",)

    def few(
        self, request: HttpRequest, rows: QuerySet[WebhookDelivery]
    ) -> QuerySet[WebhookDelivery] | None:
        is_waiting = request.GET.get("state__exact") in WAITING_STATES
        return rows.filter(next_at__isnull=False) if is_waiting else None

    @admin.action(description=gettext_lazy("Apply again"), permissions=["operate"])
    def replay(self, request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> None:
        actor: Any = request.user
        self.operate(request, rows, lambda delivery: replay(delivery, actor=actor))


@admin.register(TestBuild)
class TestBuildAdmin(ReadOnlyAdmin):
    __test__ = False  # not a test class: tell pytest not to collect it

    list_display = (
        "id",
        "pipeline",
        "tenant",
        "number",
        state_of("status", "build"),
        "first_webhook_at",
        "created_at",
    )
    list_filter = ("status",)
    list_select_related = ("tenant", "pipeline")
    search_fields = ("id", "pipeline__id", "number", "tenant__id", "tenant__name")


@admin.register(ButtonPress)
class ButtonPressAdmin(ReadOnlyAdmin):
    list_display = ("id", "action", "user_name", "actor", "tenant", "state", "pressed_at")
    list_filter = ("state",)
    list_select_related = ("tenant", "actor")
    search_fields = ("id", "value", "user", "user_name", "tenant__id", "tenant__name")


@admin.register(ChatAccount)
class ChatAccountAdmin(ReadOnlyAdmin):
    list_display = ("chat_name", "team", "chat_user", "user", "tenant", "linked_at")
    list_select_related = ("tenant", "user")
    search_fields = ("chat_name", "chat_user", "user__email", "tenant__id")


@admin.register(InsightsDay)
class InsightsDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "tenant", "platform", "pipeline_key")


@admin.register(InsightsKept)
class InsightsKeptAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "until")


@admin.register(InsightsNote)
class InsightsNoteAdmin(ReadOnlyAdmin):
    list_display = ("tenant_key", "day")
