"""Releases as JSON, with the field names of the API contract."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from integrations.choices import Platform
from integrations.providers.ci import BuildStatus
from releases.blockers import BUILD, MESSAGES, blockers
from releases.branches import head_of
from releases.cards import offers_of
from releases.models import Release, ReleasePipeline, ReleaseStatus, ReleaseTarget
from releases.repository.acts import part_of
from releases.repository.serializers import ChangesSerializer, StepsSerializer, changes_of
from releases.tickets.serializers import (
    TicketsPreview,
    TicketStepsSerializer,
    TicketVersionSerializer,
    ticket_steps_shown,
    ticket_version_shown,
)

MAX_PARTS = 100


def _ids() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=60), max_length=MAX_PARTS)


class OneId(serializers.CharField):
    """The only one of a list of ids."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        value = super().run_validation(data)
        return [value] if value else []


class NewReleaseSerializer(serializers.Serializer[Any]):
    """A new release. Checks the shape only; the operation checks the rest."""

    version = serializers.CharField(allow_blank=True, max_length=200)
    scmIntegrationId = serializers.CharField(source="scm", allow_blank=True, max_length=60)
    targets = _ids()
    pipelines = _ids()
    communicationIds = serializers.ListField(
        source="communications",
        child=serializers.CharField(max_length=60),
        max_length=MAX_PARTS,
        required=False,
    )
    communicationId = OneId(source="communications", required=False, allow_null=True, max_length=60)
    ticketId = serializers.CharField(
        source="ticket", required=False, allow_null=True, max_length=60
    )
    branchRelease = serializers.CharField(
        source="branch", required=False, allow_null=True, allow_blank=True, max_length=255
    )

    baseBranch = serializers.CharField(
        source="base_branch", required=False, allow_null=True, allow_blank=True, max_length=255
    )
    repository = StepsSerializer(required=False, allow_null=True)
    ticketSteps = TicketStepsSerializer(source="ticket_steps", required=False, allow_null=True)


class JobPreview(serializers.Serializer[Any]):
    pipelineId = serializers.CharField(source="pipeline_id")
    platform = serializers.ChoiceField(Platform.choices)
    jenkinsUrl = serializers.CharField(source="server_url")
    jobPath = serializers.CharField(source="job_path")
    parameters = serializers.DictField(child=serializers.CharField())


class MessagePreview(serializers.Serializer[Any]):
    """`isEdit`: no message of its own, but what the message about the build is edited to."""

    communicationId = serializers.CharField(source="communication_id")
    channel = serializers.CharField()
    text = serializers.CharField()
    isEdit = serializers.BooleanField(source="is_edit")


class EpicPreview(serializers.Serializer[Any]):
    targetId = serializers.CharField(source="target_id")
    summary = serializers.CharField(source="epic.summary")
    description = serializers.CharField(source="epic.description")


class BranchPreview(serializers.Serializer[Any]):
    """The branch as it is in the repository now. `exists` is null if it could not be checked;
    `message` then says why. It also says so if the branch is missing."""

    name = serializers.CharField()
    exists = serializers.BooleanField(allow_null=True)
    commit = serializers.CharField()
    title = serializers.CharField()
    suggestions = serializers.ListField(child=serializers.CharField())
    message = serializers.CharField()


class RepositoryPreview(serializers.Serializer[Any]):
    """What would be done in the repository, in words."""

    steps = serializers.ListField(child=serializers.CharField())


class PreviewSerializer(serializers.Serializer[Any]):
    """What a release would cause: the response to `?dryRun=true`.

    `warnings` are problems that do not keep the release from being created.
    """

    version = serializers.CharField()
    branchRelease = serializers.CharField(source="branch")
    branch = BranchPreview(source="head")
    warnings = serializers.ListField(child=serializers.CharField())
    repository = RepositoryPreview()
    ticketSystem = TicketsPreview(source="tickets")
    jobs = JobPreview(many=True)
    messages = MessagePreview(many=True)
    epics = EpicPreview(many=True)


class ArtifactSerializer(serializers.Serializer[Any]):
    """`url` opens it for who is signed in to the CI server. `GET /builds/{id}/artifacts/{key}`
    answers the file, or an address from which it can be downloaded; without a `key`, its place in
    the list counts, from 0. `size` in bytes."""

    name = serializers.CharField()
    url = serializers.CharField()
    key = serializers.CharField(default="")
    size = serializers.IntegerField(default=None, allow_null=True)
    checksum = serializers.CharField(default="")
    expiresAt = serializers.DateTimeField(default=None, allow_null=True)


