"""Releases, their targets, and their pipelines with the state of the newest build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Exists, OuterRef, Prefetch, Q
from django.utils.translation import gettext_lazy as _

from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, TenantQuerySet, unique_per_tenant
from integrations.choices import Platform, TargetType
from integrations.models import (
    CommunicationIntegration,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
    TicketIntegration,
)
from integrations.parameters import parameters_of
from integrations.providers.ci import BuildStatus
from releases.messages.models import ReleaseNotice as ReleaseNotice
from releases.repository.models import Change as Change
from releases.repository.models import ChangeTicket as ChangeTicket
from releases.repository.models import ReleaseSettings as ReleaseSettings
from releases.repository.models import RepositoryPart as RepositoryPart
from releases.tickets.models import TicketPart as TicketPart

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class ReleaseStatus(models.TextChoices):
    KICKOFF_PENDING = "KICKOFF_PENDING", _("Waiting for the first build")
    BUILDING = "BUILDING", _("Building")
    BUILD_COMPLETE = "BUILD_COMPLETE", _("Ready for submission")
    BUILD_FAILED = "BUILD_FAILED", _("A build failed")
    CANCELLED = "CANCELLED", _("Cancelled")
    # Derived from its submissions, from the first one that a store has until all are live.
    SUBMITTED = "SUBMITTED", _("Submitted")
    ROLLING_OUT = "ROLLING_OUT", _("Rolling out")
    RELEASED = "RELEASED", _("Released")


BUILD_STATUS_CHOICES = [(status.value, status.value) for status in BuildStatus]
MOVING = (
    BuildStatus.TRIGGERING,
    BuildStatus.QUEUED,
    BuildStatus.WAITING,
    BuildStatus.RUNNING,
)
FAILED = (
    BuildStatus.FAILURE,
    BuildStatus.UNSTABLE,
    BuildStatus.ABORTED,
    BuildStatus.TRIGGER_FAILED,
    BuildStatus.LOST,
    BuildStatus.CANCELLED,
)
IN_STORES = (ReleaseStatus.SUBMITTED, ReleaseStatus.ROLLING_OUT, ReleaseStatus.RELEASED)
READY_OR_IN_STORES = (ReleaseStatus.BUILD_COMPLETE, *IN_STORES)
FINISHED_RELEASES = (
    ReleaseStatus.BUILD_COMPLETE,
    ReleaseStatus.RELEASED,
    ReleaseStatus.CANCELLED,
)
UNFINISHED_RELEASES = tuple(s for s in ReleaseStatus if s not in FINISHED_RELEASES)


FEW_VERSIONS = 200  # that a search finds by their names


def candidate_words(number: int) -> str:
    """The name of a release candidate: `RC 2`."""
    return f"RC {number}"


class Mark(models.TextChoices):
    """What a person records about a release that is ready, until the stores report it
    themselves."""

    SUBMITTED = "submitted", _("Submitted")
    RELEASED = "released", _("Released")


class ReleaseQuerySet(TenantQuerySet):
    def unfinished(self) -> Self:
        # Named one by one: an index on the status cannot serve `NOT IN`.
        return self.filter(status__in=UNFINISHED_RELEASES)

    def matching(
        self,
        *,
        version: str = "",
        status: str = "",
        platform: str = "",
        build_statuses: Sequence[str] = (),
        created_by: str = "",
    ) -> Self:
        """Releases that match all conditions. `version` may be a part of the version, `created_by`
        is an email address; `platform` and `build_statuses` must match in the same pipeline."""
        tests = {
            "status": status,
        }
        rows = self.with_version(version) if version else self
        if created_by:
            # One value, with which the index of the person's releases is in their order.
            person = get_user_model().objects.filter(email=created_by.lower())
            rows = rows.filter(created_by=person.values("pk")[:1])
        rows = rows.filter(**{name: value for name, value in tests.items() if value})
        of_pipeline = {"platform": platform, "build_status__in": build_statuses}
        of_pipeline = {name: value for name, value in of_pipeline.items() if value}
        if not of_pipeline:
            return rows
        fitting = ReleasePipeline.objects.filter(tenant=OuterRef("tenant"), **of_pipeline)
        return rows.filter(Exists(fitting.filter(release=OuterRef("pk"))))

    def with_version(self, part: str) -> Self:
        """Those whose version contains this text.

        The versions are looked up first, which reads only the index of the versions. If many
        contain it, the newest releases will be among them, and need not be searched for.
        """
        rows = self.filter(version__icontains=part)
        versions = rows.order_by().values_list("version", flat=True)
        found = set(versions[: FEW_VERSIONS + 1])
        return self.filter(version__in=found) if len(found) <= FEW_VERSIONS else rows

    def with_everything(self) -> Self:
        """The release with all its integrations, builds and build events, in a constant number of
        queries."""
        builds: Any = ReleasePipeline._meta.get_field("builds").related_model
        with_people = builds.objects.select_related("started_by")
        return self.select_related(
            "tenant",
            "scm",
            "ticket",
            "created_by",
            "submitted_by",
            "released_by",
            "muted_by",
            "repository_part",
            "ticket_part",
        ).prefetch_related(
            Prefetch("targets", ReleaseTarget.objects.select_related("target", "preflight")),
            Prefetch(
                "communication_rows",
                ReleaseCommunication.objects.select_related("communication"),
            ),
            Prefetch("pipelines", ReleasePipeline.objects.select_related("pipeline__target")),
            Prefetch("pipelines__builds", with_people.prefetch_related("events")),
        )

    def with_pipelines(self) -> Self:
        """Prefetches what a row of the list shows."""
        parts = Prefetch("pipelines", ReleasePipeline.objects.select_related("pipeline"))
        return self.select_related("created_by").prefetch_related(parts, "targets")


class Release(TenantOwned):
    id = PrefixedIdField(prefix="rel")
    version = models.CharField(max_length=64)
    branch = models.CharField(max_length=255)
    scm = models.ForeignKey(ScmIntegration, on_delete=models.PROTECT, related_name="releases")
    ticket = models.ForeignKey(
        TicketIntegration, on_delete=models.PROTECT, related_name="releases", null=True, blank=True
    )
    status = models.CharField(
        max_length=20, choices=ReleaseStatus.choices, default=ReleaseStatus.KICKOFF_PENDING
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    # What people marked; only `releases.marks` writes these.
    submitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )
    released_at = models.DateTimeField(null=True, blank=True, editable=False)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )
    # While it is muted, no messages are sent. Only `releases.messages.muting` writes these.
    muted_at = models.DateTimeField(null=True, blank=True, editable=False)
    muted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )
    # The result of the last check of the branch, written only by `releases.branches`; null before.
    branch_exists = models.BooleanField(null=True, blank=True, editable=False)
    branch_commit = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    branch_title = models.CharField(
        max_length=200, blank=True, default="", db_default="", editable=False
    )
    branch_similar = models.JSONField(default=list, null=True, blank=True, editable=False)
    branch_trouble = models.CharField(
        max_length=500, blank=True, default="", db_default="", editable=False
    )
    branch_checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    branch_look_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The number of the newest event that endpoints were told of.
    sequence = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[Any] = ReleaseQuerySet.as_manager()

    if TYPE_CHECKING:
        targets: RelatedManager[ReleaseTarget]
        pipelines: RelatedManager[ReleasePipeline]
        changes: RelatedManager[Change]
        communication_rows: RelatedManager[ReleaseCommunication]
        submissions: RelatedManager[Any]
        repository_part: RepositoryPart
        ticket_part: TicketPart
        # Only of `blockers.with_surroundings` and `repository.card.with_changes`.
        health_rows: list[dict[str, Any]]
        heartbeat_rows: list[dict[str, Any]]
        newest_changes: list[dict[str, Any]]

    class Meta:
        db_table = "releases"
        ordering = ["-created_at", "-id"]
        constraints = [
            unique_per_tenant("release"),
            models.CheckConstraint(
                condition=Q(status__in=ReleaseStatus.values), name="release_status_known"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="release_by_time"),
            models.Index(fields=["tenant", "status", "-created_at"], name="release_by_status"),
            models.Index(fields=["tenant", "version"], name="release_by_version"),
            models.Index(fields=["tenant", "created_by", "-created_at"], name="release_by_person"),
            models.Index(
                fields=["tenant", "-created_at"],
                name="release_ready",
                condition=Q(status=ReleaseStatus.BUILD_COMPLETE, released_at=None),
            ),
            models.Index(fields=["-created_at", "-id"], name="release_newest"),
            models.Index(
                fields=["branch_look_at"],
                condition=Q(branch_look_at__isnull=False),
                name="release_branch_due",
            ),
        ]

    def __str__(self) -> str:
        return self.version

    @property
    def app_identifiers(self) -> list[str]:
        """The stores' identifiers of its apps, without duplicates."""
        return list(dict.fromkeys(t.app_identifier for t in self.targets.all() if t.store))

    @property
    def communications(self) -> list[CommunicationIntegration]:
        """The connections that its messages go to, in the order in which they were chosen."""
        return [row.communication for row in self.communication_rows.all()]

    @property
    def communication_ids(self) -> list[str]:
        return [row.communication_id for row in self.communication_rows.all()]

    @property
    def communication_names(self) -> str:
        """What its messages go to, for a sentence: its kinds, each once."""
        return ", ".join(dict.fromkeys(one.kind_label for one in self.communications))

    @property
    def told_names(self) -> str:
        """The same without endpoints, which are told of a muted release, too."""
        return self._names(is_endpoint=False)

    @property
    def endpoint_names(self) -> str:
        return self._names(is_endpoint=True)

    def _names(self, *, is_endpoint: bool) -> str:
        some = [one for one in self.communications if one.is_endpoint == is_endpoint]
        return ", ".join(dict.fromkeys(one.kind_label for one in some))

    @property
    def apps(self) -> str:
        """Its app identifiers as text: `com.example.app`."""
        return ", ".join(self.app_identifiers)

    @property
    def candidates(self) -> str:
        """The current candidates of its pipelines as text: `RC 2`, or `iOS RC 2, Android RC 1`; ""
        if all are at their first."""
        parts = self.pipelines.all()
        found = {part.candidate for part in parts} or {1}
        if found == {1}:
            return ""
        if len(found) == 1:
            return candidate_words(found.pop())
        return ", ".join(
            f"{p.get_platform_display()} {candidate_words(p.candidate)}" for p in parts
        )

    @property
    def is_moving(self) -> bool:
        return any(p.build_status in MOVING for p in self.pipelines.all())

    @property
    def is_open(self) -> bool:
        """True while builds may be triggered, or adopted."""
        is_over = self.status in (ReleaseStatus.CANCELLED, ReleaseStatus.RELEASED)
        return not is_over and self.released_at is None

    @property
    def stage(self) -> str:
        """Its status as pages show it: SUBMITTED or RELEASED if a person marked it so, unless its
        submissions say it themselves."""
        if self.status in IN_STORES:
            return self.status
        if self.released_at is not None:
            return "RELEASED"
        return "SUBMITTED" if self.submitted_at is not None else self.status

    @property
    def is_built(self) -> bool:
        """All of its builds are complete."""
        is_known = self.status == ReleaseStatus.BUILD_COMPLETE
        return is_known or (self.status in IN_STORES and self.completed_at is not None)


