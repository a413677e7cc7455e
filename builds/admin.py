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
from builds.forms import BuildNumberForm
from builds.models import Build, BuildEvent, TestBuild, WebhookDelivery
from delivr.conflict import Conflict
from delivr.effects.admin import EffectAdmin
from delivr.effects.models import Effect
from delivr.read_only import ReadOnlyAdmin, ReadOnlyInline

admin.site.unregister(Effect)  # the ledger knows no builds; here it learns to adopt one


@admin.register(Effect)
class LedgerAdmin(EffectAdmin):
    actions = (*EffectAdmin.actions, "adopt")

    @admin.action(description=gettext_lazy("Adopt a build…"), permissions=["operate"])
    def adopt(self, request: HttpRequest, rows: QuerySet[Effect]) -> HttpResponse | None:
        """Ask for the number of the build, then settle the trigger with it."""
        if rows.count() != 1:
            self.message_user(request, _("Choose one effect to adopt."), messages.WARNING)
            return None
        effect = rows.get()
        form = BuildNumberForm(request.POST if "chosen" in request.POST else None)
        if form.is_valid() and self._adopted(request, effect, form):
            self.message_user(request, _("Build #%(number)d is taken on.") % form.cleaned_data)
            return None
        words = {"effect": effect, "form": form, "checkbox_name": ACTION_CHECKBOX_NAME}
        context = {**self.admin_site.each_context(request), "title": _("Adopt a build"), **words}
        return TemplateResponse(request, "admin/builds/adopt.html", context)

    def _adopted(self, request: HttpRequest, effect: Effect, form: BuildNumberForm) -> bool:
        """False with the reason in the form."""
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
    """Without the lines of its log: they are the tenant's, and shown on their own page."""

    list_display = ("id", "release_pipeline", "tenant", "attempt", "number", "status", "created_at")
    list_filter = ("status",)
    list_select_related = ("release_pipeline__release", "tenant")
    search_fields = ("id", "number", "queue_id", "tenant__id", "tenant__name")
    date_hierarchy = "created_at"
    inlines = (EventInline,)
    hidden = ("log_excerpt",)


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


@admin.register(TestBuild)
class TestBuildAdmin(ReadOnlyAdmin):
    __test__ = False  # for pytest

    list_display = ("id", "pipeline_id", "tenant", "number", "status", "heard_at", "created_at")
    list_filter = ("status",)
    list_select_related = ("tenant",)
    search_fields = ("id", "pipeline__id", "number", "tenant__id", "tenant__name")
    date_hierarchy = "created_at"
