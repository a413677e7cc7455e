"""The API of the ledger: all effects, sent or still to be sent."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.api.problems import invalid
from delivr.effects.models import Effect, EffectState
from delivr.effects.next_attempt import what_next
from delivr.effects.operations import cancel_effect, retry_effect
from delivr.failures import Conflict
from delivr.tenants.models import Role

_RELEASE_ID = re.compile(r"rel_[0-9A-Za-z]{1,36}")


class NextSerializer(serializers.Serializer[Any]):
    """What happens next with an effect, in words, and when (null if no clock decides)."""

    text = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class EffectSerializer(serializers.ModelSerializer[Effect]):
    state = serializers.ChoiceField(EffectState.choices)
    integrationId = serializers.CharField(source="integration_id")
    releaseId = serializers.CharField(source="release_id")
    buildId = serializers.CharField(source="build_id")
    nextAt = serializers.DateTimeField(source="next_at")
    expiresAt = serializers.DateTimeField(source="expires_at")
    lastErrorCode = serializers.CharField(source="last_error_code")
    lastError = serializers.CharField(source="last_error")
    hint = serializers.CharField(source="last_error_hint")
    createdAt = serializers.DateTimeField(source="created_at")
    doneAt = serializers.DateTimeField(source="done_at", allow_null=True)
    dispatchedAt = serializers.DateTimeField(source="dispatched_at", allow_null=True)
    leaseUntil = serializers.DateTimeField(source="lease_until", allow_null=True)
    dedupeKey = serializers.CharField(source="dedupe_key")
    next = serializers.SerializerMethodField()

    class Meta:
        model = Effect
        fields = [
            "id",
            "kind",
            "state",
            "integrationId",
            "releaseId",
            "buildId",
            "attempts",
            "nextAt",
            "expiresAt",
            "lastErrorCode",
            "lastError",
            "hint",
            "result",
            "createdAt",
            "doneAt",
            "reconciles",
            "dispatchedAt",
            "leaseUntil",
            "dedupeKey",
            "next",
        ]

    @extend_schema_field(NextSerializer(allow_null=True))
    def get_next(self, effect: Effect) -> dict[str, Any] | None:
        text, when = what_next(effect)
        return NextSerializer({"text": text, "at": when}).data if text else None


class EffectList(TenantView):
    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=EffectState.values),
            OpenApiParameter("releaseId", str),
            OpenApiParameter("kind", str, enum=list(settings.EFFECT_HANDLERS)),
        ],
        responses=EffectSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = Effect.objects.for_tenant(self.tenant)
        return self.page(rows.filter(**_filters(request)), EffectSerializer)


def _filters(request: Request) -> dict[str, str]:
    """The columns to filter by. Raises Problem 400 that names every invalid value."""
    given = {name: request.query_params.get(name, "") for name in ("state", "kind", "releaseId")}
    errors: dict[str, list[str]] = {}
    choices = {"state": EffectState.values, "kind": list(settings.EFFECT_HANDLERS)}
    for name, known in choices.items():
        if given[name] and given[name] not in known:
            errors[name] = [_("Choose one of: %(known)s.") % {"known": ", ".join(known)}]
    if given["releaseId"] and not _RELEASE_ID.fullmatch(given["releaseId"]):
        errors["releaseId"] = [_("Enter the id of a release: rel_…")]
    if errors:
        raise invalid(errors)
    columns = {"state": "state", "kind": "kind", "releaseId": "release_id"}
    return {columns[name]: value for name, value in given.items() if value}


class RetryEffect(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=None, responses={202: EffectSerializer})
    def post(self, request: Request, effect_id: str) -> Response:
        effect = self.get_or_404(Effect.objects, pk=effect_id)
        if not effect.may_retry:
            raise Conflict("not_dead", _("Only a failed effect can be retried."))
        effect = retry_effect(effect=effect, actor=self.actor)
        return Response(EffectSerializer(effect).data, status=202)


class CancelEffect(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=None, responses={202: EffectSerializer})
    def post(self, request: Request, effect_id: str) -> Response:
        effect = self.get_or_404(Effect.objects, pk=effect_id)
        if not effect.may_cancel:
            raise Conflict("on_its_way", _("This effect is in progress or already finished."))
        effect = cancel_effect(effect=effect, actor=self.actor)
        return Response(EffectSerializer(effect).data, status=202)
