"""Submissions to the stores, what happened to them, and what stands in the way of one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from delivr.effects import clock
from delivr.effects.models import IntegrationHealth
from delivr.ids import PrefixedIdField
from delivr.tenants.models import TenantOwned, TenantQuerySet, unique_per_tenant
from integrations.models import TargetIntegration
from integrations.providers.registry import provider_class
from integrations.providers.stores import (
    ReleaseType,
    StoreProvider,
    StoreState,
    SubmissionPlan,
    SubmissionState,
)
from releases.models import Release, ReleaseTarget
from submissions.health.models import HealthReading as HealthReading
from submissions.health.models import HealthWatch as HealthWatch
from submissions.health.models import RolloutRule as RolloutRule

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

STATE_CHOICES = [(state.value, state.value) for state in SubmissionState]
# Nothing more can happen to it in the store.
ENDED = (SubmissionState.WITHDRAWN, SubmissionState.REPLACED)
_MAY_BE_FOLLOWED = (*ENDED, SubmissionState.REJECTED, SubmissionState.FAILED)


def store_of(target: TargetIntegration) -> type[StoreProvider]:
    return cast("type[StoreProvider]", provider_class((TargetIntegration.family, target.kind)))


class Preflight(TenantOwned):
    """What stands in the way of submitting a target of a release, as it was last looked up."""

    release_target = models.OneToOneField(
        ReleaseTarget, on_delete=models.CASCADE, related_name="preflight"
    )
    checks = models.JSONField(default=list, blank=True)
    is_ready = models.BooleanField(default=False)
    checked_at = models.DateTimeField(null=True, blank=True)
    look_at = models.DateTimeField(null=True, blank=True)  # when it is due to be looked up

    class Meta:
        db_table = "preflights"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [unique_per_tenant("preflight")]
        indexes: ClassVar = [
            models.Index(
                fields=["look_at"], condition=Q(look_at__isnull=False), name="preflight_due"
            )
        ]

    def __str__(self) -> str:
        return f"Pre-flight of {self.release_target}"


class SubmissionQuerySet(TenantQuerySet):
    def due(self, now: datetime) -> Self:
        """Those to be read in their store, except where the credentials were refused."""
        refused = IntegrationHealth.objects.exclude(credentials_refused_at=None)
        held = {"target__in": refused.values("integration_id")}
        return self.filter(read_at__lte=now).exclude(**held)


class Submission(TenantOwned):
    """One build of a target of a release, on its way through the store.

    The first part is what a person asked for; `references` are the ids that its steps found in the
    store. What the store says is copied to the second part, which only `submissions.states` writes.
    """

    id = PrefixedIdField(prefix="sub")
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="submissions")
    release_target = models.ForeignKey(
        ReleaseTarget, on_delete=models.CASCADE, related_name="submissions"
    )
    target = models.ForeignKey(
        TargetIntegration, on_delete=models.PROTECT, related_name="submissions"
    )
    # True for the newest one of its release's target.
    is_current = models.BooleanField(default=True)

    store_build = models.CharField(max_length=40)
    track = models.CharField(max_length=60, blank=True)
    testflight_groups = models.JSONField(default=list, blank=True)
    release_type = models.CharField(
        max_length=20,
        choices=[(kind.value, kind.value) for kind in ReleaseType],
        default=ReleaseType.MANUAL,
    )
    release_at = models.DateTimeField(null=True, blank=True)
    is_phased = models.BooleanField(default=False)
    shares = models.JSONField(default=list, blank=True)  # percentages
    notes = models.JSONField(default=dict, blank=True)  # by locale
    uses_encryption = models.BooleanField(null=True, blank=True)
    # A file of a build, which is uploaded if the store does not have it: see `submissions.files`.
    file = models.JSONField(default=dict, blank=True)
    references = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    acts = models.PositiveIntegerField(default=0)  # how many were asked for

    state = models.CharField(max_length=20, choices=STATE_CHOICES, default=SubmissionState.DRAFT)
    store_state = models.CharField(max_length=60, blank=True)
    store_url = models.CharField(max_length=500, blank=True)
    percent = models.FloatField(null=True, blank=True)
    step = models.PositiveSmallIntegerField(default=0)  # how many of the shares were taken
    day = models.PositiveSmallIntegerField(null=True, blank=True)
    next_step_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=1000, blank=True)
    hint = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField(default=clock.now)  # when the state last changed
    submitted_at = models.DateTimeField(null=True, blank=True)  # since when the store has it
    ended_at = models.DateTimeField(null=True, blank=True)
    # How long its review took, and the median of the ones before it when it was submitted.
    review_took = models.DurationField(null=True, blank=True)
    usual_review = models.DurationField(null=True, blank=True)

    read_at = models.DateTimeField(null=True, blank=True)  # when the store is due to be asked
    last_read_at = models.DateTimeField(null=True, blank=True)
    read_error = models.CharField(max_length=500, blank=True)
    # Since when its rules have had too little data for so long that a person should know, and what
    # to do (`submissions.health.silence`).
    unjudged_since = models.DateTimeField(null=True, blank=True)
    unjudged = models.CharField(max_length=500, blank=True, db_default="")
    unjudged_hint = models.CharField(max_length=500, blank=True, db_default="")
    notified_at = models.DateTimeField(null=True, blank=True)  # when its store last sent word

    objects: ClassVar[Any] = SubmissionQuerySet.as_manager()

    if TYPE_CHECKING:
        events: RelatedManager[SubmissionEvent]
        rules: RelatedManager[RolloutRule]
        watches: RelatedManager[HealthWatch]
        # Only of the card on a release's page.
        newest_events: list[dict[str, Any]]
        is_watched: bool

    class Meta:
        db_table = "submissions"
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            unique_per_tenant("submission"),
            models.UniqueConstraint(
                fields=["release_target"],
                condition=Q(is_current=True),
                name="submission_current_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in SubmissionState]),
                name="submission_state_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-created_at"], name="submission_by_time"),
            models.Index(
                fields=["read_at"], condition=Q(read_at__isnull=False), name="submission_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} → {self.target}"

    @property
    def may_be_followed(self) -> bool:
        """By another one: the store does not have it, or not any more, or refused it."""
        is_stuck = self.state == SubmissionState.NEEDS_PERSON and self.submitted_at is None
        return is_stuck or self.state in _MAY_BE_FOLLOWED

    @property
    def plan(self) -> SubmissionPlan:
        """What the store is asked for now."""
        shares = [float(share) for share in self.shares]
        wanted = shares[min(self.step, len(shares) - 1)] if shares else None
        return SubmissionPlan(
            version=self.release.version,
            build=self.store_build,
            track=self.track,
            groups=tuple(self.testflight_groups),
            release_type=ReleaseType(self.release_type),
            release_at=self.release_at,
            phased=self.is_phased,
            shares=tuple(shares),
            share=None if wanted is None or wanted >= 100 else wanted,
            notes=dict(self.notes),
            uses_encryption=self.uses_encryption,
            references=dict(self.references),
            file=self.file.get("name", ""),
        )

    @property
    def seen(self) -> StoreState:
        """What the store said when it was last asked."""
        return StoreState(
            state=SubmissionState(self.state),
            word=self.store_state,
            percent=self.percent,
            day=self.day,
            next_step_at=self.next_step_at,
            message=self.message,
            hint=self.hint,
            url=self.store_url,
            references=dict(self.references),
        )


class SubmissionEvent(TenantOwned):
    """Something that changed: by delivr, by the store, or by hand in its console."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=clock.now, editable=False)
    state = models.CharField(max_length=20, choices=STATE_CHOICES)
    percent = models.FloatField(null=True, blank=True)
    what = models.CharField(max_length=300)
    by = models.CharField(max_length=120, blank=True)
    is_outside = models.BooleanField(_("changed outside of delivr"), default=False)
    # The rule that caused it, with its figures.
    facts = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)

    class Meta:
        db_table = "submission_events"
        ordering: ClassVar = ["at", "id"]
        constraints: ClassVar = [unique_per_tenant("submission_event")]
        indexes: ClassVar = [
            models.Index(fields=["submission", "at"], name="submission_event_by_time")
        ]

    def __str__(self) -> str:
        return self.what


class StoreLock(models.Model):
    """What one worker is changing in a store right now, across all workspaces: two of them may use
    the same account. The key is a hash; it names no workspace."""

    key = models.CharField(max_length=64, primary_key=True)
    token = models.PositiveBigIntegerField(default=0)
    held_until = models.DateTimeField(null=True, blank=True)
    wanted_until = models.DateTimeField(null=True, blank=True)  # by what goes first: others wait

    class Meta:
        db_table = "store_locks"

    def __str__(self) -> str:
        return self.key
