from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivr.effects import clock
from integrations.providers.health import Metric
from integrations.providers.stores import Act, ReleaseType, SubmissionState
from releases.models import ReleaseTarget
from submissions.health.models import RuleAction
from submissions.health.shown import (
    BeforeLine,
    FigureLine,
    HealthLines,
    RuleLine,
    health_of,
)
from submissions.models import Submission


class PreflightCheckSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not DRF's own
    ok = serializers.BooleanField()
    level = serializers.ChoiceField(["ERROR", "WARNING"])
    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()
    url = serializers.CharField(required=False)


class TargetPreflightSerializer(serializers.Serializer[ReleaseTarget]):
    """What stands in the way of submitting one target. `checkedAt` is null until it was looked up
    for the first time."""

    targetId = serializers.CharField(source="target_id")
    ready = serializers.SerializerMethodField()
    checkedAt = serializers.SerializerMethodField()
    isChecking = serializers.SerializerMethodField()
    checks = serializers.SerializerMethodField()

    def get_ready(self, part: ReleaseTarget) -> bool:
        row = getattr(part, "preflight", None)
        return bool(row and row.is_ready)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_checkedAt(self, part: ReleaseTarget) -> Any:
        row = getattr(part, "preflight", None)
        return (
            serializers.DateTimeField().to_representation(row.checked_at)
            if (row and row.checked_at)
            else None
        )

    def get_isChecking(self, part: ReleaseTarget) -> bool:
        row = getattr(part, "preflight", None)
        return bool(row and row.look_at)

    @extend_schema_field(PreflightCheckSerializer(many=True))
    def get_checks(self, part: ReleaseTarget) -> Any:
        row = getattr(part, "preflight", None)
        return PreflightCheckSerializer(row.checks if row else [], many=True).data


class PreflightSerializer(serializers.Serializer[Any]):
    targets = TargetPreflightSerializer(many=True)


class StoreBuildSerializer(serializers.Serializer[Any]):
    """The build's number in the store: `buildNumber` on iOS, `versionCode` on Android."""

    buildNumber = serializers.CharField(max_length=40, required=False)
    versionCode = serializers.CharField(max_length=40, required=False)


