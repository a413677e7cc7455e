"""Builds, their events, and the webhook deliveries of CI servers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from builds.buttons.models import ButtonPress as ButtonPress
from builds.buttons.models import ChatAccount as ChatAccount
from builds.insights.models import InsightsDay as InsightsDay
from builds.insights.models import InsightsKept as InsightsKept
from builds.insights.models import InsightsNote as InsightsNote
from builds.updates.transitions import Transition
from delivr.effects import clock
from delivr.effects.models import IntegrationHealth
from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, TenantQuerySet, unique_per_tenant
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildHandle, BuildStatus
from releases.models import BUILD_STATUS_CHOICES, MOVING, ReleasePipeline


class PolledQuerySet(TenantQuerySet):
    """Builds of both kinds; `through` is the lookup from a build to its pipeline."""

    through: ClassVar[str]

    def moving(self) -> Self:
        return self.filter(status__in=MOVING)

    def due(self, now: datetime) -> Self:
        """Builds that are due to be polled, except those whose credentials were refused and have
        not been verified again."""
        refused = IntegrationHealth.objects.exclude(credentials_refused_at=None)
        held = {f"{self.through}__in": refused.values("integration_id")}
        return self.filter(poll_at__lte=now).exclude(**held)


class PolledBuild(TenantOwned):
    """A build that is polled: one of a release, or a test build."""

    status = models.CharField(
        max_length=20, choices=BUILD_STATUS_CHOICES, default=BuildStatus.TRIGGERING
    )
    # As the CI server reported it, where the pipeline counts it as another status; else "".
    reported_status = models.CharField(
        max_length=20, choices=BUILD_STATUS_CHOICES, blank=True, default="", db_default=""
    )
    parameters = models.JSONField(default=dict)
    # The CI server's identifiers of it, as far as they are known: see `BuildHandle`.
    external_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    queue_id = models.BigIntegerField(null=True, blank=True)
    number = models.PositiveBigIntegerField(null=True, blank=True)
    url = models.CharField(max_length=500, blank=True)
    queue_reason = models.CharField(max_length=300, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    poll_at = models.DateTimeField(null=True, blank=True)
    polls = models.PositiveIntegerField(default=0)  # since the status last changed
    misses = models.PositiveSmallIntegerField(default=0)  # consecutive polls: "no such build"
    missing_since = models.DateTimeField(null=True, blank=True)  # time of the first of them
    # The start as the CI server reports it; `started_at` may be an estimate of ours.
    server_started_at = models.DateTimeField(null=True, blank=True)
    # When a webhook last reported an end that the CI server has not confirmed yet.
    end_claimed_at = models.DateTimeField(null=True, blank=True)

    # Why it failed, written by `builds.logs.reading`. The defaults are also set in the database,
    # because an older version may still write rows during an upgrade.
    log_at = models.DateTimeField(null=True, blank=True)  # when the log is due to be read
    log_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    log_excerpt = models.TextField(blank=True, default="", db_default="")
    log_error = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        abstract = True

    @property
    def is_moving(self) -> bool:
        return self.status in MOVING

    @property
    def handle(self) -> BuildHandle:
        return BuildHandle(external_id=self.external_id, queue_id=self.queue_id, number=self.number)


class BuildQuerySet(PolledQuerySet):
    through = "release_pipeline__pipeline"

    def of_pipeline(self, pipeline_id: str) -> Self:
        return self.filter(release_pipeline__pipeline_id=pipeline_id)


class Build(PolledBuild):
    id = PrefixedIdField(prefix="bld")
    release_pipeline = models.ForeignKey(
        ReleasePipeline, on_delete=models.CASCADE, related_name="builds"
    )
    attempt = models.PositiveIntegerField(default=1)
    # The release candidate. A build after a success starts the next one; a retry keeps the number.
    candidate = models.PositiveIntegerField(default=1, db_default=1)
    # False while only a webhook reported its end.
    is_confirmed = models.BooleanField(default=True, db_default=True)
    # The commit that was built; "" if the CI server does not report it.
    commit = models.CharField(max_length=64, blank=True, default="", db_default="")
    artifact_url = models.CharField(max_length=1000, blank=True)
    artifact_reported = models.BooleanField(default=False, db_default=False)  # by a signed webhook
    artifacts = models.JSONField(
        default=list, db_default=[], blank=True
    )  # see `ArtifactSerializer`
    estimated_ms = models.PositiveBigIntegerField(null=True, blank=True)
    # When the CI server last showed it running, long after it was told to stop it.
    still_running_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[Any] = BuildQuerySet.as_manager()

    class Meta:
        db_table = "builds"
        ordering = ["-attempt", "-id"]
        constraints = [
            unique_per_tenant("build"),
            models.UniqueConstraint(
                fields=["release_pipeline", "attempt"], name="build_attempt_once"
            ),
            models.UniqueConstraint(
                fields=["release_pipeline"],
                condition=Q(status__in=[s.value for s in MOVING]),
                name="build_one_in_flight",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in BuildStatus]), name="build_status_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["poll_at"], name="build_poll_due", condition=Q(poll_at__isnull=False)
            ),
            models.Index(
                fields=["log_at"], name="build_log_due", condition=Q(log_at__isnull=False)
            ),
            models.Index(
                fields=["finished_at"],
                name="build_ended",
                condition=Q(finished_at__isnull=False),
            ),
            models.Index(fields=["tenant", "-created_at"], name="build_by_time"),
            models.Index(fields=["-created_at", "-id"], name="build_newest"),
        ]

    def __str__(self) -> str:
        number = f"#{self.number}" if self.number else self.pk
        return f"{self.release_pipeline.get_platform_display()} {number}"

    @property
    def audit_label(self) -> str:
        """The build's name in the audit log: `iOS 1.5.0 #245`."""
        part = self.release_pipeline
        words = f"{part.get_platform_display()} {part.release}"
        return f"{words} #{self.number}" if self.number else words

    @property
    def pipeline(self) -> PipelineIntegration:
        return self.release_pipeline.pipeline

    @property
    def job_path(self) -> str:
        """The job at the time the release was created; the pipeline may use another one now."""
        return self.release_pipeline.job_path


