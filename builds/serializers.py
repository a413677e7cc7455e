from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from builds.activity.tracing import effect_ids_of
from builds.models import DeliveryState, Trust, WebhookDelivery
from delivr.effects.api import EffectSerializer
from delivr.effects.models import Effect
from integrations.choices import Platform
from integrations.providers.ci import BuildStatus
from releases.serializers import BuildSerializer


class TriggerSerializer(serializers.Serializer[Any]):
    """Which builds to trigger: one pipeline, one platform, or all pipelines that still need a
    build. `again` also builds what already succeeded, as another release candidate."""

    pipelineId = serializers.CharField(source="pipeline_id", required=False, max_length=60)
    platform = serializers.ChoiceField(Platform.choices, required=False)
    again = serializers.BooleanField(required=False)


class AdoptSerializer(serializers.Serializer[Any]):
    """The build's number on the CI server."""

    buildNumber = serializers.IntegerField(source="number", min_value=1, max_value=2**53)


class AdoptOfferSerializer(serializers.Serializer[Any]):
    """One of the `offers` of a release's pipeline."""

    pipelineId = serializers.CharField(source="pipeline_id", max_length=60)
    offerId = serializers.CharField(source="offer_id", max_length=100)


class ArtifactLinkSerializer(serializers.Serializer[Any]):
    url = serializers.CharField()


class TriggeredSerializer(serializers.Serializer[Any]):
    builds = BuildSerializer(many=True)


class TestSerializer(serializers.Serializer[Any]):
    """The parameters VERSION (default 0.0.1) and BRANCH (default main) of the job."""

    __test__ = False  # not a test class: tell pytest not to collect it

    version = serializers.CharField(required=False, max_length=64)
    branch = serializers.CharField(required=False, max_length=200)


class TestBuildSerializer(serializers.Serializer[Any]):
    """One build of a pipeline outside all releases. `webhookAt` is when its first webhook arrived;
    `error` and `hint` say why it could not be triggered, `logExcerpt` has the lines of its log that
    explain a failure."""

    __test__ = False  # not a test class: tell pytest not to collect it

    id = serializers.CharField()
    pipelineId = serializers.CharField(source="pipeline_id")
    version = serializers.CharField(source="parameters.VERSION", default="")
    branch = serializers.CharField(source="parameters.BRANCH", default="")
    buildStatus = serializers.ChoiceField([s.value for s in BuildStatus], source="status")
    reportedStatus = serializers.CharField(source="reported_status")
    buildNumber = serializers.IntegerField(source="number", allow_null=True)
    buildUrl = serializers.CharField(source="url")
    queueId = serializers.IntegerField(source="queue_id", allow_null=True)
    queueReason = serializers.CharField(source="queue_reason")
    error = serializers.CharField()
    hint = serializers.CharField()
    logExcerpt = serializers.CharField(source="log_excerpt")
    logError = serializers.CharField(source="log_error")
    webhookAt = serializers.DateTimeField(source="first_webhook_at", allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)


class TraceSerializer(serializers.Serializer[Any]):
    """One cause or consequence: an `effect`, a `delivery`, or an entry of a `release`."""

    kind = serializers.ChoiceField(["effect", "delivery", "release"])
    id = serializers.CharField()
    text = serializers.CharField()
    at = serializers.DateTimeField()
    state = serializers.CharField(allow_blank=True)


class EffectDetailSerializer(EffectSerializer):
    causes = serializers.SerializerMethodField()
    consequences = serializers.SerializerMethodField()

    class Meta(EffectSerializer.Meta):
        fields = [*EffectSerializer.Meta.fields, "causes", "consequences"]

    @extend_schema_field(TraceSerializer(many=True))
    def get_causes(self, effect: Effect) -> Any:
        return TraceSerializer(self.context["causes"], many=True).data

    @extend_schema_field(TraceSerializer(many=True))
    def get_consequences(self, effect: Effect) -> Any:
        return TraceSerializer(self.context["consequences"], many=True).data


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    pipelineId = serializers.CharField(source="pipeline_id")
    buildId = serializers.CharField(source="build_id", allow_null=True)
    releaseId = serializers.CharField(
        source="build.release_pipeline.release_id", allow_null=True, default=None
    )
    effectIds = serializers.SerializerMethodField()
    state = serializers.ChoiceField(DeliveryState.choices)
    trust = serializers.ChoiceField(Trust.choices)
    receivedAt = serializers.DateTimeField(source="received_at")
    replayedAt = serializers.DateTimeField(source="replayed_at", allow_null=True)
    settledAt = serializers.DateTimeField(source="settled_at", allow_null=True)

    class Meta:
        model = WebhookDelivery
        fields = [
            "id",
            "pipelineId",
            "buildId",
            "releaseId",
            "effectIds",
            "state",
            "reason",
            "trust",
            "event",
            "receivedAt",
            "replayedAt",
            "settledAt",
        ]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_effectIds(self, delivery: WebhookDelivery) -> list[str]:
        """The effects that followed from it."""
        found: list[str] = self.context["effects"].get(delivery.pk, [])
        return found


def show_deliveries(rows: Any, *, many: bool, context: Any) -> DeliverySerializer:
    """Serializes deliveries from `builds.api.deliveries` with the ids of their effects, in one
    query."""
    shown = rows if many else [rows]
    context = {**context, "effects": effect_ids_of(shown)}
    return DeliverySerializer(rows, many=many, context=context)
