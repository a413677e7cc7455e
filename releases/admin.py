from django.contrib import admin

from delivr.admin_site.read_only import ReadOnlyAdmin, ReadOnlyInline, state_of
from releases.models import (
    Change,
    ChangeTicket,
    Release,
    ReleaseCommunication,
    ReleaseNotice,
    ReleasePipeline,
    ReleaseSettings,
    ReleaseTarget,
    RepositoryPart,
    TicketPart,
)


class TargetInline(ReadOnlyInline):
    model = ReleaseTarget
    hidden = ("id", "tenant")


class PipelineInline(ReadOnlyInline):
    model = ReleasePipeline
    hidden = ("id", "tenant", "parameters", "artifact_url")


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ("version", "tenant", state_of("status"), "created_by", "created_at")
    list_filter = ("status",)
    list_select_related = ("tenant", "created_by")
    search_fields = ("id", "version", "branch", "tenant__id", "tenant__name")
    inlines = (TargetInline, PipelineInline)


@admin.register(ReleaseTarget)
class ReleaseTargetAdmin(ReadOnlyAdmin):
    list_display = ("release", "target", "tenant", "epic_key")
    list_select_related = ("release", "target", "tenant")
    search_fields = ("release__id", "epic_key", "tenant__id")


@admin.register(ReleaseCommunication)
class ReleaseCommunicationAdmin(ReadOnlyAdmin):
    list_display = ("release", "communication", "tenant")
    list_select_related = ("release", "communication", "tenant")
    search_fields = ("release__id", "tenant__id")


@admin.register(ReleasePipeline)
class ReleasePipelineAdmin(ReadOnlyAdmin):
    list_display = (
        "release",
        "platform",
        "tenant",
        state_of("build_status", "build"),
        "build_number",
    )
    list_filter = ("build_status", "platform")
    list_select_related = ("release", "tenant")
    search_fields = ("release__id", "job_path", "build_number", "tenant__id")


@admin.register(ReleaseSettings)
class ReleaseSettingsAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "creates_branch", "makes_tag", "drafts_release")
    list_select_related = ("tenant",)
    search_fields = ("tenant__id", "tenant__name")


@admin.register(RepositoryPart)
class RepositoryPartAdmin(ReadOnlyAdmin):
    list_display = ("release", "tenant", "base_branch", "commit", "tag", "total", "look_at")
    list_select_related = ("release", "tenant")
    search_fields = ("release__id", "commit", "tag", "tenant__id")


@admin.register(TicketPart)
class TicketPartAdmin(ReadOnlyAdmin):
    list_display = ("release", "tenant", "version_name", "total", "not_done", "look_at")
    list_select_related = ("release", "tenant")
    search_fields = ("release__id", "version_name", "tenant__id")


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    list_display = ("short_sha", "title", "release", "tenant", "author", "pull_number")
    list_select_related = ("release", "tenant")
    search_fields = ("sha", "release__id", "tenant__id")


@admin.register(ChangeTicket)
class ChangeTicketAdmin(ReadOnlyAdmin):
    list_display = ("key", "change", "tenant")
    list_select_related = ("change", "tenant")
    search_fields = ("key", "tenant__id")


@admin.register(ReleaseNotice)
class ReleaseNoticeAdmin(ReadOnlyAdmin):
    list_display = ("notice", "release_id", "tenant", "at")
    list_select_related = ("tenant",)
    search_fields = ("release_id", "tenant__id")