WEBHOOK_GRACE = timedelta(seconds=30)


class TestBuildQuerySet(PolledQuerySet):
    __test__ = False  # not a test class: tell pytest not to collect it
    through = "pipeline"


class TestBuild(PolledBuild):
    """One build of a pipeline outside all releases, to check that everything works end to end.

    It is not counted in any figure. Its id is sent to the CI server like a build's id, so that its
    webhooks and its queue item are found in the same way.
    """

    __test__ = False  # not a test class: tell pytest not to collect it

    id = PrefixedIdField(prefix="tst")
    pipeline = models.ForeignKey(
        PipelineIntegration, on_delete=models.CASCADE, related_name="test_builds"
    )
    job_path = models.CharField(max_length=300)
    error = models.CharField(max_length=500, blank=True)
    hint = models.CharField(max_length=500, blank=True)
    first_webhook_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = TestBuildQuerySet.as_manager()

    class Meta:
        db_table = "test_builds"
        ordering = ["-created_at", "-id"]
        constraints = [
            unique_per_tenant("test_build"),
            models.UniqueConstraint(
                fields=["pipeline"],
                condition=Q(status__in=[s.value for s in MOVING]),
                name="test_build_one_in_flight",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in BuildStatus]),
                name="test_build_status_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["poll_at"], name="test_build_poll_due", condition=Q(poll_at__isnull=False)
            ),
            models.Index(
                fields=["log_at"], name="test_build_log_due", condition=Q(log_at__isnull=False)
            ),
            models.Index(fields=["-created_at", "-id"], name="test_build_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_id} #{self.number}" if self.number else self.pk

    @property
    def log_url(self) -> str:
        provider: Any = self.pipeline.provider_class
        return provider.log_page(self.url) if self.url else ""

    @property
    def answer_url(self) -> str:
        """Where a person answers what it waits for."""
        provider: Any = self.pipeline.provider_class
        return provider.answer_page(self.url) if self.url else ""

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.started_at and self.finished_at else None

    @property
    def awaits_webhook(self) -> bool:
        """True while a webhook about its end may still come in."""
        if self.first_webhook_at is not None or self.finished_at is None:
            return False
        return clock.now() - self.finished_at < WEBHOOK_GRACE

    @property
    def is_followed(self) -> bool:
        """True while its page has something to wait for."""
        return self.is_moving or self.log_at is not None or self.awaits_webhook


class DeliveryState(models.TextChoices):
    NEW = "NEW", _("Received")
    APPLIED = "APPLIED", _("Applied")
    IGNORED = "IGNORED", _("Ignored")
    UNMATCHED = "UNMATCHED", _("Waiting for its build")
    ORPHAN = "ORPHAN", _("Not our build")
    REJECTED = "REJECTED", _("Unreadable")


WAITING_STATES = [DeliveryState.NEW, DeliveryState.UNMATCHED]  # due at `next_at`
RARE_STATES = [
    DeliveryState.IGNORED,
    DeliveryState.UNMATCHED,
    DeliveryState.ORPHAN,
    DeliveryState.REJECTED,
]


class Trust(models.TextChoices):
    SIGNED = "SIGNED", _("Signed")
    BASIC = "BASIC", _("Password; delivr polls the build to confirm")
    # The stored value is the first system that signs in this way.
    BODY = "GITHUB", _("Only the body is signed; delivr polls the build to confirm")


class DeliveryQuerySet(TenantQuerySet):
    def waiting(self) -> Self:
        return self.filter(state__in=WAITING_STATES)

    def in_state(self, state: str) -> Self:
        rows = self.filter(state=state)
        # A new one is due at some time, and through that index it is found.
        return rows.filter(next_at__isnull=False) if state == DeliveryState.NEW else rows


class WebhookDelivery(TenantOwned):
    """One webhook request, stored raw. What it changed is recorded in `BuildEvent`."""

    id = PrefixedIdField(prefix="whd")
    pipeline = models.ForeignKey(
        PipelineIntegration, on_delete=models.CASCADE, related_name="deliveries"
    )
    # Whose parser reads it (`registry.WEBHOOKS`); "": that of the pipeline's kind.
    sender = models.CharField(max_length=20, blank=True, default="", db_default="")
    dedupe_key = models.CharField(max_length=200)
    trust = models.CharField(max_length=10, choices=Trust.choices)
    event = models.CharField(max_length=60, blank=True)  # the event type in the sender's header
    body = models.BinaryField(default=b"")
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.NEW
    )
    reason = models.CharField(max_length=300, blank=True)
    build = models.ForeignKey(
        Build, on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries"
    )
    next_at = models.DateTimeField(null=True, blank=True)  # when it is next due to be applied
    received_at = models.DateTimeField(default=clock.now)
    replayed_at = models.DateTimeField(null=True, blank=True)  # when a person last replayed it
    settled_at = models.DateTimeField(null=True, blank=True)
    # When the poll that this delivery caused was answered.
    confirmed_at = models.DateTimeField(null=True, blank=True)
    # The span in which it was received; "" where traces are off (`delivr.monitoring.traces`).
    traceparent = models.CharField(
        max_length=55, blank=True, default="", db_default="", editable=False
    )

    objects: ClassVar[Any] = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name_plural = "webhook deliveries"
        ordering = ["-received_at", "-id"]
        constraints = [
            unique_per_tenant("delivery"),
            models.UniqueConstraint(fields=["pipeline", "dedupe_key"], name="delivery_once"),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"], name="delivery_due", condition=Q(next_at__isnull=False)
            ),
            models.Index(fields=["tenant", "-received_at"], name="delivery_by_time"),
            models.Index(fields=["pipeline", "-received_at"], name="delivery_by_pipeline"),
            # The rare states; new ones are found by `delivery_due`, and nearly all are applied.
            models.Index(
                fields=["tenant", "state", "-received_at"],
                name="delivery_by_state",
                condition=Q(state__in=RARE_STATES),
            ),
            models.Index(fields=["-received_at", "-id"], name="delivery_newest"),
            # For retention, which deletes bodies.
            models.Index(fields=["received_at"], name="delivery_with_body", condition=~Q(body=b"")),
        ]

    def __str__(self) -> str:
        return f"{self.pk} for {self.pipeline_id}"

    @property
    def text(self) -> str:
        """The body as text, to be shown."""
        return bytes(self.body).decode("utf-8", "replace")