class ReleaseTarget(TenantOwned):
    """A target of the release, and its epic once that was created.

    `store` and `app_identifier` are those at the time the release was created. `held_version` is
    the release's version while this row reserves it for the app. It is null once the release is
    cancelled, and if another target of the release has the same app. Only `releases.holding`
    writes it.
    """

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="targets")
    target = models.ForeignKey(
        TargetIntegration, on_delete=models.PROTECT, related_name="release_targets"
    )
    epic_key = models.CharField(max_length=60, blank=True)
    epic_url = models.CharField(max_length=500, blank=True)
    # Empty if an older version wrote the row during an upgrade.
    store = models.CharField(
        max_length=20, choices=TargetType.choices, blank=True, default="", db_default=""
    )
    app_identifier = models.CharField(max_length=255, blank=True, default="", db_default="")
    held_version = models.CharField(max_length=64, null=True, blank=True)

    class Meta:
        db_table = "release_targets"
        ordering = ["id"]
        constraints = [
            unique_per_tenant("release_target"),
            models.UniqueConstraint(fields=["release", "target"], name="release_target_once"),
            models.UniqueConstraint(
                fields=["tenant", "held_version", "store", "app_identifier"],
                name="release_version_once_per_app",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} → {self.target}"

    @property
    def epic_page(self) -> str:
        """The URL at which a person opens the epic."""
        ticket = self.release.ticket
        return ticket.page_of(self.epic_url) if ticket else self.epic_url


class ReleaseCommunication(TenantOwned):
    """A connection that the release's messages go to."""

    release = models.ForeignKey(
        Release, on_delete=models.CASCADE, related_name="communication_rows"
    )
    communication = models.ForeignKey(
        CommunicationIntegration, on_delete=models.PROTECT, related_name="release_rows"
    )

    class Meta:
        db_table = "release_communications"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            unique_per_tenant("release_communication"),
            models.UniqueConstraint(
                fields=["release", "communication"], name="release_communication_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} → {self.communication}"


class ReleasePipeline(TenantOwned):
    """A pipeline of the release. The job and its parameters are those at the time the release was
    created. `triggered` to `candidate` mirror the newest build; only
    `releases.operations.mirror_build` writes them."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="pipelines")
    pipeline = models.ForeignKey(
        PipelineIntegration, on_delete=models.PROTECT, related_name="release_pipelines"
    )
    platform = models.CharField(max_length=10, choices=Platform.choices)
    job_path = models.CharField(max_length=300)
    parameters = models.JSONField(default=dict, blank=True)

    triggered = models.BooleanField(default=False)
    build_number = models.PositiveBigIntegerField(null=True, blank=True)
    build_url = models.CharField(max_length=500, blank=True)
    build_status = models.CharField(
        max_length=20, choices=BUILD_STATUS_CHOICES, default=BuildStatus.PENDING
    )
    artifact_url = models.CharField(max_length=1000, blank=True)
    candidate = models.PositiveIntegerField(default=1, db_default=1)
    # Builds on the CI server that may be adopted, the newest first (`OfferSerializer`), and when it
    # is asked for them. Only `builds.offers` writes these.
    offers = models.JSONField(default=list, db_default=[], blank=True, editable=False)
    look_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "release_pipelines"
        ordering = ["id"]
        constraints = [
            unique_per_tenant("release_pipeline"),
            models.UniqueConstraint(fields=["release", "pipeline"], name="release_pipeline_once"),
            models.CheckConstraint(
                condition=Q(build_status__in=[s.value for s in BuildStatus]),
                name="release_pipeline_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "build_status", "platform"], name="pipeline_by_status"),
            models.Index(
                fields=["look_at"],
                condition=Q(look_at__isnull=False),
                name="pipeline_look_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} {self.get_platform_display()}"

    def parameters_for(self, build_id: str, *, commit: str | None = None) -> dict[str, str]:
        """See `integrations.parameters.parameters_of`."""
        release = self.release
        return parameters_of(
            self.parameters,
            version=release.version,
            branch=release.branch,
            build_id=build_id,
            platform=self.platform,
            commit=commit,
        )

    @property
    def has_twin(self) -> bool:
        """True if the release has another pipeline for this platform, too."""
        rows = self.release.pipelines.all()
        return sum(row.platform == self.platform for row in rows) > 1

    @property
    def title(self) -> str:
        """The platform; of twins the pipeline's name, which tells them apart."""
        return str(self.pipeline) if self.has_twin else self.get_platform_display()

    @property
    def build_name(self) -> str:
        """Its newest build: `iOS`, `iOS #245`, `iOS #251 RC 2`; of twins with the pipeline's name,
        `Nightly #245`."""
        number = f"#{self.build_number}" if self.build_number else ""
        candidate = candidate_words(self.candidate) if self.candidate > 1 else ""
        return " ".join(filter(None, (self.title, number, candidate)))

    @property
    def is_moving(self) -> bool:
        return self.build_status in MOVING

    @property
    def may_build_again(self) -> bool:
        """True if the newest build succeeded, so that another release candidate may be built."""
        return self.build_status == BuildStatus.SUCCESS

    @property
    def needs_build(self) -> bool:
        """True if it was never built, or if the newest build did not succeed."""
        return not self.is_moving and not self.may_build_again

    @property
    def takes_a_build(self) -> bool:
        """True if it needs a build, and its release may still get one."""
        return self.needs_build and self.release.is_open
