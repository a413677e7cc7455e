from typing import Any

from rest_framework import serializers

from builds.models import DeliveryState, Trust, WebhookDelivery
from integrations.choices import Platform
from releases.serializers import BuildSerializer


class TriggerSerializer(serializers.Serializer[Any]):
    """Which builds to start: one pipeline, one platform, or all that still need one."""

    pipelineId = serializers.CharField(source="pipeline_id", required=False, max_length=60)
    platform = serializers.ChoiceField(Platform.choices, required=False)


class AdoptSerializer(serializers.Serializer[Any]):
    """The number that the CI server gave to the build."""

    buildNumber = serializers.IntegerField(source="number", min_value=1, max_value=2**53)


class TriggeredSerializer(serializers.Serializer[Any]):
    builds = BuildSerializer(many=True)


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    pipelineId = serializers.CharField(source="pipeline_id")
    buildId = serializers.CharField(source="build_id", allow_null=True)
    state = serializers.ChoiceField(DeliveryState.choices)
    trust = serializers.ChoiceField(Trust.choices)
    receivedAt = serializers.DateTimeField(source="received_at")
    settledAt = serializers.DateTimeField(source="settled_at", allow_null=True)

    class Meta:
        model = WebhookDelivery
        fields = [
            "id",
            "pipelineId",
            "buildId",
            "state",
            "reason",
            "trust",
            "receivedAt",
            "settledAt",
        ]