class NumberField(serializers.FloatField):
    """`true` is no number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class NewRolloutRuleSerializer(serializers.Serializer[Any]):
    """What delivr does by itself while a submission rolls out."""

    action = serializers.ChoiceField(RuleAction.values)
    source = serializers.CharField(  # type: ignore[assignment] # a field of ours, not DRF's own
        max_length=60, required=False, allow_blank=True
    )
    metric = serializers.ChoiceField([str(m) for m in Metric], required=False, allow_blank=True)
    threshold = NumberField(required=False)
    margin = NumberField(required=False)
    minSample = serializers.IntegerField(source="min_sample", required=False)
    afterHours = NumberField(source="after_hours", required=False)


class RolloutRuleSerializer(serializers.Serializer[RuleLine]):
    action = serializers.ChoiceField(RuleAction.values, source="rule.action")
    source = serializers.CharField(  # type: ignore[assignment] # a field of ours, not DRF's own
        source="rule.source_id", allow_null=True
    )
    metric = serializers.CharField(source="rule.metric")
    threshold = serializers.FloatField(source="rule.threshold", allow_null=True)
    margin = serializers.FloatField(source="rule.margin", allow_null=True)
    minSample = serializers.IntegerField(source="rule.min_sample")
    afterHours = serializers.FloatField(source="rule.after_hours", allow_null=True)
    sentence = serializers.CharField()
    verdict = serializers.CharField()
    unknownSince = serializers.DateTimeField(source="rule.unknown_since", allow_null=True)
    actedAt = serializers.DateTimeField(source="rule.acted_at", allow_null=True)


class PreviousFigureSerializer(serializers.Serializer[BeforeLine]):
    version = serializers.CharField()
    value = serializers.FloatField(source="figure.value")
    sample = serializers.IntegerField(source="figure.sample")


class HealthFigureSerializer(serializers.Serializer[FigureLine]):
    source = serializers.CharField(  # type: ignore[assignment] # a field of ours, not DRF's own
        source="source_id"
    )
    metric = serializers.CharField()
    value = serializers.FloatField(source="figure.value")
    sample = serializers.IntegerField(source="figure.sample")
    until = serializers.DateTimeField(source="figure.until")
    readAt = serializers.DateTimeField(source="read_at", allow_null=True)
    verdict = serializers.CharField()
    previous = PreviousFigureSerializer(source="before", allow_null=True)


class NewSubmissionSerializer(serializers.Serializer[Any]):
    targetId = serializers.CharField(source="target_id", max_length=60)
    track = serializers.CharField(required=False, max_length=60)
    testflightGroups = serializers.ListField(
        source="testflight_groups", child=serializers.CharField(max_length=100), required=False
    )
    storeBuild = StoreBuildSerializer(source="store_build", required=False)
    artifact = serializers.CharField(max_length=255, required=False)
    releaseType = serializers.ChoiceField(
        [kind.value for kind in ReleaseType], source="release_type", required=False
    )
    releaseAt = serializers.DateTimeField(source="release_at", required=False)
    phased = serializers.BooleanField(source="is_phased", required=False)
    steps = serializers.ListField(
        source="shares", child=NumberField(min_value=0, max_value=100), required=False
    )
    notes = serializers.DictField(child=serializers.CharField(max_length=10000), required=False)
    usesEncryption = serializers.BooleanField(source="uses_encryption", required=False)
    rolloutRules = NewRolloutRuleSerializer(source="rollout_rules", many=True, required=False)


class OutsideChangeSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    by = serializers.CharField()
    what = serializers.CharField()


class SubmissionSerializer(serializers.ModelSerializer[Submission]):
    """A submission. `storeState` is the store's own word for `state`."""

    releaseId = serializers.CharField(source="release_id")
    targetId = serializers.CharField(source="target_id")
    state = serializers.ChoiceField([state.value for state in SubmissionState])
    storeBuild = serializers.CharField(source="store_build")
    artifact = serializers.SerializerMethodField()
    testflightGroups = serializers.ListField(
        source="testflight_groups", child=serializers.CharField()
    )
    releaseType = serializers.ChoiceField(
        [kind.value for kind in ReleaseType], source="release_type"
    )
    releaseAt = serializers.DateTimeField(source="release_at", allow_null=True)
    phased = serializers.BooleanField(source="is_phased")
    steps = serializers.ListField(source="shares", child=serializers.FloatField())
    notes = serializers.DictField(child=serializers.CharField())
    rolloutPercent = serializers.FloatField(source="percent", allow_null=True)
    nextStepAt = serializers.DateTimeField(source="next_step_at", allow_null=True)
    storeState = serializers.CharField(source="store_state")
    storeUrl = serializers.CharField(source="store_url")
    createdAt = serializers.DateTimeField(source="created_at")
    submittedAt = serializers.DateTimeField(source="submitted_at", allow_null=True)
    changedAt = serializers.DateTimeField(source="changed_at")
    changedOutside = serializers.SerializerMethodField()
    rolloutRules = serializers.SerializerMethodField()
    health = serializers.SerializerMethodField()

    class Meta:
        model = Submission
        fields = [
            "id",
            "releaseId",
            "targetId",
            "state",
            "storeState",
            "storeUrl",
            "storeBuild",
            "artifact",
            "track",
            "testflightGroups",
            "releaseType",
            "releaseAt",
            "phased",
            "steps",
            "step",
            "rolloutPercent",
            "nextStepAt",
            "notes",
            "message",
            "hint",
            "changedOutside",
            "rolloutRules",
            "health",
            "createdAt",
            "submittedAt",
            "changedAt",
        ]

    def get_artifact(self, row: Submission) -> str:
        return str(row.file.get("name", ""))

    @extend_schema_field(OutsideChangeSerializer(many=True))
    def get_changedOutside(self, row: Submission) -> Any:
        outside = [event for event in row.events.all() if event.is_outside]
        return OutsideChangeSerializer(outside, many=True).data

    @extend_schema_field(RolloutRuleSerializer(many=True))
    def get_rolloutRules(self, row: Submission) -> Any:
        lines: Any = self._health(row).rules
        return RolloutRuleSerializer(lines, many=True).data

    @extend_schema_field(HealthFigureSerializer(many=True))
    def get_health(self, row: Submission) -> Any:
        lines: Any = self._health(row).figures
        return HealthFigureSerializer(lines, many=True).data

    def _health(self, row: Submission) -> HealthLines:
        """At one time for a whole list: the clock is the database's."""
        context: Any = self.context
        now = context.get("now") or clock.now()
        context["now"] = now
        return health_of(row, now)


ACTS = [act.value for act in Act]