class RetrySerializer(serializers.Serializer[Any]):
    """One of the pipeline's `offers`, with less of it."""

    number = serializers.IntegerField()
    url = serializers.CharField()
    startedBy = serializers.CharField()
    commit = serializers.CharField()


class OfferSerializer(serializers.Serializer[Any]):
    """A build that can be adopted: `POST /releases/{id}/adopt`. It is a retry of one of delivr's
    (`RETRY`), may be what a trigger started whose response was lost (`TRIGGER`), or somebody
    started it for the release's branch (`OUTSIDE`). `startedBy`, `branch` and `commit` are empty if
    the CI server does not report them."""

    id = serializers.CharField()
    foundBy = serializers.ChoiceField(["RETRY", "TRIGGER", "OUTSIDE"], source="found_by")
    buildNumber = serializers.IntegerField(source="number", allow_null=True)
    buildUrl = serializers.CharField(source="url")
    buildStatus = serializers.ChoiceField([s.value for s in BuildStatus], source="status")
    startedBy = serializers.CharField(source="started_by")
    branch = serializers.CharField()
    commit = serializers.CharField()
    sameCommit = serializers.BooleanField(source="is_same_commit", allow_null=True)


class BuildSerializer(serializers.Serializer[Any]):
    """One attempt to build the release candidate `candidate`, which starts at 1 and increases each
    time a success is built again. Times are ISO 8601; `estimatedMs` is the CI server's estimate in
    milliseconds.

    `logExcerpt` has the lines of a failed build's log that explain the failure, shortly after its
    end; `logError` says why there are none. `retries` are those of the pipeline's `offers` that
    repeat this build.
    """

    id = serializers.CharField()
    pipelineId = serializers.CharField(source="release_pipeline.pipeline_id")
    platform = serializers.ChoiceField(Platform.choices, source="release_pipeline.platform")
    attempt = serializers.IntegerField()
    candidate = serializers.IntegerField()
    buildStatus = serializers.ChoiceField([s.value for s in BuildStatus], source="status")
    reportedStatus = serializers.CharField(source="reported_status")
    buildNumber = serializers.IntegerField(source="number", allow_null=True)
    buildUrl = serializers.CharField(source="url")
    commit = serializers.CharField(
        help_text=("The commit that was built; empty if the CI server does not report it.")
    )
    queueId = serializers.IntegerField(source="queue_id", allow_null=True)
    queueReason = serializers.CharField(source="queue_reason")
    artifactUrl = serializers.CharField(source="artifact_url")
    artifacts = ArtifactSerializer(many=True)
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)
    stillRunningAt = serializers.DateTimeField(
        source="still_running_at",
        allow_null=True,
        help_text="When the CI server last showed it running, long after it was cancelled.",
    )
    estimatedMs = serializers.IntegerField(source="estimated_ms", allow_null=True)
    logExcerpt = serializers.CharField(source="log_excerpt")
    logError = serializers.CharField(source="log_error")
    retries = serializers.SerializerMethodField()

    @extend_schema_field(RetrySerializer(many=True))
    def get_retries(self, build: Any) -> Any:
        part = build.release_pipeline
        is_newest = build.status == part.build_status and build.number == part.build_number
        rows = part.offers if is_newest and part.needs_build else []
        return RetrySerializer([r for r in rows if r["foundBy"] == "RETRY"], many=True).data


class ReleaseTargetSerializer(serializers.ModelSerializer[ReleaseTarget]):
    id = serializers.CharField(source="target_id")
    targetType = serializers.CharField(source="target.target_type")
    displayName = serializers.CharField(source="target.name")
    appIdentifier = serializers.SerializerMethodField()
    platform = serializers.ChoiceField(Platform.choices, source="target.platform")
    epicKey = serializers.CharField(source="epic_key")
    epicUrl = serializers.CharField(source="epic_page")

    class Meta:
        model = ReleaseTarget
        fields = [
            "id",
            "targetType",
            "displayName",
            "appIdentifier",
            "platform",
            "epicKey",
            "epicUrl",
        ]

    def get_appIdentifier(self, part: ReleaseTarget) -> str:
        """The app at the time the release was created."""
        return part.app_identifier or part.target.app_identifier


