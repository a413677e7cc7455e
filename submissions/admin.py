from __future__ import annotations

from django.contrib import admin

from delivr.admin_site.read_only import ReadOnlyAdmin, ReadOnlyInline, state_of
from submissions.health.models import HealthReading, HealthWatch, RolloutRule
from submissions.models import Preflight, StoreLock, Submission, SubmissionEvent


class EventInline(ReadOnlyInline):
    model = SubmissionEvent


class RuleInline(ReadOnlyInline):
    model = RolloutRule


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ("id", "tenant", "release", "target", state_of("state"), "changed_at")
    list_filter = ("state",)
    list_select_related = ("tenant", "release", "target")
    search_fields = ("id",)
    inlines = (EventInline, RuleInline)


@admin.register(SubmissionEvent)
class SubmissionEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "tenant", "submission", "what", "is_outside")
    list_select_related = ("tenant", "submission__release", "submission__target")


@admin.register(Preflight)
class PreflightAdmin(ReadOnlyAdmin):
    list_display = ("id", "tenant", "release_target", "is_ready", "checked_at")
    list_select_related = ("tenant", "release_target__release", "release_target__target")


@admin.register(StoreLock)
class StoreLockAdmin(ReadOnlyAdmin):
    list_display = ("key", "held_until")


@admin.register(RolloutRule)
class RolloutRuleAdmin(ReadOnlyAdmin):
    list_display = ("id", "tenant", "submission", "action", "metric", "threshold", "acted_at")
    list_select_related = ("tenant", "submission__release", "submission__target")


@admin.register(HealthWatch)
class HealthWatchAdmin(ReadOnlyAdmin):
    list_display = ("id", "tenant", "submission", "source", "last_read_at", "look_at")
    list_select_related = (
        "tenant",
        "submission__release",
        "submission__target",
        "source__target",
    )


@admin.register(HealthReading)
class HealthReadingAdmin(ReadOnlyAdmin):
    list_display = ("at", "tenant", "submission", "metric", "value", "sample", "until")
    list_select_related = ("tenant", "submission__release", "submission__target")
