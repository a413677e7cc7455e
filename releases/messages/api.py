"""The API of a connection's messages: its rules, a preview, and a test."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.effects.api import EffectSerializer
from delivr.tenants.models import Role
from integrations.choices import Preset
from integrations.models import CommunicationIntegration
from integrations.throttle import throttle
from releases.messages.mentions import Mentions, Whom
from releases.messages.operations import (
    MAX_GROUP,
    TESTS_PER_MINUTE,
    change_rules,
    send_test,
)
from releases.messages.rules import Rule, different, rules_in_force
from releases.messages.samples import samples
from releases.models import Release


def _rules(**wanted: Any) -> serializers.DictField:
    """Rules by channel and event."""
    rule = serializers.CharField(max_length=20, allow_null=True)
    return serializers.DictField(child=serializers.DictField(child=rule, allow_null=True), **wanted)


class MessageRulesSerializer(serializers.Serializer[Any]):
    """Which channel hears what, and whom failures mention."""

    preset = serializers.ChoiceField(Preset.choices)
    rules = _rules()
    different = _rules()
    mention = serializers.ChoiceField(Whom.choices)
    mentionGroup = serializers.CharField()


class EditedMessageRulesSerializer(serializers.Serializer[Any]):
    """Changes; checks only the shape, the operation checks the rest."""

    preset = serializers.CharField(max_length=20)
    rules = _rules()
    mention = serializers.CharField(max_length=20, source="whom")
    mentionGroup = serializers.CharField(source="group", max_length=MAX_GROUP, allow_blank=True)


class MessageSampleSerializer(serializers.Serializer[Any]):
    event = serializers.CharField()
    text = serializers.CharField()
    detail = serializers.CharField()
    rules = serializers.DictField(child=serializers.ChoiceField([r.value for r in Rule]))


class MessageSamplesSerializer(serializers.Serializer[Any]):
    """Every message with the data of one release; null stands for an invented one."""

    releaseId = serializers.CharField(allow_null=True)
    messages = MessageSampleSerializer(many=True)


class NewTestMessageSerializer(serializers.Serializer[Any]):
    channel = serializers.CharField(max_length=254)


class _ConnectionView(TenantView):
    write_role = Role.ADMIN

    def find(self, connection_id: str) -> CommunicationIntegration:
        found: CommunicationIntegration = self.get_or_404(
            CommunicationIntegration.objects, pk=connection_id
        )
        return found


class MessageRules(_ConnectionView):
    @extend_schema(responses=MessageRulesSerializer)
    def get(self, request: Request, connection_id: str) -> Response:
        return _shown(self.find(connection_id))

    @extend_schema(request=EditedMessageRulesSerializer, responses=MessageRulesSerializer)
    def patch(self, request: Request, connection_id: str) -> Response:
        connection = self.find(connection_id)
        shape = self.shape(EditedMessageRulesSerializer)
        values = shape.values
        with shape.complaints():
            changed = change_rules(
                connection,
                actor=self.actor,
                preset=values.get("preset"),
                rules=values.get("rules"),
                mentions={name: values[name] for name in ("whom", "group") if name in values},
                known_errors=shape.errors,
            )
        return _shown(changed)


def _shown(connection: CommunicationIntegration) -> Response:
    mentions = Mentions.of(connection)
    return Response(
        {
            "preset": connection.preset,
            "rules": rules_in_force(connection),
            "different": different(connection),
            "mention": mentions.whom,
            "mentionGroup": mentions.group,
        }
    )


class MessageSamples(_ConnectionView):
    @extend_schema(
        parameters=[OpenApiParameter("releaseId", str)], responses=MessageSamplesSerializer
    )
    def get(self, request: Request, connection_id: str) -> Response:
        connection = self.find(connection_id)
        releases = Release.objects.for_tenant(self.tenant).with_everything()
        wanted = request.query_params.get("releaseId", "")
        release = releases.filter(pk=wanted).first() if wanted else releases.first()
        if wanted and release is None:
            raise Http404
        found = samples(connection, release)
        answer = {"releaseId": release.pk if release else None, "messages": found}
        return Response(MessageSamplesSerializer(answer).data)


class TestMessages(_ConnectionView):
    @extend_schema(request=NewTestMessageSerializer, responses={201: EffectSerializer})
    def post(self, request: Request, connection_id: str) -> Response:
        connection = self.find(connection_id)
        shape = self.shape(NewTestMessageSerializer)
        throttle("message-test", user=self.actor, limit=TESTS_PER_MINUTE)
        channel = shape.done().get("channel", "")
        with shape.complaints():
            effect = send_test(connection, actor=self.actor, channel=channel)
        return Response(EffectSerializer(effect).data, status=201)