class ReleasePipelineLine(serializers.ModelSerializer[ReleasePipeline]):
    """A pipeline in the list of releases: without its builds."""

    id = serializers.CharField(source="pipeline_id")
    buildNumber = serializers.IntegerField(source="build_number", allow_null=True)
    buildUrl = serializers.CharField(source="build_url")
    buildStatus = serializers.ChoiceField([s.value for s in BuildStatus], source="build_status")
    artifactUrl = serializers.CharField(source="artifact_url")

    class Meta:
        model = ReleasePipeline
        fields = [
            "id",
            "platform",
            "triggered",
            "buildNumber",
            "buildUrl",
            "buildStatus",
            "artifactUrl",
            "candidate",
        ]


class ReleasePipelineSerializer(ReleasePipelineLine):
    jobPath = serializers.CharField(source="job_path")
    parameters = serializers.DictField(child=serializers.CharField())
    builds = BuildSerializer(many=True)
    offers = serializers.SerializerMethodField()

    class Meta:
        model = ReleasePipeline
        fields = [*ReleasePipelineLine.Meta.fields, "jobPath", "parameters", "builds", "offers"]

    @extend_schema_field(OfferSerializer(many=True))
    def get_offers(self, part: ReleasePipeline) -> Any:
        """The newest first."""
        return OfferSerializer(offers_of(part.release, part), many=True).data


class ReleaseLine(serializers.ModelSerializer[Release]):
    """A release in the list."""

    tenantId = serializers.CharField(source="tenant_id")
    status = serializers.ChoiceField(ReleaseStatus.choices)
    branchRelease = serializers.CharField(source="branch")
    scmIntegrationId = serializers.CharField(source="scm_id")
    communicationId = serializers.SerializerMethodField()
    communicationIds = serializers.ListField(
        child=serializers.CharField(), source="communication_ids"
    )
    ticketId = serializers.CharField(source="ticket_id", allow_null=True)
    appIdentifiers = serializers.SerializerMethodField()
    pipelines = ReleasePipelineLine(many=True)
    createdAt = serializers.DateTimeField(source="created_at")
    updatedAt = serializers.DateTimeField(source="updated_at")
    completedAt = serializers.DateTimeField(source="completed_at", allow_null=True)
    submittedAt = serializers.DateTimeField(source="submitted_at", allow_null=True)
    releasedAt = serializers.DateTimeField(source="released_at", allow_null=True)

    class Meta:
        model = Release
        fields = [
            "id",
            "tenantId",
            "version",
            "branchRelease",
            "status",
            "scmIntegrationId",
            "communicationId",
            "communicationIds",
            "ticketId",
            "appIdentifiers",
            "pipelines",
            "createdAt",
            "updatedAt",
            "completedAt",
            "submittedAt",
            "releasedAt",
        ]

    def get_communicationId(self, release: Release) -> str | None:
        """The first of `communicationIds`."""
        return next(iter(release.communication_ids), None)

    def get_appIdentifiers(self, release: Release) -> list[str]:
        """Its apps at the time it was created, without duplicates."""
        return release.app_identifiers


class TicketSerializer(serializers.Serializer[Any]):
    """The epic of one target: its key once it was created, or the error that prevents it."""

    targetId = serializers.CharField()
    key = serializers.CharField()
    url = serializers.CharField()
    state = serializers.CharField()
    effectId = serializers.CharField()
    error = serializers.CharField()
    hint = serializers.CharField()


class TimelineSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    title = serializers.CharField()
    detail = serializers.CharField()
    tone = serializers.CharField()
    url = serializers.CharField()


