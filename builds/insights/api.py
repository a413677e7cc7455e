"""The figures of the insights page, for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from builds.insights.figures import PERIODS, insights
from builds.insights.tallies import Choice
from delivr.api.base import TenantView
from delivr.api.problems import invalid
from integrations.choices import Platform
from integrations.models import PipelineIntegration


class SecondsField(serializers.FloatField):
    """A length as seconds."""

    def to_representation(self, value: Any) -> Any:
        length: timedelta = value
        return length.total_seconds()


def _seconds(source: str) -> SecondsField:
    return SecondsField(source=source, allow_null=True)


class FiguresSerializer(serializers.Serializer[Any]):
    builds = serializers.IntegerField()
    ended = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    successRate = serializers.IntegerField(source="success_rate", allow_null=True)
    retries = serializers.IntegerField()
    durationSeconds = _seconds("duration")
    durationP90Seconds = _seconds("duration_p90")
    queueSeconds = _seconds("queue")
    recoverySeconds = _seconds("recovery")


class StoreFiguresSerializer(serializers.Serializer[Any]):
    submissions = serializers.IntegerField()
    reviewed = serializers.IntegerField()
    rejected = serializers.IntegerField()
    rejectionRate = serializers.IntegerField(source="rejection_rate", allow_null=True)
    reviewSeconds = _seconds("review")
    reviewP90Seconds = _seconds("review_p90")
    reviews = serializers.IntegerField()
    rolloutSeconds = _seconds("rollout")
    rolloutP90Seconds = _seconds("rollout_p90")
    rollouts = serializers.IntegerField()


class OneStoreSerializer(StoreFiguresSerializer):
    platform = serializers.ChoiceField(Platform.choices)


class PipelineFiguresSerializer(serializers.Serializer[Any]):
    pipelineId = serializers.CharField(source="id")
    platform = serializers.ChoiceField(Platform.choices)
    figures = FiguresSerializer()


class WeekSerializer(serializers.Serializer[Any]):
    begin = serializers.DateField()
    leadTimeSeconds = _seconds("lead_time")
    figures = FiguresSerializer()
    stores = StoreFiguresSerializer()


class InsightsSerializer(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    releases = serializers.IntegerField()
    ready = serializers.IntegerField()
    leadTimeSeconds = _seconds("lead_time")
    leadTimeP90Seconds = _seconds("lead_time_p90")
    byWebhook = serializers.IntegerField(source="by_webhook")
    byPolling = serializers.IntegerField(source="by_poll")
    figures = FiguresSerializer()
    pipelines = PipelineFiguresSerializer(many=True)
    stores = StoreFiguresSerializer()
    byStore = OneStoreSerializer(source="by_store", many=True)
    weeks = WeekSerializer(many=True)


class InsightsView(TenantView):
    @extend_schema(
        parameters=[
            OpenApiParameter("days", int, enum=PERIODS),
            OpenApiParameter("platform", str, enum=Platform.values),
            OpenApiParameter("pipelineId", str),
        ],
        responses=InsightsSerializer,
    )
    def get(self, request: Request) -> Response:
        days = self._one_of("days", [str(days) for days in PERIODS], str(PERIODS[1]))
        choice = Choice(self._one_of("platform", Platform.values), self._pipeline())
        shown = insights(self.tenant, days=int(days), choice=choice)
        return Response(InsightsSerializer(shown).data)

    def _one_of(self, name: str, known: list[str], default: str = "") -> str:
        given: str = self.request.query_params.get(name, default)
        if given not in (default, *known):
            words = {"known": ", ".join(known)}
            raise invalid({name: [_("Choose one of: %(known)s.") % words]})
        return given

    def _pipeline(self) -> str:
        given: str = self.request.query_params.get("pipelineId", "")
        rows = PipelineIntegration.objects.for_tenant(self.tenant)
        if given and not rows.filter(pk=given).exists():
            raise invalid({"pipelineId": [_("This workspace has no such pipeline.")]})
        return given