class Source(models.TextChoices):
    TRIGGER = "TRIGGER", _("Response to the trigger")
    POLL = "POLL", _("Detected by polling")
    WEBHOOK = "WEBHOOK", _("Webhook")
    PERSON = "PERSON", _("Manual action")


SERVER_RESULTS = (
    BuildStatus.SUCCESS,
    BuildStatus.FAILURE,
    BuildStatus.UNSTABLE,
    BuildStatus.ABORTED,
)


class BuildEvent(TenantOwned):
    """One update about a build, and whether it was applied."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=clock.now, editable=False)
    source = models.CharField(max_length=10, choices=Source.choices)
    from_status = models.CharField(max_length=20, choices=BUILD_STATUS_CHOICES)
    to_status = models.CharField(max_length=20, choices=BUILD_STATUS_CHOICES)
    applied = models.BooleanField()
    step = models.CharField(max_length=6, choices=Transition, blank=True)  # "" in old rows
    detail = models.CharField(max_length=300, blank=True)
    delivery = models.ForeignKey(
        WebhookDelivery, on_delete=models.SET_NULL, null=True, blank=True, related_name="events"
    )

    class Meta:
        db_table = "build_events"
        ordering = ["at", "id"]
        constraints = [unique_per_tenant("build_event")]
        indexes = [
            models.Index(
                fields=["tenant", "-at"],
                name="event_of_polls",
                condition=Q(source="POLL", applied=True),
            ),
            # For the insights: how a build's end was learned.
            models.Index(
                fields=["tenant", "-at"],
                name="event_of_ends",
                condition=Q(applied=True, to_status__in=[s.value for s in SERVER_RESULTS]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.build_id}: {self.from_status} → {self.to_status}"