class BlockerSerializer(serializers.Serializer[Any]):
    """One thing that blocks the release; `next` is when delivr retries automatically. `area` is
    `build` if it holds up builds, and `messages` if only messages or epics wait."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    next = serializers.DateTimeField(allow_null=True)
    area = serializers.ChoiceField([BUILD, MESSAGES])


class BranchHeadSerializer(serializers.Serializer[Any]):
    """The result of the last check of the branch, at `checkedAt`: whether it `exists` (null: not
    checked yet), its newest commit, or the most similar names; `message` says what is wrong."""

    exists = serializers.BooleanField(allow_null=True)
    commit = serializers.CharField()
    title = serializers.CharField()
    checkedAt = serializers.DateTimeField(source="checked_at", allow_null=True)
    suggestions = serializers.ListField(child=serializers.CharField())
    message = serializers.CharField()


class ReleaseSerializer(ReleaseLine):
    """A release with everything about it; the view passes its effects in the context.

    `submittedAt` and `releasedAt` are when a person marked it so, `submittedBy` and `releasedBy`
    their email addresses. `mutedAt` is since when it is muted.
    """

    submittedBy = serializers.EmailField(source="submitted_by.email", default=None, allow_null=True)
    releasedBy = serializers.EmailField(source="released_by.email", default=None, allow_null=True)

    mutedAt = serializers.DateTimeField(source="muted_at", allow_null=True)
    targets = ReleaseTargetSerializer(many=True)
    pipelines = ReleasePipelineSerializer(many=True)
    tickets = serializers.SerializerMethodField()
    timeline = serializers.SerializerMethodField()
    blockers = serializers.SerializerMethodField()
    branchHead = serializers.SerializerMethodField()
    baseBranch = serializers.SerializerMethodField()
    repository = serializers.SerializerMethodField()
    commit = serializers.SerializerMethodField()
    changes = serializers.SerializerMethodField()
    tag = serializers.SerializerMethodField()
    tagUrl = serializers.SerializerMethodField()
    scmReleaseUrl = serializers.SerializerMethodField()
    ticketSteps = serializers.SerializerMethodField()
    ticketVersion = serializers.SerializerMethodField()

    class Meta:
        model = Release
        fields = [
            *ReleaseLine.Meta.fields,
            "submittedBy",
            "releasedBy",
            "mutedAt",
            "branchHead",
            "baseBranch",
            "repository",
            "commit",
            "changes",
            "tag",
            "tagUrl",
            "scmReleaseUrl",
            "ticketSteps",
            "ticketVersion",
            "targets",
            "tickets",
            "timeline",
            "blockers",
        ]

    @extend_schema_field(BranchHeadSerializer)
    def get_branchHead(self, release: Release) -> Any:
        return BranchHeadSerializer(head_of(release)).data

    def get_baseBranch(self, release: Release) -> str:
        """From which the branch is cut; empty until the default branch was looked up."""
        return part_of(release).base_branch

    @extend_schema_field(StepsSerializer)
    def get_repository(self, release: Release) -> Any:
        return StepsSerializer(part_of(release)).data

    def get_commit(self, release: Release) -> str:
        """At which the branch was cut; empty if delivr did not create it (yet)."""
        return part_of(release).commit

    @extend_schema_field(ChangesSerializer)
    def get_changes(self, release: Release) -> Any:
        return changes_of(release, self.context["changes"])

    def get_tag(self, release: Release) -> str:
        return part_of(release).tag

    def get_tagUrl(self, release: Release) -> str:
        return part_of(release).tag_url

    def get_scmReleaseUrl(self, release: Release) -> str:
        return part_of(release).release_url

    @extend_schema_field(TicketStepsSerializer(allow_null=True))
    def get_ticketSteps(self, release: Release) -> Any:
        return ticket_steps_shown(release)

    @extend_schema_field(TicketVersionSerializer(allow_null=True))
    def get_ticketVersion(self, release: Release) -> Any:
        return ticket_version_shown(release, self.context["effects"])

    @extend_schema_field(TicketSerializer(many=True))
    def get_tickets(self, release: Release) -> list[dict[str, Any]]:
        found = [e for e in self.context["effects"] if e.kind == "ticket.create_epic"]
        page_of = release.ticket.page_of if release.ticket else str
        return [
            {
                "targetId": effect.payload["target"],
                "key": effect.result.get("key", ""),
                "url": page_of(effect.result.get("url", "")),
                "state": effect.state,
                "effectId": effect.pk,
                "error": effect.last_error,
                "hint": effect.last_error_hint,
            }
            for effect in found
        ]

    @extend_schema_field(TimelineSerializer(many=True))
    def get_timeline(self, release: Release) -> Any:
        from releases.timeline import timeline

        items = timeline(release, self.context["effects"], self.context["marks"])
        return TimelineSerializer(items, many=True).data

    @extend_schema_field(BlockerSerializer(many=True))
    def get_blockers(self, release: Release) -> Any:
        given = self.context
        found = blockers(
            release, given["effects"], given["failing"], given["heartbeat"], timezone.now()
        )
        return BlockerSerializer(found, many=True).data
