"""The API of endpoints: test events, the delivery log, the signing secret, turning on."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.tenants.models import Role
from integrations import endpoints
from integrations.choices import CommunicationType
from integrations.models import CommunicationIntegration, EndpointAttempt
from integrations.serializers import (
    answer_serializer,
    created_serializer,
    present,
    present_with_secrets,
)
from integrations.throttle import throttle, throttled_call
from integrations.verification import verify

MOST_PER_MINUTE = 10  # test events and repeats of one user
_KEY = (CommunicationIntegration.family, str(CommunicationType.WEBHOOK))


class EndpointAttemptSerializer(serializers.ModelSerializer[EndpointAttempt]):
    """One request to an endpoint. Attempts with the same `webhookId` sent the same event. `status`
    is null without a response; `answer` has the first characters of it."""

    webhookId = serializers.CharField(source="message_id")
    endpointId = serializers.CharField(source="integration_id")
    effectId = serializers.CharField(source="effect_id")
    releaseId = serializers.CharField(source="release_id")
    durationMs = serializers.IntegerField(source="duration_ms")
    ok = serializers.BooleanField(source="is_success")

    class Meta:
        model = EndpointAttempt
        fields = [
            "id",
            "webhookId",
            "endpointId",
            "effectId",
            "releaseId",
            "event",
            "at",
            "ok",
            "status",
            "error",
            "durationMs",
            "body",
            "answer",
        ]


class SendingSerializer(serializers.Serializer[Any]):
    """The effect that sends it: `GET /effects/{id}` tells how that goes."""

    effectId = serializers.CharField(source="pk")


class EndpointView(TenantView):
    write_role = Role.ADMIN

    def endpoint(self, endpoint_id: str) -> CommunicationIntegration:
        found: CommunicationIntegration = self.get_or_404(
            CommunicationIntegration.objects, pk=endpoint_id
        )
        if not found.is_endpoint:
            raise Http404
        return found


class AttemptList(EndpointView):
    @extend_schema(
        operation_id="endpoint_attempts_list", responses=EndpointAttemptSerializer(many=True)
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        rows = endpoints.attempts_of(self.endpoint(endpoint_id))
        return self.page(rows, EndpointAttemptSerializer, ordering=("-at", "-pk"))


class ResendAttempt(EndpointView):
    @extend_schema(request=None, responses={202: SendingSerializer})
    def post(self, request: Request, endpoint_id: str, attempt_id: str) -> Response:
        return self.once(lambda: self._resend(endpoint_id, attempt_id))

    def _resend(self, endpoint_id: str, attempt_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        attempt = self.get_or_404(
            EndpointAttempt.objects, pk=attempt_id, integration_id=endpoint.pk
        )
        throttle("event", user=self.actor, limit=MOST_PER_MINUTE)
        effect = endpoints.resend(attempt, actor=self.actor)
        return Response(SendingSerializer(effect).data, status=202)


class TestEvent(EndpointView):
    __test__ = False  # not a test class: tell pytest not to collect it

    @extend_schema(request=None, responses={202: SendingSerializer})
    def post(self, request: Request, endpoint_id: str) -> Response:
        return self.once(lambda: self._send(endpoint_id))

    def _send(self, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        throttle("event", user=self.actor, limit=MOST_PER_MINUTE)
        effect = endpoints.send_test(endpoint, actor=self.actor)
        return Response(SendingSerializer(effect).data, status=202)


class RotateSigningSecret(EndpointView):
    @extend_schema(request=None, responses=created_serializer(_KEY))
    def post(self, request: Request, endpoint_id: str) -> Response:
        return self.once(lambda: self._rotate(endpoint_id))

    def _rotate(self, endpoint_id: str) -> Response:
        endpoint = endpoints.rotate_secret(self.endpoint(endpoint_id), actor=self.actor)
        headers = {"Cache-Control": "no-store"}
        return Response(present_with_secrets(endpoint), headers=headers)


class TurnOn(EndpointView):
    @extend_schema(request=None, responses=answer_serializer(_KEY))
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        with throttled_call("verify", user=self.actor):
            endpoint = endpoints.turn_on(endpoint, actor=self.actor)
            endpoint = verify(endpoint, actor=self.actor)
        return Response(present(endpoint))
